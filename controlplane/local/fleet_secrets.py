"""The secrets a fleet is born with: made once, kept in its secret store."""

import base64
import secrets
from collections.abc import Callable
from datetime import timedelta

from cells.ingress.gatekeeper.authorizer import peer_identity
from cells.ingress.sealing import new_key
from controlplane.secrets.port import (
    CONTROLPLANE_DATABASE,
    DNS_UPDATE_KEY,
    FLEET_CA,
    PEER_CA,
    PROBER_CA,
    SecretStore,
    cell_database,
    cell_peer_certificate,
    cell_sealing_key,
)
from provisioning.certificates.x509 import CertificateAndKey, issue_client, new_ca

DATABASE_SUPERUSER = "local/database-superuser"
"""The password of the embedded PostgreSQL's superuser."""
OWNER_API_KEY = "local/owner-api-key"
"""The token of the first account's owner."""

_CA_VALIDITY = timedelta(days=3650)


def gatekeeper_database(cell: str) -> str:
    """Name the password with which a cell's gatekeeper reads its database."""
    return f"local/cells/{cell}/gatekeeper-database"


async def ensure_secrets(store: SecretStore, cells: list[str]) -> None:
    """Make every secret that does not exist yet."""
    await _ensure(store, FLEET_CA, lambda: _ca("controlplane fleet CA"))
    await _ensure(store, PROBER_CA, lambda: _ca("controlplane prober CA"))
    await _ensure(store, PEER_CA, lambda: _ca("controlplane peer CA"))
    await _ensure(store, DNS_UPDATE_KEY, lambda: base64.b64encode(secrets.token_bytes(32)))
    for name in (DATABASE_SUPERUSER, CONTROLPLANE_DATABASE):
        await _ensure(store, name, _password)
    for cell in cells:
        await _ensure(store, cell_database(cell), _password)
        await _ensure(store, gatekeeper_database(cell), _password)
        await _ensure(store, cell_sealing_key(cell), new_key)
        await _ensure_peer_certificate(store, cell)


async def read(store: SecretStore, name: str) -> bytes:
    """Return a secret that must be there."""
    value = await store.get(name)
    if value is None:
        raise LookupError(f"the secret {name} is missing: `controlplane up` makes it")
    return value


async def read_text(store: SecretStore, name: str) -> str:
    """Return a secret that must be there, as text."""
    return (await read(store, name)).decode()


async def _ensure_peer_certificate(store: SecretStore, cell: str) -> None:
    if await store.get(cell_peer_certificate(cell)) is None:
        authority = CertificateAndKey.from_pem(await read(store, PEER_CA))
        issued = issue_client(
            authority, "ingress", uris=(peer_identity(cell),), validity=_CA_VALIDITY
        )
        await store.put(cell_peer_certificate(cell), issued.to_pem())


async def _ensure(store: SecretStore, name: str, make: Callable[[], bytes]) -> None:
    if await store.get(name) is None:
        await store.put(name, make())


def _password() -> bytes:
    return secrets.token_urlsafe(24).encode()


def _ca(name: str) -> bytes:
    return new_ca(name, validity=_CA_VALIDITY).to_pem()
