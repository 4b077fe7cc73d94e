"""What an update leaves as it is, and what it takes away."""

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.cloud.namespace.v1 import MtlsAuthSpec, NamespaceSpec, ReplicaSpec
from temporalio.exceptions import ApplicationError

from controlplane.api.declaration import read_declaration, read_replacement
from controlplane.api.messages import declaration
from controlplane.api.replica_rules import ReplicaRules
from controlplane.api.versions import LATEST, ApiVersion, read_version
from controlplane.errors import ErrorType
from controlplane.identity.limits import DEFAULTS
from provisioning.types import NamespaceView
from tests.api.running import CLIENT_CA, declared
from tests.store.views import REGION, namespace_view

NOW = datetime.now(UTC)
OTHER = "gcp-us-central1"
RULES = ReplicaRules((REGION, OTHER))
Type = NamespaceSpec.SearchAttributeType
# Field 500, a string: something that a later version of the API might have.
LATER = b"\xa2\x1f\x05later"


def full() -> NamespaceSpec:
    """Return a spec that uses everything."""
    spec = declared("orders")
    spec.mtls_auth.certificate_filters.add(common_name="worker-*")
    spec.api_key_auth.enabled = True
    spec.lifecycle.enable_delete_protection = True
    spec.codec_server.endpoint = "https://codec.example.com"
    spec.codec_server.custom_error_message.default.message = "ask the platform team"
    spec.high_availability.disable_managed_failover = True
    spec.high_availability.disable_passive_poller_forwarding = True
    spec.connectivity_rule_ids.extend(["rule-2", "rule-1"])
    spec.capacity_spec.on_demand.SetInParent()
    spec.fairness.task_queue_fairness_enabled = True
    spec.search_attributes["Customer"] = Type.SEARCH_ATTRIBUTE_TYPE_KEYWORD
    spec.retention_days = 7
    return NamespaceSpec.FromString(spec.SerializeToString() + LATER)


def made(spec: NamespaceSpec) -> NamespaceView:
    """Return the namespace that was created by a spec."""
    wanted = read_declaration(spec, RULES, DEFAULTS, NOW)
    return namespace_view("orders.acme1", spec=wanted)


def replaced(
    view: NamespaceView, spec: NamespaceSpec, version: ApiVersion = LATEST
) -> NamespaceView:
    return replace(view, spec=read_replacement(spec, view, RULES, DEFAULTS, NOW, version))


def test_what_is_read_and_sent_back_changes_nothing() -> None:
    view = made(full())

    again = replaced(view, declaration(view))

    assert again.spec == view.spec
    assert LATER in declaration(again).SerializeToString()


MESSAGES = {
    "lifecycle": b"\x08\x01",
    "codec_server": b"\x0a\x01x",
    "high_availability": b"\x08\x01",
    "capacity_spec": b"\x0a\x00",
    "fairness": b"\x08\x01",
    "api_key_auth": b"\x08\x01",
}
"""Each with its first field set."""


@given(
    messages=st.dictionaries(st.sampled_from(sorted(MESSAGES)), st.booleans()),
    version=st.sampled_from([LATEST, ApiVersion(0, 17), ApiVersion(0, 12), ApiVersion(0, 0)]),
    rules=st.lists(st.text(alphabet="ab", min_size=1), max_size=3),
    unknown=st.booleans(),
    bundle=st.sampled_from([b"", CLIENT_CA, b"# ours\n" + CLIENT_CA]),
)
def test_whatever_is_read_and_sent_back_changes_nothing(
    messages: dict[str, bool], version: ApiVersion, rules: list[str], unknown: bool, bundle: bytes
) -> None:
    spec = declared("orders")
    spec.mtls_auth.accepted_client_ca = bundle
    spec.connectivity_rule_ids.extend(rules)
    for name, is_set in messages.items():
        message: Message = getattr(spec, name)
        message.SetInParent()
        message.MergeFromString(MESSAGES[name] if is_set else b"")
    view = made(NamespaceSpec.FromString(spec.SerializeToString() + (LATER if unknown else b"")))

    assert replaced(view, declaration(view), version).spec == view.spec


def test_what_is_left_out_is_taken_away() -> None:
    bare = declared("orders")
    bare.ClearField("mtls_auth")
    bare.api_key_auth.enabled = True
    bare.search_attributes["Customer"] = Type.SEARCH_ATTRIBUTE_TYPE_KEYWORD

    found = declaration(replaced(made(full()), bare))

    assert not found.HasField("mtls_auth")
    assert not found.HasField("codec_server")
    assert not found.HasField("lifecycle")
    assert not found.connectivity_rule_ids
    assert LATER not in found.SerializeToString()


