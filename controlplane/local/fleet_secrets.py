"""The secrets a fleet is born with: made once, kept in its secret store."""

import base64
import secrets
from datetime import timedelta

from cells.stores.secrets import ensure_ingress_secrets, ensure_secret, new_password
from controlplane.secrets.port import (
    CONTROLPLANE_DATABASE,
    DNS_UPDATE_KEY,
    FLEET_CA,
    PEER_CA,
    PROBER_CA,
    SecretStore,
    cell_gatekeeper_database,
)
from provisioning.certificates.peers import FleetPeers
from provisioning.certificates.x509 import new_ca

DATABASE_SUPERUSER = "local/database-superuser"
"""The password of the embedded PostgreSQL's superuser."""
OWNER_API_KEY = "local/owner-api-key"
"""The token of the first account's owner."""

_CA_VALIDITY = timedelta(days=3650)


async def ensure_secrets(store: SecretStore, cells: list[str]) -> None:
    """Make every secret that does not exist yet."""
    await ensure_secret(store, FLEET_CA, lambda: _ca("controlplane fleet CA"))
    await ensure_secret(store, PROBER_CA, lambda: _ca("controlplane prober CA"))
    await ensure_secret(store, PEER_CA, lambda: _ca("controlplane peer CA"))
    await ensure_secret(store, DNS_UPDATE_KEY, lambda: base64.b64encode(secrets.token_bytes(32)))
    for name in (DATABASE_SUPERUSER, CONTROLPLANE_DATABASE):
        await ensure_secret(store, name, new_password)
    peers = FleetPeers(store)
    for cell in cells:
        former = f"local/cells/{cell}/gatekeeper-database"
        await _take_over(store, former, cell_gatekeeper_database(cell))
        await ensure_ingress_secrets(store, peers, cell)


async def read(store: SecretStore, name: str) -> bytes:
    """Return a secret that must be there."""
    value = await store.get(name)
    if value is None:
        raise LookupError(f"the secret {name} is missing: `controlplane up` makes it")
    return value


async def read_text(store: SecretStore, name: str) -> str:
    """Return a secret that must be there, as text."""
    return (await read(store, name)).decode()


async def _take_over(store: SecretStore, former: str, name: str) -> None:
    """Keep under its name what a home of an earlier version has under another."""
    value = await store.get(former)
    if value is None:
        return
    if await store.get(name) is None:
        await store.put(name, value)
    await store.delete(former)


def _ca(name: str) -> bytes:
    return new_ca(name, validity=_CA_VALIDITY).to_pem()
