"""From the spec a caller declares to the one that is provisioned, checked on the way."""

import base64
from collections.abc import Collection
from datetime import datetime, timedelta

from temporalio.api.cloud.namespace.v1 import CertificateFilterSpec, MtlsAuthSpec
from temporalio.api.cloud.namespace.v1 import NamespaceSpec as Declaration

from cells.ingress.records import CertificateFilter
from controlplane.api import limits
from controlplane.errors import invalid_argument
from controlplane.ids import NAMESPACE_NAME
from provisioning.certificates import bundle
from provisioning.types import NamespaceSpec, SearchAttributeType


def check_name(name: str) -> None:
    """Raise `invalid_argument` unless a namespace may be called that."""
    if not NAMESPACE_NAME.fullmatch(name):
        raise invalid_argument(
            f"spec.name {name[:100]!r} is not a namespace name: use 2 to 39 lower-case letters, "
            "digits and hyphens, beginning with a letter and ending with a letter or digit"
        )


def read_declaration(
    declared: Declaration, regions: Collection[str], now: datetime
) -> NamespaceSpec:
    """Return what to provision; raise `invalid_argument` that names the field and what to do."""
    if declared.ByteSize() > limits.SPEC_BYTES:
        raise invalid_argument(
            f"the spec has {declared.ByteSize()} bytes; at most {limits.SPEC_BYTES} are allowed"
        )
    check_name(declared.name)
    _refuse_what_is_not_there(declared)
    return NamespaceSpec(
        region=_region(declared, regions),
        retention=_retention(declared.retention_days),
        client_ca=_client_ca(declared.mtls_auth, now),
        certificate_filters=_filters(declared.mtls_auth),
        search_attributes=_search_attributes(declared),
        delete_protection=declared.lifecycle.enable_delete_protection,
        declaration=base64.b64encode(declared.SerializeToString(deterministic=True)).decode(),
    )


def declared_client_ca(mtls: MtlsAuthSpec) -> bytes:
    """Return the CA bundle as the caller sent it, in the present field or the older one."""
    if mtls.accepted_client_ca or not mtls.accepted_client_ca_deprecated:
        return mtls.accepted_client_ca
    try:
        return base64.b64decode(mtls.accepted_client_ca_deprecated, validate=True)
    except ValueError:
        raise invalid_argument(
            "spec.mtls_auth.accepted_client_ca_deprecated is not base64: send the PEM in "
            "accepted_client_ca instead"
        ) from None


def _refuse_what_is_not_there(declared: Declaration) -> None:
    """Refuse settings that would be accepted and then not be in force."""
    if declared.api_key_auth.enabled:
        raise invalid_argument(
            "spec.api_key_auth: API keys do not open namespaces yet: leave it off and use mtls_auth"
        )
    if not declared.mtls_auth.enabled:
        raise invalid_argument(
            "the spec enables no way to authenticate: set spec.mtls_auth.enabled and "
            "spec.mtls_auth.accepted_client_ca"
        )
    if declared.capacity_spec.HasField("provisioned"):
        raise invalid_argument(
            "spec.capacity_spec.provisioned is not available yet: leave capacity_spec out or "
            "send on_demand"
        )
    if declared.fairness.task_queue_fairness_enabled:
        raise invalid_argument(
            "spec.fairness.task_queue_fairness_enabled is not available yet: leave fairness out"
        )
    if declared.connectivity_rule_ids:
        raise invalid_argument(
            "spec.connectivity_rule_ids: there are no connectivity rules yet: send none"
        )


def _region(declared: Declaration, known: Collection[str]) -> str:
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


def _listed(regions: Collection[str]) -> str:
    return ", ".join(sorted(regions)) or "(the fleet has no regions yet)"


def _retention(days: int) -> timedelta:
    days = days or limits.DEFAULT_RETENTION_DAYS
    if days not in limits.RETENTION_DAYS:
        raise invalid_argument(
            f"spec.retention_days is {days}: send {limits.RETENTION_DAYS[0]} to "
            f"{limits.RETENTION_DAYS[-1]}, or 0 for {limits.DEFAULT_RETENTION_DAYS}"
        )
    return timedelta(days=days)


def _client_ca(mtls: MtlsAuthSpec, now: datetime) -> str:
    pem = declared_client_ca(mtls)
    if not pem:
        raise invalid_argument(
            "spec.mtls_auth.accepted_client_ca is empty: send the PEM certificates of the CAs "
            "that sign your clients' certificates"
        )
    return bundle.check(pem.decode(errors="replace"), now).pem


def _filters(mtls: MtlsAuthSpec) -> tuple[CertificateFilter, ...]:
    count = len(mtls.certificate_filters)
    if count > limits.CERTIFICATE_FILTERS:
        raise invalid_argument(
            f"spec.mtls_auth has {count} certificate_filters; at most "
            f"{limits.CERTIFICATE_FILTERS} are allowed"
        )
    return tuple(_filter(number, spec) for number, spec in enumerate(mtls.certificate_filters, 1))


def _filter(number: int, spec: CertificateFilterSpec) -> CertificateFilter:
    found = CertificateFilter(
        common_name=spec.common_name,
        organization=spec.organization,
        organizational_unit=spec.organizational_unit,
        subject_alternative_name=spec.subject_alternative_name,
    )
    patterns = vars(found)
    if not any(patterns.values()):
        raise invalid_argument(
            f"certificate filter {number} is empty and would let every client in: set one of "
            f"{', '.join(patterns)}"
        )
    for name, pattern in patterns.items():
        if not limits.FILTER_PATTERN.fullmatch(pattern):
            raise invalid_argument(
                f"certificate filter {number}: {name} {pattern!r} may hold one `*`, at its "
                "beginning or its end"
            )
    return found


def _search_attributes(declared: Declaration) -> dict[str, SearchAttributeType]:
    found = {
        name: _older_type(name, value) for name, value in declared.custom_search_attributes.items()
    }
    found |= {name: _type(name, value) for name, value in declared.search_attributes.items()}
    for name in found:
        if not limits.SEARCH_ATTRIBUTE_NAME.fullmatch(name):
            raise invalid_argument(
                f"search attribute {name[:100]!r} is not a name: use up to 64 letters, digits, "
                "`_`, `.` and `-`, beginning with a letter"
            )
    for kind, most in limits.SEARCH_ATTRIBUTES.items():
        count = sum(found_kind == kind for found_kind in found.values())
        if count > most:
            raise invalid_argument(
                f"the spec has {count} search attributes of type {kind}; at most {most} are allowed"
            )
    return dict(sorted(found.items()))


def _type(name: str, value: int) -> SearchAttributeType:
    known = Declaration.SearchAttributeType
    try:
        return SearchAttributeType(
            known.Name(known.ValueType(value)).removeprefix("SEARCH_ATTRIBUTE_TYPE_")
        )
    except ValueError:
        raise _unknown_type(name, str(value)) from None


def _older_type(name: str, value: str) -> SearchAttributeType:
    try:
        return SearchAttributeType(value.upper())
    except ValueError:
        raise _unknown_type(name, value) from None


def _unknown_type(name: str, value: str) -> Exception:
    return invalid_argument(
        f"search attribute {name!r} has the unknown type {value!r}: use one of "
        f"{', '.join(SearchAttributeType)}"
    )
