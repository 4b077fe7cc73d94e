from dataclasses import replace
from pathlib import Path

import pytest
from temporalio.api.cloud.namespace.v1 import CertificateFilterSpec, NamespaceSpec

from controlplane.cli.failures import UsageError
from controlplane.cli.spec_options import SpecOptions, namespace_spec

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.fixture
def options(tmp_path: Path) -> SpecOptions:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text(CERTIFICATE)
    return SpecOptions("orders", "aws-us-east-1", ca_file, retention_days=30)


def test_options_become_the_spec_of_the_cloud_ops_api(options: SpecOptions) -> None:
    spec = namespace_spec(
        replace(
            options,
            search_attributes=("Customer=KEYWORD", "Placed=datetime"),
            certificate_filters=("cn=billing-*,o=Acme", "san=spiffe://acme/billing"),
            delete_protection=True,
        )
    )

    assert [replica.region for replica in spec.replicas] == ["aws-us-east-1"]
    assert spec.retention_days == 30
    assert spec.mtls_auth.accepted_client_ca.decode() == CERTIFICATE
    assert list(spec.mtls_auth.certificate_filters) == [
        CertificateFilterSpec(common_name="billing-*", organization="Acme"),
        CertificateFilterSpec(subject_alternative_name="spiffe://acme/billing"),
    ]
    assert dict(spec.search_attributes) == {
        "Customer": NamespaceSpec.SEARCH_ATTRIBUTE_TYPE_KEYWORD,
        "Placed": NamespaceSpec.SEARCH_ATTRIBUTE_TYPE_DATETIME,
    }
    assert spec.lifecycle.enable_delete_protection


@pytest.mark.parametrize(
    ("attribute", "says"),
    [
        ("Customer", "TYPE of TEXT, KEYWORD, INT"),
        ("Customer=STRING", "'Customer=STRING'"),
        ("=KEYWORD", "has no name"),
    ],
)
def test_a_search_attribute_that_makes_no_sense_is_quoted(
    options: SpecOptions, attribute: str, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        namespace_spec(replace(options, search_attributes=(attribute,)))


@pytest.mark.parametrize("text", ["billing", "cn=", "email=a@b", "cn=a,,o=b"])
def test_a_certificate_filter_that_makes_no_sense_is_quoted(
    options: SpecOptions, text: str
) -> None:
    with pytest.raises(UsageError, match=f"certificate filter '{text}'"):
        namespace_spec(replace(options, certificate_filters=(text,)))


def test_a_private_key_is_never_sent(options: SpecOptions) -> None:
    options.ca_file.write_text(f"{CERTIFICATE}-----BEGIN EC PRIVATE KEY-----\nMHc\n")

    with pytest.raises(UsageError, match="holds a private key, which must not leave this machine"):
        namespace_spec(options)


def test_a_ca_file_without_a_certificate_is_refused(options: SpecOptions) -> None:
    options.ca_file.write_text("hello")

    with pytest.raises(UsageError, match="holds no PEM certificate"):
        namespace_spec(options)


def test_a_missing_ca_file_is_named(options: SpecOptions, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read the CA file .*nowhere\.pem"):
        namespace_spec(replace(options, ca_file=tmp_path / "nowhere.pem"))
