import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.cloud.namespace.v1 import (
    CertificateFilterSpec,
    MtlsAuthSpec,
    NamespaceSpec,
    ReplicaSpec,
)
from temporalio.exceptions import ApplicationError

from cells.ingress.records import CertificateFilter
from controlplane.api.declaration import check_name, read_declaration
from controlplane.errors import ErrorType
from controlplane.ids import NAMESPACE_NAME
from provisioning.certificates.x509 import new_ca
from provisioning.types import SearchAttributeType
from tests.api.running import CLIENT_CA, declared
from tests.store.views import REGION

NOW = datetime.now(UTC)
REGIONS = (REGION, "gcp-us-central1")
Type = NamespaceSpec.SearchAttributeType


def _replicas(*regions: str) -> Callable[[NamespaceSpec], None]:
    def change(spec: NamespaceSpec) -> None:
        del spec.replicas[:]
        spec.replicas.extend(ReplicaSpec(region=region) for region in regions)

    return change


def _mtls(mtls: MtlsAuthSpec | None) -> Callable[[NamespaceSpec], None]:
    def change(spec: NamespaceSpec) -> None:
        spec.ClearField("mtls_auth")
        if mtls is not None:
            spec.mtls_auth.CopyFrom(mtls)

    return change


def _filters(*filters: CertificateFilterSpec) -> Callable[[NamespaceSpec], None]:
    return lambda spec: spec.mtls_auth.certificate_filters.extend(filters)


def _attributes(kind: Type.ValueType, *names: str) -> Callable[[NamespaceSpec], None]:
    return lambda spec: spec.search_attributes.update(dict.fromkeys(names, kind))


