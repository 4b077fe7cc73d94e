"""The fleet's issuing authority: server certificates, kept in the secret store."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from controlplane.errors import rejected
from controlplane.secrets.port import FLEET_CA, SecretStore, namespace_certificate
from provisioning.certificates import bundle
from provisioning.certificates.x509 import CertificateAndKey, issue_server
from provisioning.ports import Incarnation
from provisioning.types import CertificateFacts

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
        self, target: Incarnation, server_name: str, client_ca: str, renew_before: timedelta
    ) -> CertificateFacts:
        client_cas = bundle.check(client_ca, datetime.now(UTC))
        ca = await self._ca()
        held = await self._held(target.namespace)
        if held is not None and not _is_for(held, target):
            raise rejected(
                f"another incarnation of namespace {target.namespace!r} holds the certificate "
                f"in secret {namespace_certificate(target.namespace)!r}: delete that one first"
            )
        if held is None or not _is_good(held, ca, server_name, renew_before):
            held = issue_server(ca, (server_name,), self._validity, uris=(_identity(target),))
            if not _lasts(held, renew_before):
                raise RuntimeError(
                    f"the fleet's CA issues certificates until "
                    f"{held.certificate.not_valid_after_utc:%Y-%m-%d} only, and they are renewed "
                    f"{renew_before.days} days before their end: replace secret {FLEET_CA!r}"
                )
            # Stored before anybody hears of it: a call repeated from here on finds this one.
            await self._secrets.put(namespace_certificate(target.namespace), held.to_pem())
        return _facts(held, client_cas)

    async def destroy(self, target: Incarnation) -> None:
        held = await self._held(target.namespace)
        if held is not None and _is_for(held, target):
            await self._secrets.delete(namespace_certificate(target.namespace))

    async def observe(self, target: Incarnation, client_ca: str) -> CertificateFacts | None:
        held = await self._held(target.namespace)
        if held is None or not _is_for(held, target):
            return None
        return _facts(held, bundle.check(client_ca, datetime.now(UTC)))

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

    async def _held(self, namespace: str) -> CertificateAndKey | None:
        pem = await self._secrets.get(namespace_certificate(namespace))
        return None if pem is None else CertificateAndKey.from_pem(pem)


def _identity(target: Incarnation) -> str:
    return f"controlplane://namespace/{target.namespace}/{target.uid}"


def _alternative_names(held: CertificateAndKey) -> x509.SubjectAlternativeName:
    extension = held.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return extension.value


def _is_for(held: CertificateAndKey, target: Incarnation) -> bool:
    uris = _alternative_names(held).get_values_for_type(x509.UniformResourceIdentifier)
    return _identity(target) in uris


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


def _facts(held: CertificateAndKey, client_cas: bundle.CaBundle) -> CertificateFacts:
    return CertificateFacts(
        server_name=_alternative_names(held).get_values_for_type(x509.DNSName)[0],
        fingerprint=held.fingerprint,
        not_before=held.certificate.not_valid_before_utc,
        not_after=held.certificate.not_valid_after_utc,
        client_ca_fingerprints=client_cas.fingerprints,
        client_ca_not_after=client_cas.not_after,
    )
