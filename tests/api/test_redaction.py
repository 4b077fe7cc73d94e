import base64
import json
from datetime import timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import JsonValue
from temporalio.api.cloud.cloudservice.v1 import CreateApiKeyRequest, CreateNamespaceRequest
from temporalio.api.cloud.identity.v1 import ApiKeySpec

from controlplane.api.redaction import LARGEST_VALUE, WITHHELD, fields_of, redacted
from provisioning.certificates.x509 import new_ca
from tests.api.running import create_request

CA = new_ca("clients", validity=timedelta(days=1))
PEM = CA.certificate_pem.decode()


def test_pem_is_shortened_to_its_fingerprint_also_inside_bytes() -> None:
    request = create_request("orders")
    request.spec.mtls_auth.accepted_client_ca = CA.certificate_pem * 2
    request.spec.mtls_auth.accepted_client_ca_deprecated = base64.b64encode(
        CA.certificate_pem
    ).decode()

    text = json.dumps(redacted(fields_of(request)))

    fingerprint = CA.fingerprint
    assert text.count(f"(CERTIFICATE sha256:{fingerprint})") == 3
    assert "BEGIN" not in text
    assert base64.b64encode(CA.certificate_pem[:60]).decode()[:40] not in text


def test_a_private_key_leaves_nothing() -> None:
    key = CA.key_pem.decode()

    text = json.dumps(redacted({"anywhere": f"see {key}", "encoded": _base64(CA.key_pem)}))

    assert text.count("PRIVATE KEY withheld") == 2
    assert not any(line in text for line in key.splitlines()[1:-1])


@pytest.mark.parametrize(
    ("value", "hidden"),
    [
        ("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "eyJ"),
        ("Bearer eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "eyJ"),
        ("https://codec.example.com/?key=s3cr3t", "s3cr3t"),
        ("https://olga:s3cr3t@codec.example.com/path", "s3cr3t"),
        ("https://codec.example.com/path#s3cr3t", "s3cr3t"),
        ("-----BEGIN PRIVATE KEY-----\ns3cr3t", "s3cr3t"),
        ("x" * 5000 + "s3cr3t", "s3cr3t"),
    ],
)
def test_what_a_secret_may_be_in_is_cut(value: str, hidden: str) -> None:
    assert hidden not in json.dumps(redacted({"value": [value]}))


@pytest.mark.parametrize("name", ["token", "clientSecret", "password", "private_key"])
def test_fields_of_secrets_are_withheld_by_name(name: str) -> None:
    assert redacted({name: "s3cr3t", "passAccessToken": True}) == {
        name: WITHHELD,
        "passAccessToken": True,
    }


@pytest.mark.parametrize(
    "value", ["orders", "https://codec.example.com/path", "a@b.example", "", 1, None, True, ["x"]]
)
def test_what_is_no_secret_stays(value: JsonValue) -> None:
    assert redacted({"value": value}) == {"value": value}


def test_a_request_beyond_measure_is_kept_as_its_fingerprint() -> None:
    request = CreateNamespaceRequest(tags={f"tag-{n}": "x" * 100 for n in range(1000)})

    shown = redacted(fields_of(request))

    assert isinstance(shown, str)
    assert "sha256:" in shown
    assert len(json.dumps(shown)) < LARGEST_VALUE


def test_a_request_that_json_cannot_say_is_kept_as_its_fingerprint() -> None:
    request = CreateApiKeyRequest(spec=ApiKeySpec(expiry_time=Timestamp(seconds=2**60)))

    assert "no JSON, sha256:" in str(redacted(fields_of(request)))


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
