import base64
import json
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.api.cloud.namespace.v1 import (
    CodecServerSpec,
    LifecycleSpec,
    MtlsAuthSpec,
    Namespace,
    NamespaceSpec,
    ReplicaSpec,
)

from controlplane.cli.failures import UsageError
from controlplane.cli.spec.difference import spec_changes, tag_changes
from controlplane.cli.spec.file import DeclaredNamespace, read_spec_file
from controlplane.cli.spec.text import as_spec_file
from provisioning.certificates.x509 import new_ca

CA = new_ca("orders-ca", validity=timedelta(days=30))
PEM = CA.certificate_pem


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "orders.yaml"


def read(file: Path, text: str) -> DeclaredNamespace:
    file.write_text(text)
    [declared] = read_spec_file(file)
    return declared


WHOLE = NamespaceSpec(
    name="orders",
    replicas=[ReplicaSpec(region="aws-us-east-1")],
    retention_days=30,
    mtls_auth=MtlsAuthSpec(enabled=True, accepted_client_ca=PEM),
    search_attributes={"Customer": NamespaceSpec.SEARCH_ATTRIBUTE_TYPE_KEYWORD},
    lifecycle=LifecycleSpec(enable_delete_protection=True),
)


@pytest.mark.parametrize(
    "style",
    [
        {
            "name": "orders",
            "replicas": [{"region": "aws-us-east-1"}],
            "retentionDays": 30,
            "mtlsAuth": {"enabled": True, "acceptedClientCa": base64.b64encode(PEM).decode()},
            "searchAttributes": {"Customer": "SEARCH_ATTRIBUTE_TYPE_KEYWORD"},
            "lifecycle": {"enableDeleteProtection": True},
        },
        {
            "name": "orders",
            "replicas": [{"region": "aws-us-east-1"}],
            "retention_days": 30,
            "mtls_auth": {"enabled": True, "accepted_client_ca": PEM.decode()},
            "search_attributes": {"Customer": "keyword"},
            "lifecycle": {"enable_delete_protection": True},
        },
        {
            "name": "orders",
            "region": "aws-us-east-1",
            "retention": "30d",
            "clientCaFile": "../ca.pem",
            "searchAttributes": {"Customer": "KEYWORD"},
            "deleteProtection": True,
        },
    ],
    ids=["protobuf JSON", "names of the proto", "friendly"],
)
def test_the_same_spec_is_read_however_it_is_written(
    style: dict[str, object], tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_bytes(PEM)
    folder = tmp_path / "specs"
    folder.mkdir()

    declared = read(folder / "orders.json", json.dumps(style))

    assert declared.spec == WHOLE
    assert declared.tags is None


def test_what_get_prints_is_read_back_as_it_was(file: Path) -> None:
    spec = NamespaceSpec.FromString(WHOLE.SerializeToString())
    spec.regions.append("aws-us-east-1")
    spec.custom_search_attributes["Customer"] = "keyword"
    spec.mtls_auth.accepted_client_ca_deprecated = base64.b64encode(PEM).decode()
    spec.api_key_auth.SetInParent()
    spec.codec_server.CopyFrom(CodecServerSpec(endpoint="https://codec", pass_access_token=True))
    spec.high_availability.disable_managed_failover = True
    tags = {"team": "payments", "on-call": "yes", "since": "2026-01-01"}

    declared = read(file, as_spec_file(Namespace(spec=spec, tags=tags)))

    assert spec_changes(spec, declared.spec) == []
    assert declared.tags is not None
    assert tag_changes(tags, declared.tags) == []


def test_a_certificate_is_printed_as_people_keep_it() -> None:
    assert "acceptedClientCa: |\n    -----BEGIN CERTIFICATE-----\n" in as_spec_file(
        Namespace(spec=WHOLE)
    )


def test_a_file_may_declare_several_namespaces_and_says_where_one_is_wrong(file: Path) -> None:
    file.write_text("name: orders\n---\n---\nname: billing\ntags: {team: payments}\n")
    assert [(each.spec.name, each.tags) for each in read_spec_file(file)] == [
        ("orders", None),
        ("billing", {"team": "payments"}),
    ]

    with pytest.raises(UsageError, match=r"orders\.yaml, document 2: regoin means nothing"):
        read(file, "name: orders\n---\nname: billing\nregoin: aws-us-east-1\n")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: a1\nretenionDays: 3", "retenionDays means nothing. Did you mean retentionDays?"),
        ("name: a1\nclient_ca: x", "client_ca means nothing. Did you mean clientCaFile?"),
        (
            "name: a1\nmtlsAuth: {certificateFilter: []}",
            "mtlsAuth.certificateFilter means nothing. Did you mean certificateFilters?",
        ),
        (
            "name: a1\nmtlsAuth: {certificateFilters: [{cn: x}]}",
            "mtlsAuth.certificateFilters.cn means nothing. What can be said there: commonName",
        ),
        ("name: a1\nretentionDays: soon", "retentionDays"),
        ("name: a1\nretention: 30h", "retention '30h' is no number of days, such as 30d"),
        ("name: a1\nretention: 30d\nretentionDays: 30", "give one of them"),
        ("name: a1\nregion: x\nreplicas: []", "give one of them"),
        ("name: a1\nsearchAttributes: {Customer: STRING}", "Customer is of no type 'STRING'"),
        ("name: a1\nname: a2", "'name' is written twice"),
        ("name: a1\n---\nname: a1", "declares 'a1' 2 times"),
        ("name: a1\ntags: {on-call: yes}", "tag 'on-call': True is not text"),
        ("name: a1\ntags: [a]", "tags is a list"),
        ("retentionDays: 3", "has no name"),
        ("- name: a1", "is a list"),
        ("name: [", "is neither YAML nor JSON"),
        ("", "declares no namespace: it is empty"),
        ("name: a1\nclientCaFile: nowhere.pem", "cannot read the CA file"),
        ("name: a1\nclientCaFile: 7", "clientCaFile is 7: write the path of a file"),
    ],
)
def test_what_makes_no_sense_is_named_with_what_would(file: Path, text: str, says: str) -> None:
    with pytest.raises(UsageError) as refusal:
        read(file, text)

    assert says in str(refusal.value)
    assert str(file) in str(refusal.value) or "nowhere.pem" in says or "CA file" in says


def test_a_private_key_is_never_sent(file: Path) -> None:
    (file.parent / "both.pem").write_bytes(CA.to_pem())
    inline = "\n".join(f"    {line}" for line in CA.to_pem().decode().splitlines())

    for text in (f"mtlsAuth:\n  acceptedClientCa: |\n{inline}\n", "clientCaFile: both.pem"):
        with pytest.raises(UsageError, match="private key, which must not leave this machine"):
            read(file, f"name: orders\n{text}")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*nowhere\.yaml"):
        read_spec_file(tmp_path / "nowhere.yaml")
