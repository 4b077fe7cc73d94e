import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import certifi
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
from controlplane.api.replica_rules import ReplicaRules
from controlplane.errors import ErrorType
from controlplane.identity.limits import DEFAULTS, AccountLimits
from controlplane.ids import NAMESPACE_NAME
from provisioning.certificates.x509 import new_ca
from provisioning.types import NamespaceSpec as Provisioned
from provisioning.types import SearchAttributeType
from tests.api.running import CLIENT_CA, declared
from tests.store.views import REGION

NOW = datetime.now(UTC)
REGIONS = (REGION, "gcp-us-central1")
Type = NamespaceSpec.SearchAttributeType


def read(
    spec: NamespaceSpec, *, now: datetime = NOW, allowed: AccountLimits = DEFAULTS
) -> Provisioned:
    return read_declaration(spec, ReplicaRules(REGIONS), allowed, now)


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


def _off(spec: NamespaceSpec) -> None:
    spec.mtls_auth.enabled = False
    spec.api_key_auth.enabled = False


def _attributes(kind: Type.ValueType, *names: str) -> Callable[[NamespaceSpec], None]:
    return lambda spec: spec.search_attributes.update(dict.fromkeys(names, kind))


REFUSED: dict[str, tuple[Callable[[NamespaceSpec], object], str]] = {
    "no name": (lambda s: s.ClearField("name"), "spec.name ''"),
    "upper case": (lambda s: setattr(s, "name", "Orders"), "spec.name 'Orders'"),
    "a dot": (lambda s: setattr(s, "name", "a.b"), "spec.name 'a.b'"),
    "no region": (_replicas(), f"names no region: send one of {REGION}, gcp-us-central1"),
    "unknown region": (_replicas("aws-mars-1"), "region 'aws-mars-1' is not part of this fleet"),
    "one of two unknown": (_replicas(REGION, "aws-mars-1"), "'aws-mars-1' is not part of this fl"),
    "three regions": (_replicas(*REGIONS, REGION), "names 3 regions"),
    "disagreeing": (lambda s: s.regions.append(REGIONS[1]), "name different regions"),
    "retention": (lambda s: setattr(s, "retention_days", 91), "retention_days is 91: send 1 to 90"),
    "less than none": (lambda s: setattr(s, "retention_days", -1), "retention_days is -1"),
    "no way in": (_mtls(None), "no way to authenticate: set spec.mtls_auth.enabled"),
    "mtls off": (_mtls(MtlsAuthSpec(accepted_client_ca=CLIENT_CA)), "no way to authenticate"),
    "API keys off": (lambda s: _off(s), "or spec.api_key_auth.enabled"),
    "no PEM": (
        _mtls(MtlsAuthSpec(enabled=True, accepted_client_ca=b"\xff\x00")),
        "the CA bundle holds no certificate",
    ),
    "no base64": (
        _mtls(MtlsAuthSpec(enabled=True, accepted_client_ca_deprecated="!")),
        "not base64",
    ),
    "26 filters": (
        _filters(*[CertificateFilterSpec(common_name="x")] * 26),
        "26 certificate_filters; at most 25",
    ),
    "a filter we cannot enforce": (
        # Field 500, a string: something that a later version of the API might narrow it by.
        _filters(CertificateFilterSpec.FromString(b"\x0a\x01a\xa2\x1f\x05later")),
        "certificate filter 1 has a field that this control plane does not know",
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
        "capacity_spec.provisioned cannot be set at creation",
    ),
    "huge": (lambda s: setattr(s.codec_server, "endpoint", "x" * 200_000), "at most 131072"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_spec_that_cannot_be_is_refused_with_what_to_do(case: str) -> None:
    change, told = REFUSED[case]
    spec = declared("orders")
    change(spec)

    with pytest.raises(ApplicationError) as refusal:
        read(spec)

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

    wanted = read(spec)

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
    assert not wanted.managed_ca
    assert not wanted.api_keys
    # Nothing is left that only the declaration says.
    assert wanted.declaration == ""


def test_certificates_without_a_ca_ask_for_a_managed_one() -> None:
    spec = declared("orders")
    spec.mtls_auth.CopyFrom(MtlsAuthSpec(enabled=True))

    wanted = read(spec)

    assert (wanted.client_ca, wanted.managed_ca) == ("", True)


def test_api_keys_open_a_namespace_without_certificates() -> None:
    spec = declared("orders")
    spec.mtls_auth.enabled = False
    spec.api_key_auth.enabled = True

    wanted = read(spec)

    assert wanted.api_keys
    # A CA that is not in use is not kept.
    assert (wanted.client_ca, wanted.managed_ca, wanted.declaration) == ("", False, "")


def _older_fields(spec: NamespaceSpec) -> None:
    spec.regions.extend(replica.region for replica in spec.replicas)
    del spec.replicas[:]
    mtls = spec.mtls_auth
    mtls.accepted_client_ca_deprecated = base64.b64encode(mtls.accepted_client_ca).decode()
    mtls.ClearField("accepted_client_ca")
    spec.ClearField("search_attributes")
    spec.custom_search_attributes["Customer"] = "keyword"


def _empty_messages(spec: NamespaceSpec) -> None:
    for field in ("api_key_auth", "lifecycle", "codec_server", "high_availability"):
        getattr(spec, field).SetInParent()
    spec.capacity_spec.SetInParent()
    spec.codec_server.pass_access_token = True


SAME: dict[str, Callable[[NamespaceSpec], object]] = {
    "older fields": _older_fields,
    "both fields": lambda s: s.custom_search_attributes.update(Customer="keyword"),
    "regions too": lambda s: s.regions.append(REGION),
    "empty messages": _empty_messages,
    "false": lambda s: setattr(s.lifecycle, "enable_delete_protection", False),
}


@pytest.mark.parametrize("case", SAME)
def test_specs_that_mean_the_same_are_equal(case: str) -> None:
    spec = declared("orders")
    spec.search_attributes["Customer"] = Type.SEARCH_ATTRIBUTE_TYPE_KEYWORD
    same = NamespaceSpec.FromString(spec.SerializeToString())
    SAME[case](same)

    assert same != spec
    assert read(same) == read(spec)


def test_limits_are_those_of_the_account() -> None:
    other = new_ca("others", validity=timedelta(days=1)).certificate_pem
    spec = declared("orders")
    spec.mtls_auth.accepted_client_ca = CLIENT_CA + other
    spec.mtls_auth.certificate_filters.extend([CertificateFilterSpec(common_name="x")] * 2)
    spec.search_attributes["A"] = spec.search_attributes["B"] = Type.SEARCH_ATTRIBUTE_TYPE_INT
    read(spec)

    for limit, told in (
        ("ca_certificates", "holds 2 certificates; the account's limit is 1"),
        ("ca_bundle_bytes", "the account's limit is 1 (ca_bundle_bytes)"),
        ("certificate_filters", "2 certificate_filters; at most 1"),
        ("retention_days", "retention_days is 7: send 1 to 1"),
        ("int_search_attributes", "2 search attributes of type INT; at most 1"),
    ):
        with pytest.raises(ApplicationError) as refusal:
            read(spec, allowed=DEFAULTS.with_exceptions({limit: 1}))
        assert told in refusal.value.message


def test_no_retention_is_thirty_days() -> None:
    spec = declared("orders")
    spec.retention_days = 0

    assert read(spec).retention == timedelta(days=30)


def test_the_older_field_of_the_client_ca_is_read() -> None:
    spec = declared("orders")
    spec.mtls_auth.ClearField("accepted_client_ca")
    spec.mtls_auth.accepted_client_ca_deprecated = base64.b64encode(CLIENT_CA).decode()

    assert read(spec).client_ca == CLIENT_CA.decode()


def test_an_expired_client_ca_is_accepted() -> None:
    # The ingress refuses its clients anyway, and existing clients upload such bundles.
    spec = declared("orders")
    later = NOW + timedelta(days=3650)

    assert read(spec, now=later).client_ca == CLIENT_CA.decode()


def test_a_public_authority_takes_filters_beside_it() -> None:
    spec = declared("orders")
    spec.mtls_auth.accepted_client_ca = Path(certifi.where()).read_bytes().split(b"\n\n")[0]
    with pytest.raises(ApplicationError) as refusal:
        read(spec)
    assert "holds a public authority" in refusal.value.message
    spec.mtls_auth.certificate_filters.add(common_name="worker-*")

    assert read(spec).client_ca


def test_a_namespace_begins_with_a_replica_in_each_of_two_regions() -> None:
    spec = declared("orders")
    _replicas(*REGIONS)(spec)

    wanted = read(spec)

    assert (wanted.region, wanted.replicas) == (REGION, REGIONS)
    # Clients of either age say it their way.
    spec.regions.extend(REGIONS)
    del spec.replicas[:]
    assert read(spec) == wanted


def test_two_replicas_may_be_in_one_region() -> None:
    spec = declared("orders")
    _replicas(REGION, REGION)(spec)

    assert read(spec).replicas == (REGION, REGION)


def test_a_single_replica_is_said_in_one_way_only() -> None:
    assert read(declared("orders")).replicas == ()


def test_what_is_said_of_high_availability_is_provisioned() -> None:
    spec = declared("orders")
    assert (read(spec).managed_failover, read(spec).forward_polls) == (True, True)
    spec.high_availability.disable_managed_failover = True
    spec.high_availability.disable_passive_poller_forwarding = True

    wanted = read(spec)

    assert (wanted.managed_failover, wanted.forward_polls) == (False, False)
    assert wanted.declaration == ""


def test_regions_and_replicas_may_both_be_sent() -> None:
    spec = declared("orders")
    spec.regions.append(REGION)

    assert read(spec).region == REGION


def test_several_authorities_may_be_sent() -> None:
    other = new_ca("others", validity=timedelta(days=1)).certificate_pem
    spec = declared("orders")
    spec.mtls_auth.accepted_client_ca = b"# ours\n" + CLIENT_CA + b"# theirs\n" + other

    assert read(spec).client_ca == (CLIENT_CA + other).decode()


@given(name=st.text(alphabet="ab9-A._", max_size=41))
def test_a_name_is_accepted_exactly_if_it_has_the_documented_form(name: str) -> None:
    characters = set(name) <= set("ab9-")
    ends = name[:1].isalpha() and name[-1:] != "-" and name.islower()
    fine = 2 <= len(name) <= 39 and characters and ends
    assert bool(NAMESPACE_NAME.fullmatch(name)) == fine
    if not fine:
        with pytest.raises(ApplicationError):
            check_name(name)
