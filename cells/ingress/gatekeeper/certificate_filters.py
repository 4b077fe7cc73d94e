"""Whether a client certificate matches a namespace's certificate filters. Pure."""

from collections.abc import Iterable

from cryptography import x509
from cryptography.x509.oid import NameOID, ObjectIdentifier

from cells.ingress.records import CertificateFilter


def matches_any(filters: Iterable[CertificateFilter], certificate: x509.Certificate) -> bool:
    """Return whether at least one filter matches in all of its fields."""
    return any(_matches(wanted, certificate) for wanted in filters)


def _matches(wanted: CertificateFilter, certificate: x509.Certificate) -> bool:
    return all(
        not pattern or any(_like(pattern, value) for value in values)
        for pattern, values in (
            (wanted.common_name, _subject(certificate, NameOID.COMMON_NAME)),
            (wanted.organization, _subject(certificate, NameOID.ORGANIZATION_NAME)),
            (wanted.organizational_unit, _subject(certificate, NameOID.ORGANIZATIONAL_UNIT_NAME)),
            (wanted.subject_alternative_name, _alternative_names(certificate)),
        )
    )


def _like(pattern: str, value: str) -> bool:
    """Compare without regard to case; one `*` at either end stands for anything."""
    pattern, value = pattern.casefold(), value.casefold()
    if pattern.startswith("*"):
        return value.endswith(pattern[1:])
    if pattern.endswith("*"):
        return value.startswith(pattern[:-1])
    return value == pattern


def _subject(certificate: x509.Certificate, attribute: ObjectIdentifier) -> list[str]:
    found = certificate.subject.get_attributes_for_oid(attribute)
    return [value for name in found if isinstance(value := name.value, str)]


def _alternative_names(certificate: x509.Certificate) -> list[str]:
    """Return the certificate's DNS names, e-mail addresses and URIs."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [
        *names.get_values_for_type(x509.DNSName),
        *names.get_values_for_type(x509.RFC822Name),
        *names.get_values_for_type(x509.UniformResourceIdentifier),
    ]
