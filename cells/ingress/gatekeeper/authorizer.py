"""Who may connect to a namespace: a pure decision over its record and the client's certificate.

A certificate that is revoked is told by its serial number alone, whichever CA of the namespace's
bundle issued it. Where a namespace takes API keys, a client whose certificate does not get it in
may connect all the same: then each of its requests needs a key (`key_authorizer`).

Another cell's ingress passes on requests of clients that it has judged itself: it gets in to every
namespace that has a record here, and for that namespace is believed.

Envoy hands over the leaf certificate alone. A client whose certificate an intermediate CA issued
is therefore admitted only if that intermediate is itself in the namespace's CA bundle.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from cells.ingress.gatekeeper.authorities import authority_id
from cells.ingress.gatekeeper.certificate_filters import matches_any
from cells.ingress.records import IngressRecord

_PEER = "controlplane://cell/"


@dataclass(frozen=True)
class Allowed:
    """Its certificate gets it in, until the certificate or what vouched for it counts no more."""

    namespace: str
    serial: str
    """Hexadecimal, lower case, no leading zeros."""
    authority: str
    """The id of the CA that vouched (`authorities`)."""


@dataclass(frozen=True)
class OurAuthorities:
    """The CAs whose clients are not a tenant's but ours, PEM."""

    prober: str
    peer: str


@dataclass(frozen=True)
class ProberAllowed:
    """It is the control plane proving the endpoint, not a client of the tenant."""

    namespace: str


@dataclass(frozen=True)
class PeerAllowed:
    """It is another cell, passing on what it has let in."""

    namespace: str
    cell: str


@dataclass(frozen=True)
class KeyNeeded:
    """It is in, but each of its requests needs an API key."""

    namespace: str
    because: str
    """Why its certificate was not enough."""


@dataclass(frozen=True)
class Refused:
    reason: str


def prober_identity(namespace: str) -> str:
    """Return the URI (a subject alternative name) of the namespace's prober."""
    return f"controlplane://prober/{namespace}"


def peer_identity(cell: str) -> str:
    """Return the URI (a subject alternative name) of a cell that passes requests on."""
    return f"{_PEER}{cell}"


def authorize(
    record: IngressRecord | None, certificate_pem: str, ours: OurAuthorities, now: datetime
) -> Allowed | ProberAllowed | PeerAllowed | KeyNeeded | Refused:
    """Decide on one connection to the record's namespace. An empty certificate is none."""
    if record is None:
        return Refused("no namespace of this cell has the server name")
    if not record.admitted:
        return Refused("the namespace is not admitted")
    decision = _authorize_certificate(record, certificate_pem, ours, now)
    if isinstance(decision, Refused) and record.rules.api_keys:
        return KeyNeeded(record.namespace, because=decision.reason)
    return decision


def serial_of(certificate: x509.Certificate) -> str:
    """Return the serial number as `AdmissionRules.revoked_serials` has it."""
    return f"{certificate.serial_number:x}"


def _authorize_certificate(
    record: IngressRecord, certificate_pem: str, ours: OurAuthorities, now: datetime
) -> Allowed | ProberAllowed | PeerAllowed | Refused:
    if not certificate_pem:
        return Refused("the client shows no certificate")
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
    except ValueError:
        return Refused("the client certificate cannot be read")
    if now >= certificate.not_valid_after_utc:
        return Refused(f"the client certificate expired at {certificate.not_valid_after_utc}")
    if now < certificate.not_valid_before_utc:
        return Refused(f"the client certificate starts at {certificate.not_valid_before_utc}")

    # Before all else: a cell that passed for a tenant's client would be passed on, round and round.
    if isinstance(_verify(certificate, ours.peer, now), x509.Certificate):
        cells = [uri.removeprefix(_PEER) for uri in _uris(certificate) if uri.startswith(_PEER)]
        if len(cells) != 1:
            return Refused("the certificate of a cell has to name one cell")
        return PeerAllowed(record.namespace, cells[0])
    vouched = _verify(certificate, record.rules.client_ca, now)
    if isinstance(vouched, x509.Certificate):
        return _authorize_client(record, certificate, vouched)
    if isinstance(_verify(certificate, ours.prober, now), x509.Certificate):
        if prober_identity(record.namespace) not in _uris(certificate):
            return Refused("the prober's certificate is for another namespace")
        return ProberAllowed(record.namespace)
    return vouched


def _authorize_client(
    record: IngressRecord, certificate: x509.Certificate, authority: x509.Certificate
) -> Allowed | Refused:
    serial = serial_of(certificate)
    if serial in record.rules.revoked_serials:
        return Refused(f"the client certificate {serial} is revoked")
    filters = record.rules.certificate_filters
    if filters and not matches_any(filters, certificate):
        return Refused("no certificate filter of the namespace matches the client certificate")
    return Allowed(record.namespace, serial, authority_id(authority))


def _verify(
    certificate: x509.Certificate, bundle: str, now: datetime
) -> x509.Certificate | Refused:
    """Return the CA of the bundle that vouches for the certificate, or why there is none."""
    store = _store(bundle)
    if store is None:
        return Refused("the namespace has no CA bundle")
    builder = PolicyBuilder().store(store).time(now)
    builder = builder.extension_policies(ca_policy=_CA_POLICY, ee_policy=_CLIENT_POLICY)
    try:
        verified = builder.build_client_verifier().verify(certificate, [])
    except VerificationError as error:
        return Refused(
            f"no CA of the namespace's bundle vouches for the client certificate: {error}"
        )
    return verified.chain[1]


@lru_cache(maxsize=4096)
def _store(bundle: str) -> Store | None:
    certificates = x509.load_pem_x509_certificates(bundle.encode()) if bundle.strip() else []
    return Store(certificates) if certificates else None


def _check_authority(
    _policy: Policy, _certificate: x509.Certificate, constraints: x509.BasicConstraints
) -> None:
    if not constraints.ca:
        raise ValueError("it is not a CA certificate")


def _check_authority_usage(
    _policy: Policy, _certificate: x509.Certificate, usage: x509.KeyUsage | None
) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("its key usage does not include signing certificates")


def _check_client_usage(
    _policy: Policy, _certificate: x509.Certificate, usage: x509.ExtendedKeyUsage | None
) -> None:
    allowed = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if usage is not None and allowed.isdisjoint(usage):
        raise ValueError("its extended key usage does not include client authentication")


def _uris(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return names.value.get_values_for_type(x509.UniformResourceIdentifier)


# The defaults are those of public web sites. They demand key usage of CAs, which `openssl req`
# leaves out, and subject alternative names of leaves, which clients often do without.
_CA_POLICY = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _check_authority)
    .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _check_authority_usage)
)
_CLIENT_POLICY = ExtensionPolicy.permit_all().may_be_present(
    x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _check_client_usage
)