def test_api_keys_that_are_left_out_are_off_and_shown_as_off() -> None:
    found = declaration(replaced(made(full()), declared("orders")))

    assert found.HasField("api_key_auth")
    assert not found.api_key_auth.enabled


@pytest.mark.parametrize("field", ["high_availability", "capacity_spec", "fairness"])
def test_what_has_no_default_to_return_to_stays(field: str) -> None:
    view = made(full())
    spec = declaration(view)
    spec.ClearField(field)  # type: ignore[arg-type]  # mypy wants to see the name.

    assert replaced(view, spec).spec == view.spec


def test_what_was_never_set_is_not_shown() -> None:
    found = declaration(made(declared("orders")))

    for field in ("high_availability", "capacity_spec", "fairness", "lifecycle", "codec_server"):
        assert not found.HasField(field)


def test_high_availability_returns_to_its_default_when_that_is_sent() -> None:
    view = made(full())
    spec = declaration(view)
    spec.high_availability.Clear()
    spec.high_availability.SetInParent()

    assert not declaration(replaced(view, spec)).HasField("high_availability")


def test_fairness_set_to_false_is_shown_as_set() -> None:
    spec = declared("orders")
    spec.fairness.SetInParent()

    assert declaration(replaced(made(declared("orders")), spec)).HasField("fairness")


def test_capacity_is_provisioned_by_an_update() -> None:
    spec = declared("orders")
    spec.capacity_spec.provisioned.value = 4

    found = declaration(replaced(made(declared("orders")), spec))

    assert found.capacity_spec.provisioned.value == 4


def _regions(*, regions: tuple[str, ...] = (), replicas: tuple[str, ...] = ()) -> NamespaceSpec:
    spec = declared("orders")
    spec.regions[:] = regions
    del spec.replicas[:]
    spec.replicas.extend(ReplicaSpec(region=region) for region in replicas)
    return spec


@pytest.mark.parametrize(
    "spec",
    [
        _regions(),
        _regions(regions=(REGION,)),
        _regions(replicas=(REGION,)),
        _regions(regions=(REGION,), replicas=(REGION,)),
    ],
    ids=["neither", "regions", "replicas", "both"],
)
def test_the_present_region_may_be_left_out_or_sent_in_either_field(spec: NamespaceSpec) -> None:
    view = made(declared("orders"))

    assert replaced(view, spec).spec == view.spec


@pytest.mark.parametrize(
    "spec",
    [
        _regions(regions=(REGION, OTHER)),
        _regions(replicas=(REGION, OTHER)),
        _regions(regions=(REGION,), replicas=(REGION, OTHER)),
        _regions(regions=(REGION, OTHER), replicas=(REGION,)),
        _regions(regions=(OTHER, REGION), replicas=(REGION, OTHER)),
    ],
    ids=["regions", "replicas", "replicas changed", "regions changed", "both"],
)
def test_a_region_is_added_in_either_field(spec: NamespaceSpec) -> None:
    found = replaced(made(declared("orders")), spec)

    assert found.spec.replicas == (REGION, OTHER)
    assert list(declaration(found).regions) == [REGION, OTHER]
    assert declaration(found).replicas == [
        ReplicaSpec(region=REGION),
        ReplicaSpec(region=OTHER),
    ]


def test_no_high_availability_leaves_it_as_it_is() -> None:
    view = made(full())
    spec = declaration(view)
    spec.ClearField("high_availability")

    found = replaced(view, spec).spec

    assert (found.managed_failover, found.forward_polls) == (False, False)


def test_a_declaration_from_before_high_availability_counted_counts_once_it_is_sent_back() -> None:
    kept = NamespaceSpec()
    kept.high_availability.disable_managed_failover = True
    before = made(declared("orders"))
    view = replace(
        before,
        spec=replace(before.spec, declaration=base64.b64encode(kept.SerializeToString()).decode()),
    )

    again = replaced(view, declaration(view))

    assert declaration(view).high_availability.disable_managed_failover
    assert not again.spec.managed_failover
    assert declaration(again) == declaration(view)


def test_no_retention_means_the_present_one() -> None:
    spec = declared("orders")
    spec.ClearField("retention_days")

    assert replaced(made(declared("orders")), spec).spec.retention == timedelta(days=7)


