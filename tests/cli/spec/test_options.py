from pathlib import Path

import pytest
from temporalio.api.cloud.namespace.v1 import CertificateFilterSpec, NamespaceSpec

from controlplane.cli.failures import UsageError
from controlplane.cli.spec.options import SpecOptions, new_spec

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    file = tmp_path / "ca.pem"
    file.write_text(CERTIFICATE)
    return file


def orders(options: SpecOptions) -> NamespaceSpec:
    return new_spec("orders", "aws-us-east-1", options)


def test_options_become_the_spec_of_the_cloud_ops_api(ca_file: Path) -> None:
    spec = orders(
        SpecOptions(
            retention_days=45,
            ca_file=ca_file,
            search_attribute=["Customer=KEYWORD", "Placed=datetime"],
            certificate_filter=["cn=billing-*,o=Acme", "san=spiffe://acme/billing"],
            delete_protection=True,
            api_keys=True,
        )
    )

    assert [replica.region for replica in spec.replicas] == ["aws-us-east-1"]
    assert spec.retention_days == 45
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
    assert spec.api_key_auth.enabled


def test_without_a_ca_file_clients_get_in_by_certificates_of_a_managed_ca() -> None:
    spec = orders(SpecOptions())

    assert spec.mtls_auth.enabled
    assert spec.mtls_auth.accepted_client_ca == b""
    assert not spec.api_key_auth.enabled
    assert spec.retention_days == 30


def test_with_api_keys_alone_no_certificate_gets_in() -> None:
    spec = orders(SpecOptions(mtls=False, api_keys=True))

    assert not spec.HasField("mtls_auth")
    assert spec.api_key_auth.enabled


def test_what_is_not_said_stays_as_it_is(ca_file: Path) -> None:
    spec = orders(SpecOptions(ca_file=ca_file, codec_endpoint="https://codec.example.com"))
    before = NamespaceSpec.FromString(spec.SerializeToString())

    SpecOptions().write_to(spec)
    assert spec == before

    SpecOptions(retention_days=60).write_to(spec)
    before.retention_days = 60
    assert spec == before


def test_a_codec_server_is_changed_part_by_part() -> None:
    spec = orders(
        SpecOptions(codec_endpoint="https://codec.example.com", codec_pass_access_token=True)
    )

    SpecOptions(codec_error_message="ask Jo", codec_pass_access_token=False).write_to(spec)

    assert spec.codec_server.endpoint == "https://codec.example.com"
    assert not spec.codec_server.pass_access_token
    assert spec.codec_server.custom_error_message.default.message == "ask Jo"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (SpecOptions(codec_error_message="ask Jo"), "--codec-endpoint"),
        (SpecOptions(mtls=False, certificate_filter=["cn=a"]), "leave out"),
        (SpecOptions(search_attribute=["Customer"]), "TYPE of TEXT, KEYWORD, INT"),
        (SpecOptions(search_attribute=["Customer=STRING"]), "'Customer=STRING'"),
        (SpecOptions(search_attribute=["=KEYWORD"]), "has no name"),
    ],
)
def test_options_that_make_no_sense_are_quoted(options: SpecOptions, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        orders(options)


@pytest.mark.parametrize("text", ["billing", "cn=", "email=a@b", "cn=a,,o=b"])
def test_a_certificate_filter_that_makes_no_sense_is_quoted(text: str) -> None:
    with pytest.raises(UsageError, match=f"certificate filter '{text}'"):
        orders(SpecOptions(certificate_filter=[text]))


def test_a_private_key_is_never_sent(ca_file: Path) -> None:
    ca_file.write_text(f"{CERTIFICATE}-----BEGIN EC PRIVATE KEY-----\nMHc\n")

    with pytest.raises(UsageError, match="holds a private key, which must not leave this machine"):
        orders(SpecOptions(ca_file=ca_file))


def test_a_ca_file_without_a_certificate_is_refused(ca_file: Path) -> None:
    ca_file.write_text("hello")

    with pytest.raises(UsageError, match="holds no PEM certificate"):
        orders(SpecOptions(ca_file=ca_file))


def test_a_missing_ca_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read the CA file .*nowhere\.pem"):
        orders(SpecOptions(ca_file=tmp_path / "nowhere.pem"))
