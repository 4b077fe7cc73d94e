"""From the spec a caller declares to the one that is provisioned, checked on the way.

What provisioning has a field of its own for is taken out of the declaration that is kept with it.
So two specs that mean the same are equal, whichever of the API's older and present fields they use.

Connectivity rules, capacity and fairness are kept and shown, and nothing enforces them yet.
"""

import base64
from datetime import datetime, timedelta

from google.protobuf.message import Message
from temporalio.api.cloud.namespace.v1 import NamespaceSpec as Declaration

from controlplane.api import limits
from controlplane.api.messages import declaration
from controlplane.api.mtls import declared_client_ca, read_client_ca, read_filters
from controlplane.api.replica_rules import Regions, ReplicaRules, kept
from controlplane.api.search_attributes import read_search_attributes
from controlplane.api.versions import LATEST, MTLS_ENABLED, ApiVersion, keep_what_is_newer
from controlplane.errors import invalid_argument
from controlplane.identity.limits import AccountLimits
from controlplane.ids import NAMESPACE_NAME
from provisioning.types import NamespaceSpec, NamespaceView

# Without content they mean what their absence means.
_MEAN_NOTHING_EMPTY = (
    "mtls_auth",
    "api_key_auth",
    "lifecycle",
    "codec_server",
    "high_availability",
    "capacity_spec",
)


def check_name(name: str) -> None:
    """Raise `invalid_argument` unless a namespace may be called that."""
    if not NAMESPACE_NAME.fullmatch(name):
        raise invalid_argument(
            f"spec.name {name[:100]!r} is not a namespace name: use 2 to 39 lower-case letters, "
            "digits and hyphens, beginning with a letter and ending with a letter or digit"
        )


def read_declaration(
    declared: Declaration,
    rules: ReplicaRules,
    allowed: AccountLimits,
    now: datetime,
    version: ApiVersion = LATEST,
) -> NamespaceSpec:
    """Return what to provision; raise `invalid_argument` that names the field and what to do."""
    _check_size(declared)
    check_name(declared.name)
    if declared.capacity_spec.HasField("provisioned"):
        raise invalid_argument(
            "spec.capacity_spec.provisioned cannot be set at creation: create the namespace "
            "without it, then update it"
        )
    regions = rules.of_new(declared)
    days = declared.retention_days or limits.DEFAULT_RETENTION_DAYS
    return _spec(declared, regions, _retention(days, allowed), allowed, now, version)


def read_replacement(
    declared: Declaration,
    view: NamespaceView,
    rules: ReplicaRules,
    allowed: AccountLimits,
    now: datetime,
    version: ApiVersion = LATEST,
) -> NamespaceSpec:
    """Return what takes the place of the namespace's spec when its caller declares this one.

    It is replaced whole but for what absence leaves as it is: the regions, the retention, high
    availability, capacity, fairness, and fields that the caller's version does not know.
    """
    _check_size(declared)
    stored = declaration(view)
    if declared.name not in ("", stored.name):
        raise invalid_argument(
            f"spec.name {declared.name[:100]!r} is not the namespace's: it cannot be renamed, send "
            f"{stored.name!r}"
        )
    regions = rules.of_changed(declared, view, now)
    whole = Declaration()
    whole.CopyFrom(declared)
    for field in ("high_availability", "capacity_spec", "fairness"):
        if stored.HasField(field) and not whole.HasField(field):
            getattr(whole, field).CopyFrom(getattr(stored, field))
    keep_what_is_newer(version, whole, stored)
    retention = (
        _retention(declared.retention_days, allowed)
        if declared.retention_days
        else view.spec.retention
    )
    return _spec(whole, regions, retention, allowed, now, version)


def _spec(
    declared: Declaration,
    regions: Regions,
    retention: timedelta,
    allowed: AccountLimits,
    now: datetime,
    version: ApiVersion,
) -> NamespaceSpec:
    mtls = declared.mtls_auth
    by_certificate = mtls.enabled or (
        # Before there was a field to say so, a CA bundle said it.
        version < MTLS_ENABLED and bool(declared_client_ca(mtls))
    )
    if not by_certificate and not declared.api_key_auth.enabled:
        raise invalid_argument(
            "the spec enables no way to authenticate: set spec.mtls_auth.enabled (with the CAs "
            "that sign your clients' certificates in accepted_client_ca, or with none for one that "
            "is kept for you) or spec.api_key_auth.enabled"
        )
    _check_capacity(declared)
    client_ca = read_client_ca(mtls, allowed, now) if by_certificate else ""
    region, replicas = kept(regions)
    return NamespaceSpec(
        region=region,
        retention=retention,
        client_ca=client_ca,
        certificate_filters=read_filters(mtls, allowed) if by_certificate else (),
        search_attributes=read_search_attributes(declared, allowed),
        delete_protection=declared.lifecycle.enable_delete_protection,
        declaration=_declaration(declared, client_ca),
        managed_ca=by_certificate and not client_ca,
        api_keys=declared.api_key_auth.enabled,
        replicas=replicas,
        managed_failover=not declared.high_availability.disable_managed_failover,
        forward_polls=not declared.high_availability.disable_passive_poller_forwarding,
    )


def _declaration(declared: Declaration, client_ca: str) -> str:
    """Return what only the declaration says, in one form for each meaning."""
    rest = Declaration()
    rest.CopyFrom(declared)
    as_sent = declared_client_ca(declared.mtls_auth)
    _clear(rest, "name", "regions", "replicas", "retention_days")
    _clear(rest, "search_attributes", "custom_search_attributes")
    _clear(rest.mtls_auth, "enabled", "accepted_client_ca", "accepted_client_ca_deprecated")
    _clear(rest.mtls_auth, "certificate_filters")
    if client_ca and as_sent != client_ca.encode():
        # Clients expect the text that they sent, their comments included.
        rest.mtls_auth.accepted_client_ca = as_sent
    _clear(rest.api_key_auth, "enabled")
    _clear(rest.lifecycle, "enable_delete_protection")
    _clear(rest.high_availability, "disable_managed_failover", "disable_passive_poller_forwarding")
    if not rest.codec_server.endpoint:
        _clear(rest, "codec_server")
    _clear(rest, *(name for name in _MEAN_NOTHING_EMPTY if not getattr(rest, name).ByteSize()))
    return base64.b64encode(rest.SerializeToString(deterministic=True)).decode()


def _clear(message: Message, *fields: str) -> None:
    for field in fields:
        message.ClearField(field)


def _check_size(declared: Declaration) -> None:
    if declared.ByteSize() > limits.SPEC_BYTES:
        raise invalid_argument(
            f"the spec has {declared.ByteSize()} bytes; at most {limits.SPEC_BYTES} are allowed"
        )


def _check_capacity(declared: Declaration) -> None:
    capacity = declared.capacity_spec
    if capacity.HasField("provisioned") and capacity.provisioned.value not in limits.CAPACITY_UNITS:
        units = ", ".join(f"{unit:g}" for unit in limits.CAPACITY_UNITS)
        raise invalid_argument(
            f"spec.capacity_spec.provisioned.value is {capacity.provisioned.value:g}: send one of "
            f"{units}"
        )


def _retention(days: int, allowed: AccountLimits) -> timedelta:
    if not 1 <= days <= allowed.retention_days:
        raise invalid_argument(
            f"spec.retention_days is {days}: send 1 to {allowed.retention_days}, or 0 for "
            f"{limits.DEFAULT_RETENTION_DAYS} at creation and for no change in an update"
        )
    return timedelta(days=days)
