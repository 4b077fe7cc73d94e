"""Databases of cells for tests, and secret stores that die at a chosen moment."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import LiteralString

from psycopg import AsyncConnection

from cells.types import CellAddresses
from controlplane.secrets.memory import MemorySecretStore
from controlplane.secrets.port import cell_database
from tests.postgres import Database, RunningPostgres

SCHEMA = files("cells.ingress").joinpath("schema.sql").read_bytes()

NOWHERE = CellAddresses(
    frontend="127.0.0.1:1",
    ingress="127.0.0.1:1",
    ingress_admin="127.0.0.1:1",
    gatekeeper="127.0.0.1:1",
    database="postgresql://nobody@127.0.0.1:1/nothing",
)


@dataclass(frozen=True)
class Directory:
    """Where cells answer, as tests say."""

    addresses: dict[str, CellAddresses] = field(default_factory=dict)

    async def locate(self, cell: str) -> CellAddresses:
        return self.addresses[cell]


class Died(Exception):
    """The process died: what had been done by then stays done."""


class DyingSecretStore(MemorySecretStore):
    """Dies right before or right after its next call of a method, and then recovers."""

    def __init__(self) -> None:
        super().__init__()
        self.dies: list[tuple[str, str]] = []
        """Pairs like `("after", "put")`; each works once."""

    async def put(self, name: str, value: bytes) -> None:
        self._perhaps_die("before", "put")
        await super().put(name, value)
        self._perhaps_die("after", "put")

    async def delete(self, name: str) -> None:
        self._perhaps_die("before", "delete")
        await super().delete(name)
        self._perhaps_die("after", "delete")

    def _perhaps_die(self, when: str, method: str) -> None:
        if (when, method) in self.dies:
            self.dies.remove((when, method))
            raise Died(f"{when} {method}")


async def create_cell(
    postgres: RunningPostgres, cell: str, directory: Directory, secrets: MemorySecretStore
) -> Database:
    """Create the cell's database with its schema, and make it known."""
    database = await postgres.create_database("cell", "CREATEROLE")
    async with await AsyncConnection.connect(database.conninfo) as connection:
        await connection.execute(SCHEMA)
    addresses = directory.addresses.get(cell, NOWHERE)
    directory.addresses[cell] = replace(addresses, database=database.url)
    await secrets.put(cell_database(cell), database.password.encode())
    return database


async def query(
    conninfo: str, statement: LiteralString, *values: str
) -> Sequence[tuple[object, ...]]:
    """Return the rows of one statement on a connection of its own."""
    async with await AsyncConnection.connect(conninfo, autocommit=True) as connection:
        return await (await connection.execute(statement, values or None)).fetchall()
