"""The databases of two cells on a real server, and the adapter that keeps them."""

import contextlib
import secrets as random
from collections.abc import AsyncIterator
from dataclasses import dataclass

from psycopg.conninfo import make_conninfo

from controlplane.secrets.port import namespace_database
from provisioning.connections import CellConnections
from provisioning.database import Credential, PostgresDatabases
from provisioning.ports import Incarnation
from tests.postgres import Database, RunningPostgres
from tests.provisioning.cell_databases import Directory, DyingSecretStore, create_cell, query

CELL = "aws-us-east-1-c1"
OTHER_CELL = "gcp-us-central1-c1"


@dataclass(frozen=True)
class World:
    directory: Directory
    secrets: DyingSecretStore
    databases: PostgresDatabases
    cell: Database
    other_cell: Database

    async def credential(self, target: Incarnation) -> Credential:
        value = await self.secrets.get(namespace_database(target.namespace))
        assert value is not None
        return Credential.from_json(value)

    def login(self, credential: Credential, database: Database | None = None) -> str:
        """Return the conninfo with which a tenant connects."""
        return make_conninfo(
            (database or self.cell).url, user=credential.username, password=credential.password
        )


@contextlib.asynccontextmanager
async def running_world(postgres: RunningPostgres) -> AsyncIterator[World]:
    directory, secrets = Directory(), DyingSecretStore()
    cell = await create_cell(postgres, CELL, directory, secrets)
    other_cell = await create_cell(postgres, OTHER_CELL, directory, secrets)
    connections = CellConnections(directory, secrets)
    yield World(directory, secrets, PostgresDatabases(connections, secrets), cell, other_cell)
    await connections.close()


def incarnation(namespace: str | None = None) -> Incarnation:
    return Incarnation(
        namespace or f"orders-{random.token_hex(3)}.acme1", random.token_hex(8), CELL
    )


def host(target: Incarnation) -> str:
    return f"{target.namespace}.fleet.test"


async def roles(world: World, target: Incarnation) -> list[str]:
    rows = await query(
        world.cell.conninfo,
        "SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s) ORDER BY 1",
        f"ns:{target.namespace}",
    )
    return [str(row[0]) for row in rows]
