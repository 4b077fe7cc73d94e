"""How a namespace's clients prove themselves by certificates: what callers declare, read."""

import base64
from datetime import datetime

from google.protobuf.unknown_fields import UnknownFieldSet
from temporalio.api.cloud.namespace.v1 import CertificateFilterSpec, MtlsAuthSpec

from cells.ingress.records import CertificateFilter
from controlplane.api import limits
from controlplane.errors import invalid_argument
from controlplane.identity.limits import AccountLimits
from provisioning.certificates import bundle


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


def read_client_ca(mtls: MtlsAuthSpec, allowed: AccountLimits, now: datetime) -> str:
    """Return the CA bundle as PEM and nothing else; "" asks for a CA that we manage."""
    declared = declared_client_ca(mtls)
    if not declared:
        return ""
    if len(declared) > allowed.ca_bundle_bytes:
        raise invalid_argument(
            f"the CA bundle has {len(declared)} bytes; the account's limit is "
            f"{allowed.ca_bundle_bytes} (ca_bundle_bytes): remove authorities that sign no clients"
        )
    checked = bundle.check(declared.decode(errors="replace"), now)
    if len(checked.certificates) > allowed.ca_certificates:
        raise invalid_argument(
            f"the CA bundle holds {len(checked.certificates)} certificates; the account's limit is "
            f"{allowed.ca_certificates} (ca_certificates): remove authorities that sign no clients"
        )
    if not mtls.certificate_filters:
        bundle.require_filters(checked)
    return checked.pem


def read_filters(mtls: MtlsAuthSpec, allowed: AccountLimits) -> tuple[CertificateFilter, ...]:
    """Return the certificate filters, in the caller's order."""
    count = len(mtls.certificate_filters)
    if count > allowed.certificate_filters:
        raise invalid_argument(
            f"spec.mtls_auth has {count} certificate_filters; at most "
            f"{allowed.certificate_filters} are allowed"
        )
    return tuple(_filter(number, spec) for number, spec in enumerate(mtls.certificate_filters, 1))


def filter_message(wanted: CertificateFilter) -> CertificateFilterSpec:
    return CertificateFilterSpec(
        common_name=wanted.common_name,
        organization=wanted.organization,
        organizational_unit=wanted.organizational_unit,
        subject_alternative_name=wanted.subject_alternative_name,
    )


def _filter(number: int, spec: CertificateFilterSpec) -> CertificateFilter:
    if len(UnknownFieldSet(spec)):
        # It would narrow the filter, and nobody here could hold clients to it.
        raise invalid_argument(
            f"certificate filter {number} has a field that this control plane does not know, and "
            "so could not enforce: use common_name, organization, organizational_unit or "
            "subject_alternative_name"
        )
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