def test_comments_in_the_bundle_are_shown_as_sent() -> None:
    spec = declared("orders")
    spec.mtls_auth.accepted_client_ca = b"# ours\n" + CLIENT_CA

    changed = replaced(made(declared("orders")), spec)

    assert declaration(changed).mtls_auth.accepted_client_ca == b"# ours\n" + CLIENT_CA
    assert changed.spec.client_ca == CLIENT_CA.decode()


def test_a_managed_ca_is_not_shown_as_if_the_caller_had_brought_it() -> None:
    spec = declared("orders")
    spec.mtls_auth.CopyFrom(MtlsAuthSpec(enabled=True))

    found = declaration(replaced(made(declared("orders")), spec))

    assert found.mtls_auth == MtlsAuthSpec(enabled=True)


REFUSED: dict[str, tuple[Callable[[NamespaceSpec], object], str]] = {
    "a new name": (lambda s: setattr(s, "name", "bills"), "cannot be renamed, send 'orders'"),
    "another region": (
        lambda s: s.replicas[0].MergeFrom(ReplicaSpec(region="aws-mars-1")),
        f"send one of {REGION}, {OTHER}",
    ),
    "two more regions": (
        lambda s: s.regions.extend([REGION, OTHER, OTHER]),
        "names 3 regions",
    ),
    "odd capacity": (
        lambda s: setattr(s.capacity_spec.provisioned, "value", 5),
        "provisioned.value is 5: send one of 2, 3, 4, 6, 8, 10, 12",
    ),
    "no way in": (lambda s: s.ClearField("mtls_auth"), "no way to authenticate"),
    "too long": (lambda s: setattr(s, "retention_days", 91), "retention_days is 91"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_replacement_that_cannot_be_is_refused_with_what_to_do(case: str) -> None:
    change, told = REFUSED[case]
    spec = declared("orders")
    change(spec)

    with pytest.raises(ApplicationError) as refusal:
        replaced(made(declared("orders")), spec)

    assert refusal.value.type == ErrorType.INVALID_ARGUMENT
    assert told in refusal.value.message


@pytest.mark.parametrize(
    ("version", "field"),
    [
        ("v0.1.0", "api_key_auth"),
        ("v0.3.0", "lifecycle"),
        ("v0.5.1", "connectivity_rule_ids"),
        ("v0.12.0", "high_availability.disable_passive_poller_forwarding"),
        ("v0.5.0", "codec_server.custom_error_message"),
        ("v0.9.0", "capacity_spec"),
        ("v0.13.0", "fairness"),
        ("2024-05-13-00", "lifecycle"),
    ],
)
def test_a_client_keeps_the_fields_that_came_after_it(version: str, field: str) -> None:
    view = made(full())
    spec = declaration(view)
    name, _, nested = field.partition(".")
    cleared: Message = getattr(spec, name) if nested else spec
    cleared.ClearField(nested or name)

    assert replaced(view, spec, read_version(version)).spec == view.spec


def test_a_client_of_its_time_keeps_what_is_unknown_even_to_us() -> None:
    view = made(full())
    spec = declaration(view)
    spec.DiscardUnknownFields()

    assert replaced(view, spec, ApiVersion(0, 17)).spec == view.spec
    assert replaced(view, spec, ApiVersion(0, 19)).spec != view.spec


def test_a_client_that_says_an_older_version_may_still_set_newer_fields() -> None:
    spec = declared("orders")
    spec.api_key_auth.enabled = True
    spec.lifecycle.enable_delete_protection = True

    found = replaced(made(declared("orders")), spec, read_version("2024-05-13-00")).spec

    assert found.api_keys
    assert found.delete_protection


def test_before_there_was_a_switch_a_bundle_meant_certificates() -> None:
    spec = declared("orders")
    spec.mtls_auth.enabled = False

    assert replaced(made(declared("orders")), spec, ApiVersion(0, 1)).spec.client_ca


@pytest.mark.parametrize(
    ("header", "version"),
    [
        ("v0.13.0", ApiVersion(0, 13)),
        ("0.5.1", ApiVersion(0, 5, 1)),
        (" v1.2 ", ApiVersion(1, 2)),
        ("v0.18.0-rc.1", ApiVersion(0, 18)),
        ("2024-05-13-00", ApiVersion(0, 0)),
        ("", LATEST),
        ("latest", LATEST),
        ("v", LATEST),
        ("v9999999999.0.0", LATEST),
    ],
)
def test_versions_are_numbers_or_dates_and_anything_else_is_the_latest(
    header: str, version: ApiVersion
) -> None:
    assert read_version(header) == version
