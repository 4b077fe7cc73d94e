from datetime import timedelta
from pathlib import Path

import pytest

from controlplane.cli.failures import UsageError
from controlplane.cli.spec.ca_bundle import authorities, with_added, without
from provisioning.certificates.x509 import CertificateAndKey, fingerprint, new_ca

OLD = new_ca("old-ca", validity=timedelta(days=30))
NEW = new_ca("new-ca", validity=timedelta(days=30))


def kept(tmp_path: Path, *authorities: CertificateAndKey) -> Path:
    file = tmp_path / "bundle.pem"
    file.write_bytes(b"".join(authority.certificate_pem for authority in authorities))
    return file


def subjects(bundle: bytes) -> list[str]:
    return [told.split()[0] for told in authorities(bundle)]


def test_a_ca_is_added_after_the_others_even_to_a_bundle_without_a_last_line_break(
    tmp_path: Path,
) -> None:
    bundle = with_added(OLD.certificate_pem.rstrip(), [kept(tmp_path, NEW)])

    assert subjects(bundle) == ["CN=old-ca", "CN=new-ca"]


def test_a_ca_that_is_trusted_already_is_not_added_again(tmp_path: Path) -> None:
    assert with_added(OLD.certificate_pem, [kept(tmp_path, OLD)]) == OLD.certificate_pem


@pytest.mark.parametrize("length", [64, 12])
def test_a_ca_is_removed_by_its_fingerprint_or_how_that_begins(length: int) -> None:
    bundle = OLD.certificate_pem + NEW.certificate_pem

    left = without(bundle, [fingerprint(OLD.certificate)[:length]])

    assert subjects(left) == ["CN=new-ca"]


def test_a_ca_is_removed_by_its_file(tmp_path: Path) -> None:
    bundle = OLD.certificate_pem + NEW.certificate_pem

    assert subjects(without(bundle, [str(kept(tmp_path, NEW))])) == ["CN=old-ca"]


def test_a_ca_that_is_not_trusted_cannot_be_removed_and_those_that_are_are_named() -> None:
    with pytest.raises(UsageError, match=r"0badc0de is neither .* It trusts: CN=old-ca \("):
        without(OLD.certificate_pem, ["0badc0de"])


def test_a_fingerprint_that_could_be_two_cas_is_refused() -> None:
    with pytest.raises(UsageError, match="write more of it"):
        without(OLD.certificate_pem + NEW.certificate_pem, [""])
