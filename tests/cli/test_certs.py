import json
import stat
from pathlib import Path

import pytest
from cryptography import x509
from typer.testing import CliRunner, Result

from controlplane.cli import certs
from provisioning.certificates.x509 import CertificateAndKey

Files = tuple[Path, Path]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(certs.app, [str(argument) for argument in arguments])


def made(result: Result) -> Files:
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    return Path(answer["certificate_file"]), Path(answer["key_file"])


@pytest.fixture
def authority(tmp_path: Path) -> Files:
    return made(run("create-ca", "--name", "acme-ca", "--out", tmp_path, "-o", "json"))


def issue(authority: Files, *arguments: str | Path) -> Result:
    certificate, key = authority
    return run("issue", "--ca-cert", certificate, "--ca-key", key, *arguments)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_client_certificate_is_signed_by_the_authority_it_was_issued_from(
    authority: Files, tmp_path: Path
) -> None:
    subject = ("--name", "billing", "--organization", "Acme", "--organizational-unit", "Payments")

    certificate, key = made(issue(authority, *subject, "--out", tmp_path / "c", "-o", "json"))

    client = CertificateAndKey.from_pem(certificate.read_bytes() + key.read_bytes())
    ca = x509.load_pem_x509_certificate(authority[0].read_bytes())
    client.certificate.verify_directly_issued_by(ca)
    assert client.certificate.subject.rfc4514_string() == "CN=billing,OU=Payments,O=Acme"


def test_files_and_new_folders_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"

    files = made(run("create-ca", "--name", "acme-ca", "--out", folder, "-o", "json"))

    assert [mode(file) for file in files] == [0o600, 0o600]
    assert mode(folder) == 0o700


@pytest.mark.parametrize("kept", [0, 1], ids=["certificate", "key"])
def test_a_file_that_exists_is_never_replaced_unasked(
    authority: Files, tmp_path: Path, kept: int
) -> None:
    before = authority[kept].read_bytes()
    authority[1 - kept].unlink()

    result = run("create-ca", "--name", "acme-ca", "--out", tmp_path)

    assert result.exit_code == 1
    assert f"{authority[kept]} exists" in result.stderr
    assert "--force" in result.stderr
    assert authority[kept].read_bytes() == before
    assert not authority[1 - kept].exists()


def test_force_replaces_certificate_and_key_together(authority: Files, tmp_path: Path) -> None:
    before = [file.read_bytes() for file in authority]

    result = run("create-ca", "--name", "acme-ca", "--out", tmp_path, "--force")

    assert result.exit_code == 0
    after = [file.read_bytes() for file in authority]
    assert after[0] != before[0]
    CertificateAndKey.from_pem(after[0] + after[1])


def test_commands_say_what_was_written_and_what_to_run_next(tmp_path: Path) -> None:
    result = run("create-ca", "--name", "acme-ca", "--out", tmp_path)

    assert str(tmp_path / "acme-ca.pem") in result.stdout
    assert str(tmp_path / "acme-ca.key") in result.stdout
    assert f"namespace create NAME --region REGION --ca-file {tmp_path}/acme-ca.pem" in (
        result.stdout
    )
    assert f"certs issue --ca-cert {tmp_path}/acme-ca.pem" in result.stdout


def test_no_output_shows_a_private_key(authority: Files, tmp_path: Path) -> None:
    result = issue(authority, "--name", "billing", "--out", tmp_path)

    assert "PRIVATE KEY" not in result.output
    for line in (tmp_path / "billing.key").read_text().splitlines():
        assert line not in result.output


@pytest.mark.parametrize(
    ("name", "says"),
    [("../billing", "cannot be the name of a file"), ("", "cannot be"), ("x" * 65, "1 to 64")],
)
def test_a_name_that_cannot_be_a_files_or_a_subjects_is_a_usage_error(
    tmp_path: Path, name: str, says: str
) -> None:
    result = run("create-ca", "--name", name, "--out", tmp_path / "sub")

    assert result.exit_code == 2
    assert says in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_key_of_another_certificate_is_refused(authority: Files, tmp_path: Path) -> None:
    _, foreign_key = made(run("create-ca", "--name", "other", "--out", tmp_path, "-o", "json"))

    result = issue((authority[0], foreign_key), "--name", "billing", "--out", tmp_path)

    assert result.exit_code == 1
    assert "not that of the certificate CN=acme-ca" in result.stderr
    assert not (tmp_path / "billing.key").exists()


def test_a_missing_authority_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.pem"

    result = issue((missing, missing), "--name", "billing", "--out", tmp_path)

    assert result.exit_code == 1
    assert f"cannot read {missing}" in result.stderr
