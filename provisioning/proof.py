"""The proof that an endpoint does what it should, from where its clients are."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import cache

import grpc

from cells.ingress.gatekeeper.authorizer import prober_identity
from controlplane.secrets.port import FLEET_CA, PROBER_CA, SecretStore
from provisioning.canary import fly_canary
from provisioning.certificates.x509 import CertificateAndKey, issue_client, new_ca
from provisioning.handshake import Endpoint, call_as_stranger, client_context, knock
from provisioning.ports import CellDirectory, Incarnation

_PROBER_VALIDITY = timedelta(minutes=5)
_FOREIGN_VALIDITY = timedelta(days=3650)
"""Beyond the life of any process: it must be refused for its issuer, not for its age."""


class ProofFailed(Exception):
    """The endpoint does not do what it should, or not yet; the message says in which respects."""


class EndpointProber:
    """Connects as a client, and as strangers: `provisioning.ports.Prober`."""

    def __init__(
        self,
        directory: CellDirectory,
        secrets: SecretStore,
        resolve: Callable[[str], Awaitable[str]],
    ) -> None:
        """`resolve` asks the zone's authoritative servers for the address of a name."""
        self._directory = directory
        self._secrets = secrets
        self._resolve = resolve

    async def prove(
        self,
        target: Incarnation,
        server_name: str,
        certificate_fingerprint: str,
        api_keys: bool,
        at: str = "",
    ) -> None:
        endpoint = await (
            self._ingress(at, server_name) if at else self._named(target, server_name)
        )
        # Canaries of one name replace each other, and several ingresses may be proven at once.
        canary = f"{target.uid}-{at}" if at else target.uid
        roots = (await self._authority(FLEET_CA)).certificate_pem
        prober = issue_client(
            await self._authority(PROBER_CA),
            "controlplane-prober",
            uris=(prober_identity(target.namespace),),
            validity=_PROBER_VALIDITY,
        )
        turned_away = _refuses_requests if api_keys else _refuses
        checks = {
            "its certificate": _shows(endpoint, roots, prober, certificate_fingerprint),
            "a client without a certificate": turned_away(endpoint, roots, None),
            "a client with a foreign certificate": turned_away(endpoint, roots, _foreign()),
            "a canary workflow": fly_canary(endpoint, target.namespace, canary, roots, prober),
        }
        outcomes = await asyncio.gather(*checks.values(), return_exceptions=True)
        failures = [
            f"{check}: {outcome}"
            for check, outcome in zip(checks, outcomes, strict=True)
            if outcome is not None
        ]
        if failures:
            raise ProofFailed(f"{endpoint} fails with {'; with '.join(failures)}")

    async def _named(self, target: Incarnation, server_name: str) -> Endpoint:
        """Return where the endpoint's name leads."""
        ip = await self._resolve(server_name)
        ingress = (await self._directory.locate(target.cell)).ingress
        return Endpoint(ip, int(ingress.rpartition(":")[2]), server_name)

    async def _ingress(self, cell: str, server_name: str) -> Endpoint:
        """Return the endpoint at the ingress of one cell, wherever its name leads."""
        host, _, port = (await self._directory.locate(cell)).ingress.rpartition(":")
        found = await asyncio.get_running_loop().getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM
        )
        return Endpoint(str(found[0][4][0]), int(port), server_name)

    async def _authority(self, name: str) -> CertificateAndKey:
        pem = await self._secrets.get(name)
        if pem is None:
            raise LookupError(f"the secret store has no {name}")
        return CertificateAndKey.from_pem(pem)


async def _shows(
    endpoint: Endpoint, roots: bytes, prober: CertificateAndKey, fingerprint: str
) -> None:
    answer = await knock(endpoint, client_context(roots, prober))
    if answer is None:
        raise ProofFailed("the control plane's own client is refused")
    if answer.fingerprint != fingerprint:
        raise ProofFailed(f"it shows {answer.fingerprint}, expected {fingerprint}")


async def _refuses(endpoint: Endpoint, roots: bytes, stranger: CertificateAndKey | None) -> None:
    if await knock(endpoint, client_context(roots, stranger)) is not None:
        raise ProofFailed("it is let in")


async def _refuses_requests(
    endpoint: Endpoint, roots: bytes, stranger: CertificateAndKey | None
) -> None:
    """Where API keys get in, a stranger may connect: what is refused is whatever it asks then."""
    answer = await call_as_stranger(endpoint, roots, stranger)
    if answer is not grpc.StatusCode.UNAUTHENTICATED:
        raise ProofFailed(f"its request without an API key is answered {answer.name}")


@cache
def _foreign() -> CertificateAndKey:
    """Return a certificate of an authority that nobody knows, made once."""
    authority = new_ca("a stranger's authority", validity=_FOREIGN_VALIDITY)
    return issue_client(authority, "a stranger", validity=_FOREIGN_VALIDITY)
