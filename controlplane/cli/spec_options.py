"""The options of `namespace create`, as the spec of the Cloud Ops API."""

from dataclasses import dataclass
from pathlib import Path

from temporalio.api.cloud.namespace.v1 import (
    CertificateFilterSpec,
    LifecycleSpec,
    MtlsAuthSpec,
    NamespaceSpec,
    ReplicaSpec,
)

from controlplane.cli.failures import UsageError
from provisioning.types import SearchAttributeType

_FILTER_FIELDS = {
    "cn": "common_name",
    "o": "organization",
    "ou": "organizational_unit",
    "san": "subject_alternative_name",
}


@dataclass(frozen=True)
class SpecOptions:
    """What the caller asked for, word by word."""

    name: str
    region: str
    ca_file: Path
    retention_days: int
    search_attributes: tuple[str, ...] = ()
    """Each `Name=TYPE`."""
    certificate_filters: tuple[str, ...] = ()
    """Each `cn=…,o=…,ou=…,san=…`, any of them."""
    delete_protection: bool = False


def namespace_spec(options: SpecOptions) -> NamespaceSpec:
    """Return the spec to send; raise UsageError for what cannot be sent."""
    return NamespaceSpec(
        name=options.name,
        replicas=[ReplicaSpec(region=options.region)],
        retention_days=options.retention_days,
        mtls_auth=MtlsAuthSpec(
            enabled=True,
            accepted_client_ca=_certificates(options.ca_file),
            certificate_filters=[_certificate_filter(text) for text in options.certificate_filters],
        ),
        search_attributes=dict(_search_attribute(text) for text in options.search_attributes),
        lifecycle=LifecycleSpec(enable_delete_protection=options.delete_protection),
    )


def _certificates(file: Path) -> bytes:
    try:
        pem = file.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the CA file {file}: {error.strerror}") from error
    if b"PRIVATE KEY-----" in pem:
        raise UsageError(
            f"{file} holds a private key, which must not leave this machine: "
            "give a file with the CA's certificate alone"
        )
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        raise UsageError(
            f"{file} holds no PEM certificate; `controlplane certs create-ca` makes one"
        )
    return pem


def _search_attribute(text: str) -> tuple[str, NamespaceSpec.SearchAttributeType.ValueType]:
    name, _, type_name = text.partition("=")
    try:
        kind = SearchAttributeType(type_name.upper())
    except ValueError as error:
        known = ", ".join(SearchAttributeType)
        raise UsageError(
            f"search attribute {text!r} is not Name=TYPE with a TYPE of {known}"
        ) from error
    if not name:
        raise UsageError(f"search attribute {text!r} has no name: write Name={kind}")
    return name, NamespaceSpec.SearchAttributeType.Value(f"SEARCH_ATTRIBUTE_TYPE_{kind}")


def _certificate_filter(text: str) -> CertificateFilterSpec:
    fields = {}
    for part in text.split(","):
        key, separator, value = part.strip().partition("=")
        if key.lower() not in _FILTER_FIELDS or not separator or not value:
            raise UsageError(
                f"certificate filter {text!r}: {part.strip()!r} is not one of "
                "cn=…, o=…, ou=…, san=…"
            )
        fields[_FILTER_FIELDS[key.lower()]] = value
    return CertificateFilterSpec(**fields)
