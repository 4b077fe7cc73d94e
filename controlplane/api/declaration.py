"""From the spec a caller declares to the one that is provisioned, checked on the way.

What provisioning has a field of its own for is taken out of the declaration that is kept with it.
So two specs that mean the same are equal, whichever of the API's older and present fields they use.

Connectivity rules, capacity, fairness and the settings of high availability are kept and shown, and
nothing enforces them yet.
"""

import base64
from collections.abc import Collection
from datetime import datetime, timedelta

from google.protobuf.message import Message
from temporalio.api.cloud.namespace.v1 import NamespaceSpec as Declaration

from controlplane.api import limits
from controlplane.api.messages import declaration
from controlplane.api.mtls import declared_client_ca, read_client_ca, read_filters
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
    regions: Collection[str],
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
    region = _new_region(declared, regions)
    days = declared.retention_days or limits.DEFAULT_RETENTION_DAYS
    return _spec(declared, region, _retention(days, allowed), allowed, now, version)


def read_replacement(
    declared: Declaration,
    view: NamespaceView,
    allowed: AccountLimits,
    now: datetime,
    version: ApiVersion = LATEST,
) -> NamespaceSpec:
    """Return what takes the place of the namespace's spec when its caller declares this one.

    It is replaced whole but for what absence leaves as it is: the region, the retention, high
    availability, capacity, fairness, and fields that the caller's version does not know.
    """
    _check_size(declared)
    stored = declaration(view)
    if declared.name not in ("", stored.name):
        raise invalid_argument(
            f"spec.name {declared.name[:100]!r} is not the namespace's: it cannot be renamed, send "
            f"{stored.name!r}"
        )
    _check_region_stays(declared, view)
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
    return _spec(whole, view.spec.region, retention, allowed, now, version)


def _spec(
    declared: Declaration,
    region: str,
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
    return NamespaceSpec(
        region=region,
        retention=retention,
        client_ca=client_ca,
        certificate_filters=read_filters(mtls, allowed) if by_certificate else (),
        search_attributes=read_search_attributes(declared, allowed),
        delete_protection=declared.lifecycle.enable_delete_protection,
        declaration=_kept(declared, client_ca),
        managed_ca=by_certificate and not client_ca,
        api_keys=declared.api_key_auth.enabled,
    )


def _kept(declared: Declaration, client_ca: str) -> str:
    """Return what only the declaration says, in one form for each meaning."""
    kept = Declaration()
    kept.CopyFrom(declared)
    as_sent = declared_client_ca(declared.mtls_auth)
    _clear(kept, "name", "regions", "replicas", "retention_days")
    _clear(kept, "search_attributes", "custom_search_attributes")
    _clear(kept.mtls_auth, "enabled", "accepted_client_ca", "accepted_client_ca_deprecated")
    _clear(kept.mtls_auth, "certificate_filters")
    if client_ca and as_sent != client_ca.encode():
        # Clients expect the text that they sent, their comments included.
        kept.mtls_auth.accepted_client_ca = as_sent
    _clear(kept.api_key_auth, "enabled")
    _clear(kept.lifecycle, "enable_delete_protection")
    if not kept.codec_server.endpoint:
        _clear(kept, "codec_server")
    _clear(kept, *(name for name in _MEAN_NOTHING_EMPTY if not getattr(kept, name).ByteSize()))
    return base64.b64encode(kept.SerializeToString(deterministic=True)).decode()


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


def _new_region(declared: Declaration, known: Collection[str]) -> str:
    replicas = [replica.region for replica in declared.replicas]
    wanted = replicas or list(declared.regions)
    if replicas and declared.regions and set(replicas) != set(declared.regions):
        raise invalid_argument(
            f"spec.regions ({', '.join(declared.regions)}) and spec.replicas "
            f"({', '.join(replicas)}) name different regions: send one of the two"
        )
    if not wanted:
        raise invalid_argument(
            f"the spec names no region: send one of {_listed(known)} in spec.replicas"
        )
    if len(wanted) > 1:
        raise invalid_argument(
            f"the spec names {len(wanted)} regions ({', '.join(wanted)}): send one; replicas come "
            "with high availability, which is not available yet"
        )
    if wanted[0] not in known:
        raise invalid_argument(
            f"region {wanted[0]!r} is not part of this fleet: send one of {_listed(known)}"
        )
    return wanted[0]


def _check_region_stays(declared: Declaration, view: NamespaceView) -> None:
    """Refuse other regions than the namespace's in either field; none at all leave them be."""
    for field, named in (
        ("replicas", [replica.region for replica in declared.replicas]),
        ("regions", list(declared.regions)),
    ):
        if named and named != [view.spec.region]:
            raise invalid_argument(
                f"spec.{field} names {', '.join(named)}, and the namespace is in "
                f"{view.spec.region}: an update does not move a namespace; regions are added with "
                "AddNamespaceRegion and removed with DeleteNamespaceRegion"
            )


def _listed(regions: Collection[str]) -> str:
    return ", ".join(sorted(regions)) or "(the fleet has no regions yet)"
