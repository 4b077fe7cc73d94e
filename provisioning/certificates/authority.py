"""The fleet's issuing authority: server certificates and managed CAs, kept in the secret store."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from controlplane.errors import rejected
from controlplane.secrets.port import (
    FLEET_CA,
    SecretStore,
    namespace_certificate,
    namespace_client_ca,
)
from provisioning.certificates import bundle, managed_ca
from provisioning.certificates.x509 import CertificateAndKey, issue_server
from provisioning.ports import ClientTrust, Incarnation
from provisioning.types import CertificateFacts, ClientCertificate, SigningRequest

DEFAULT_VALIDITY = timedelta(days=90)


class FleetAuthority:
    """Issues the endpoints' server certificates; adapter of `provisioning.ports.Certificates`.

    A certificate names the incarnation it was made for, so that a key and the uid that fences it
    are stored in one write.
    """

    def __init__(self, secrets: SecretStore, validity: timedelta = DEFAULT_VALIDITY) -> None:
        self._secrets = secrets
        self._validity = validity
        self._fleet_ca: CertificateAndKey | None = None

    async def ensure(
        self, target: Incarnation, server_name: str, trust: ClientTrust, renew_before: timedelta
    ) -> CertificateFacts:
        client_cas = _client_cas(trust)
        ca = await self._ca()
        held = await self._held(target, namespace_certificate(target.namespace))
        if held is None or not _is_good(held, ca, server_name, renew_before):
            held = issue_server(
                ca, (server_name,), self._validity, uris=(managed_ca.identity(target),)
            )
            if not _lasts(held, renew_before):
                raise RuntimeError(
                    f"the fleet's CA issues certificates until "
                    f"{held.certificate.not_valid_after_utc:%Y-%m-%d} only, and they are renewed "
                    f"{renew_before.days} days before their end: replace secret {FLEET_CA!r}"
                )
            # Stored before anybody hears of it: a call repeated from here on finds this one.
            await self._secrets.put(namespace_certificate(target.namespace), held.to_pem())
        own_ca = await self._held(target, namespace_client_ca(target.namespace))
        if own_ca is None and trust.managed_ca:
            own_ca = managed_ca.make(target)
            await self._secrets.put(namespace_client_ca(target.namespace), own_ca.to_pem())
        return _facts(held, own_ca, trust, client_cas)

    async def sign(self, target: Incarnation, request: SigningRequest) -> ClientCertificate:
        own_ca = await self._own(target, namespace_client_ca(target.namespace))
        if own_ca is None:
            raise rejected(
                f"namespace {target.namespace} has no CA of its own that could issue a client "
                "certificate: switch its managed CA on"
            )
        return managed_ca.sign(own_ca, target, request)

    async def destroy(self, target: Incarnation) -> None:
        # Last what was made first: as long as anything is left, `observe` sees the certificate.
        for name in reversed(_kept(target)):
            if await self._own(target, name) is not None:
                await self._secrets.delete(name)

    async def observe(self, target: Incarnation, trust: ClientTrust) -> CertificateFacts | None:
        held, own_ca = [await self._own(target, name) for name in _kept(target)]
        return None if held is None else _facts(held, own_ca, trust, _client_cas(trust))

    async def _ca(self) -> CertificateAndKey:
        """Return the fleet's CA, read once in the life of the process."""
        if self._fleet_ca is None:
            pem = await self._secrets.get(FLEET_CA)
            if pem is None:
                raise RuntimeError(
                    f"the secret store holds no {FLEET_CA!r}: put the fleet's issuing CA there, "
                    "certificate and private key as PEM"
                )
            self._fleet_ca = CertificateAndKey.from_pem(pem)
        return self._fleet_ca

    async def _held(self, target: Incarnation, name: str) -> CertificateAndKey | None:
        """Return what is kept under the name; raise if it is another incarnation's."""
        held = await self._read(name)
        if held is not None and not _is_for(held, target):
            raise rejected(
                f"another incarnation of namespace {target.namespace!r} holds the certificate "
                f"in secret {name!r}: delete that one first"
            )
        return held

    async def _own(self, target: Incarnation, name: str) -> CertificateAndKey | None:
        """Return what is kept under the name, unless it is another incarnation's."""
        held = await self._read(name)
        return held if held is not None and _is_for(held, target) else None

    async def _read(self, name: str) -> CertificateAndKey | None:
        pem = await self._secrets.get(name)
        return None if pem is None else CertificateAndKey.from_pem(pem)


def _kept(target: Incarnation) -> tuple[str, str]:
    return namespace_certificate(target.namespace), namespace_client_ca(target.namespace)


def _client_cas(trust: ClientTrust) -> bundle.CaBundle:
    return bundle.check(trust.client_ca, datetime.now(UTC)) if trust.client_ca else bundle.NONE


def _alternative_names(held: CertificateAndKey) -> x509.SubjectAlternativeName:
    extension = held.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return extension.value


def _is_for(held: CertificateAndKey, target: Incarnation) -> bool:
    uris = _alternative_names(held).get_values_for_type(x509.UniformResourceIdentifier)
    return managed_ca.identity(target) in uris


def _is_good(
    held: CertificateAndKey, ca: CertificateAndKey, server_name: str, renew_before: timedelta
) -> bool:
    return (
        _lasts(held, renew_before)
        and _alternative_names(held).get_values_for_type(x509.DNSName) == [server_name]
        and _issued_by(held, ca)
    )


def _lasts(held: CertificateAndKey, renew_before: timedelta) -> bool:
    return held.certificate.not_valid_after_utc - datetime.now(UTC) > renew_before


def _issued_by(held: CertificateAndKey, ca: CertificateAndKey) -> bool:
    try:
        held.certificate.verify_directly_issued_by(ca.certificate)
    except (ValueError, TypeError, InvalidSignature):  # another name, kind of key or key
        return False
    return True


def _facts(
    held: CertificateAndKey,
    own_ca: CertificateAndKey | None,
    trust: ClientTrust,
    client_cas: bundle.CaBundle,
) -> CertificateFacts:
    in_force = client_cas.joined_by(own_ca if trust.managed_ca else None)
    return CertificateFacts(
        server_name=_alternative_names(held).get_values_for_type(x509.DNSName)[0],
        fingerprint=held.fingerprint,
        not_before=held.certificate.not_valid_before_utc,
        not_after=held.certificate.not_valid_after_utc,
        client_ca_fingerprints=in_force.fingerprints,
        client_ca_not_after=in_force.not_after,
        managed_ca="" if own_ca is None else own_ca.certificate_pem.decode(),
    )