REFUSED: dict[str, tuple[Callable[[NamespaceSpec], object], str]] = {
    "no name": (lambda s: s.ClearField("name"), "spec.name ''"),
    "upper case": (lambda s: setattr(s, "name", "Orders"), "spec.name 'Orders'"),
    "a dot": (lambda s: setattr(s, "name", "a.b"), "spec.name 'a.b'"),
    "no region": (_replicas(), f"names no region: send one of {REGION}, gcp-us-central1"),
    "unknown region": (_replicas("aws-mars-1"), "region 'aws-mars-1' is not part of this fleet"),
    "two regions": (_replicas(*REGIONS), "high availability"),
    "disagreeing": (lambda s: s.regions.append(REGIONS[1]), "name different regions"),
    "retention": (lambda s: setattr(s, "retention_days", 91), "retention_days is 91: send 1 to 90"),
    "less than none": (lambda s: setattr(s, "retention_days", -1), "retention_days is -1"),
    "no way in": (_mtls(None), "no way to authenticate: set spec.mtls_auth.enabled"),
    "mtls off": (_mtls(MtlsAuthSpec(accepted_client_ca=CLIENT_CA)), "no way to authenticate"),
    "no CA": (_mtls(MtlsAuthSpec(enabled=True)), "accepted_client_ca is empty"),
    "no PEM": (
        _mtls(MtlsAuthSpec(enabled=True, accepted_client_ca=b"\xff\x00")),
        "the CA bundle holds no certificate",
    ),
    "no base64": (
        _mtls(MtlsAuthSpec(enabled=True, accepted_client_ca_deprecated="!")),
        "not base64",
    ),
    "API keys": (lambda s: setattr(s.api_key_auth, "enabled", True), "use mtls_auth"),
    "26 filters": (
        _filters(*[CertificateFilterSpec(common_name="x")] * 26),
        "26 certificate_filters; at most 25",
    ),
    "an empty filter": (_filters(CertificateFilterSpec()), "certificate filter 1 is empty"),
    "a star within": (
        _filters(CertificateFilterSpec(common_name="a"), CertificateFilterSpec(organization="a*b")),
        "certificate filter 2: organization 'a*b'",
    ),
    "two stars": (_filters(CertificateFilterSpec(common_name="*a*")), r"common_name '*a*'"),
    "21 bools": (
        _attributes(Type.SEARCH_ATTRIBUTE_TYPE_BOOL, *(f"b{n}" for n in range(21))),
        "21 search attributes of type BOOL; at most 20",
    ),
    "no type": (_attributes(Type.SEARCH_ATTRIBUTE_TYPE_UNSPECIFIED, "A"), "'A' has the unknown"),
    "a later type": (_attributes(Type.ValueType(99), "A"), "unknown type '99'"),
    "an older type": (lambda s: s.custom_search_attributes.update(A="blob"), "type 'blob'"),
    "attribute name": (
        _attributes(Type.SEARCH_ATTRIBUTE_TYPE_INT, "a b"),
        "search attribute 'a b' is not a name",
    ),
    "provisioned": (
        lambda s: setattr(s.capacity_spec.provisioned, "value", 2),
        "capacity_spec.provisioned is not available yet",
    ),
    "fairness": (
        lambda s: setattr(s.fairness, "task_queue_fairness_enabled", True),
        "fairness.task_queue_fairness_enabled is not available yet",
    ),
    "rules": (lambda s: s.connectivity_rule_ids.append("r"), "no connectivity rules yet"),
    "huge": (lambda s: setattr(s.codec_server, "endpoint", "x" * 200_000), "at most 131072"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_spec_that_cannot_be_is_refused_with_what_to_do(case: str) -> None:
    change, told = REFUSED[case]
    spec = declared("orders")
    change(spec)

    with pytest.raises(ApplicationError) as refusal:
        read_declaration(spec, REGIONS, NOW)

    assert refusal.value.type == ErrorType.INVALID_ARGUMENT
    assert told in refusal.value.message


def test_a_spec_becomes_what_is_provisioned() -> None:
    spec = declared("orders")
    spec.mtls_auth.certificate_filters.append(
        CertificateFilterSpec(common_name="worker-*", organization="Acme")
    )
    spec.search_attributes["Customer"] = Type.SEARCH_ATTRIBUTE_TYPE_KEYWORD
    spec.custom_search_attributes["Amount"] = "double"
    spec.lifecycle.enable_delete_protection = True

    wanted = read_declaration(spec, REGIONS, NOW)

    assert wanted.region == REGION
    assert wanted.retention == timedelta(days=7)
    assert wanted.client_ca == CLIENT_CA.decode()
    assert wanted.certificate_filters == (
        CertificateFilter(common_name="worker-*", organization="Acme"),
    )
    assert wanted.search_attributes == {
        "Customer": SearchAttributeType.KEYWORD,
        "Amount": SearchAttributeType.DOUBLE,
    }
    assert wanted.delete_protection
    assert NamespaceSpec.FromString(base64.b64decode(wanted.declaration)) == spec


def test_no_retention_is_thirty_days() -> None:
    spec = declared("orders")
    spec.retention_days = 0

    assert read_declaration(spec, REGIONS, NOW).retention == timedelta(days=30)


def test_the_older_field_of_the_client_ca_is_read() -> None:
    spec = declared("orders")
    spec.mtls_auth.ClearField("accepted_client_ca")
    spec.mtls_auth.accepted_client_ca_deprecated = base64.b64encode(CLIENT_CA).decode()

    assert read_declaration(spec, REGIONS, NOW).client_ca == CLIENT_CA.decode()


def test_an_expired_client_ca_is_accepted() -> None:
    # The ingress refuses its clients anyway, and existing clients upload such bundles.
    spec = declared("orders")
    later = NOW + timedelta(days=3650)

    assert read_declaration(spec, REGIONS, later).client_ca == CLIENT_CA.decode()


def test_regions_and_replicas_may_both_be_sent() -> None:
    spec = declared("orders")
    spec.regions.append(REGION)

    assert read_declaration(spec, REGIONS, NOW).region == REGION


def test_several_authorities_may_be_sent() -> None:
    other = new_ca("others", validity=timedelta(days=1)).certificate_pem
    spec = declared("orders")
    spec.mtls_auth.accepted_client_ca = b"# ours\n" + CLIENT_CA + b"# theirs\n" + other

    assert read_declaration(spec, REGIONS, NOW).client_ca == (CLIENT_CA + other).decode()


@given(name=st.text(alphabet="ab9-A._", max_size=41))
def test_a_name_is_accepted_exactly_if_it_has_the_documented_form(name: str) -> None:
    characters = set(name) <= set("ab9-")
    ends = name[:1].isalpha() and name[-1:] != "-" and name.islower()
    fine = 2 <= len(name) <= 39 and characters and ends
    assert bool(NAMESPACE_NAME.fullmatch(name)) == fine
    if not fine:
        with pytest.raises(ApplicationError):
            check_name(name)
