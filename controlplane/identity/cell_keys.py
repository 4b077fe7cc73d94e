"""A cell's copy of what verifies API keys: the port, and the adapter for real cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cells.ingress.enforcement import Gatekeepers
from cells.ingress.keys import (
    KeyRow,
    SigningKeyRow,
    keys_service,
    write_keys,
    write_signing_keys,
)
from provisioning.connections import CellConnections
from provisioning.ports import CellDirectory


class CellKeys(Protocol):
    """Both methods can be repeated, and raise when the cell cannot be reached."""

    async def write(self, cell: str, account: str, revision: int, keys: Sequence[KeyRow]) -> None:
        """Let these be the account's keys, unless the cell has a later revision of them; return
        once its gatekeeper enforces this revision or a later one."""
        ...

    async def write_signing_keys(self, cell: str, keys: Sequence[SigningKeyRow]) -> None:
        """Let these be the signing keys in force, before any key that is written after them."""
        ...


@dataclass(frozen=True)
class GatekeeperKeys:
    """Writes to the cells' databases and waits for their gatekeepers: `CellKeys`."""

    directory: CellDirectory
    connections: CellConnections
    gatekeepers: Gatekeepers

    async def write(self, cell: str, account: str, revision: int, keys: Sequence[KeyRow]) -> None:
        async with self.connections.to(cell) as connection:
            await write_keys(connection, account, revision, keys)
        address = (await self.directory.locate(cell)).gatekeeper
        service = keys_service(account, revision)
        await self.gatekeepers.until_enforced(cell, address, service, called=service)

    async def write_signing_keys(self, cell: str, keys: Sequence[SigningKeyRow]) -> None:
        async with self.connections.to(cell) as connection:
            await write_signing_keys(connection, keys)
