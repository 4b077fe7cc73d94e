"""The certificate under which the API answers TLS clients: issued by the fleet's own CA."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import grpc

from controlplane.secrets.port import FLEET_CA, SecretStore
from provisioning.certificates.x509 import CertificateAndKey, issue_server

VALIDITY = timedelta(days=90)
RENEW_BEFORE = timedelta(days=30)

_LOOK_EVERY_SECONDS = 3600.0
_logger = logging.getLogger(__name__)


class ApiCertificate:
    """Lives in memory only: each process makes its own, and a new one before it expires."""

    def __init__(self, secrets: SecretStore, zone: str) -> None:
        self._secrets = secrets
        self._names = (f"api.{zone}", "localhost")
        self._expires_at = datetime.min.replace(tzinfo=UTC)
        self._unused: grpc.ServerCertificateConfiguration | None = None

    async def credentials(self) -> grpc.ServerCredentials:
        """Return credentials for a listener; they follow each renewal."""
        return grpc.dynamic_ssl_server_credentials(
            await self._issue(),
            self._take_unused,  # type: ignore[arg-type]  # None means no change.
        )

    async def keep_fresh(self) -> None:
        """Renew the certificate whenever it is due, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
            if self._expires_at - datetime.now(UTC) > RENEW_BEFORE:
                continue
            try:
                self._unused = await self._issue()
            except Exception:
                _logger.exception("the API's certificate could not be renewed; trying again later")

    async def _issue(self) -> grpc.ServerCertificateConfiguration:
        pem = await self._secrets.get(FLEET_CA)
        if pem is None:
            raise LookupError(
                f"the secret {FLEET_CA} is missing: put the fleet's issuing CA there, certificate "
                "and private key as PEM"
            )
        issued = issue_server(
            CertificateAndKey.from_pem(pem), self._names, VALIDITY, addresses=("127.0.0.1", "::1")
        )
        self._expires_at = issued.certificate.not_valid_after_utc
        return grpc.ssl_server_certificate_configuration([(issued.key_pem, issued.certificate_pem)])

    def _take_unused(self) -> grpc.ServerCertificateConfiguration | None:
        """Hand gRPC a renewed certificate once; it asks at every handshake."""
        renewed, self._unused = self._unused, None
        return renewed
