"""The secrets that a cell's services are started with: made once, kept in the secret store.

One caller at a time: each looks before it makes, and keeps before anybody is told.
"""

import secrets
from collections.abc import Callable

from cells.ingress.sealing import new_key
from cells.stores.ports import PeerAuthority
from controlplane.secrets.port import (
    SecretStore,
    cell_database,
    cell_gatekeeper_database,
    cell_peer_certificate,
    cell_prefix,
    cell_sealing_key,
    cell_temporal_database,
)

_PASSWORD_BYTES = 24


async def ensure_ingress_secrets(store: SecretStore, peers: PeerAuthority, cell: str) -> None:
    """Make what a cell's ingress and its database need, as far as it is missing."""
    await ensure_secret(store, cell_database(cell), new_password)
    await ensure_secret(store, cell_gatekeeper_database(cell), new_password)
    await ensure_secret(store, cell_sealing_key(cell), new_key)
    if await store.get(cell_peer_certificate(cell)) is None:
        await store.put(cell_peer_certificate(cell), await peers.certify(cell))


async def ensure_temporal_secrets(store: SecretStore, cell: str) -> None:
    """Make the password of a Temporal service that keeps its data in PostgreSQL."""
    await ensure_secret(store, cell_temporal_database(cell), new_password)


async def ensure_secret(store: SecretStore, name: str, make: Callable[[], bytes]) -> None:
    """Make and keep a secret, unless there is one of that name."""
    if await store.get(name) is None:
        await store.put(name, make())


async def forget_secrets(store: SecretStore, cell: str) -> None:
    """Delete everything that is kept for a cell."""
    for name in await store.names(cell_prefix(cell)):
        await store.delete(name)


def new_password() -> bytes:
    """Return a password that needs no quoting anywhere."""
    return secrets.token_urlsafe(_PASSWORD_BYTES).encode()
