"""A cell's stores on the PostgreSQL server that its cloud runs."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Literal

from psycopg import AsyncConnection, errors
from psycopg.conninfo import make_conninfo

from cells.life.types import Blueprint
from cells.providers.types import DatabaseLogin, Foundation
from cells.stores.ingress import apply_ingress_schema, prepare_ingress_database, secret_text
from cells.stores.names import TEMPORAL, TEMPORAL_VISIBILITY, ingress_database
from cells.stores.ports import DatabaseLogins, PeerAuthority
from cells.stores.roles import ensure_database, ensure_role, keep_everybody_out
from cells.stores.secrets import ensure_ingress_secrets, ensure_temporal_secrets, forget_secrets
from cells.stores.tls import verified
from controlplane.errors import rejected
from controlplane.secrets.port import SecretStore, cell_database, cell_temporal_database

SslMode = Literal["verify-full", "require", "disable"]

_MAINTENANCE = "postgres"
"""The database that every server has."""
_CONNECT_WITHIN_SECONDS = 10
# A statement that hangs must not outlive its activity by much.
_SESSION = "-c lock_timeout=30s -c statement_timeout=60s"
_LOCK = 0x73746F72  # Held on the server by whoever prepares it: "stor" in ASCII.


@dataclass(frozen=True)
class PostgresStores:
    """Adapter of `cells.life.ports.Stores`."""

    secrets: SecretStore
    logins: DatabaseLogins
    peers: PeerAuthority
    sslmode: SslMode = "verify-full"
    """How the servers' certificates are checked; what signs them is in each foundation."""

    async def prepare(self, blueprint: Blueprint, foundation: Foundation) -> None:
        """Make the databases, roles and secrets that are missing; give roles their passwords.

        A password is in the secret store before a role has it, so that no call that dies leaves a
        role that nobody can log in as.
        """
        cell, login = blueprint.cell, await self.logins.database_login(foundation)
        server = self._server(foundation)
        async with _alone(server, login) as first:
            await ensure_ingress_secrets(self.secrets, self.peers, cell)
            await ensure_temporal_secrets(self.secrets, cell)
            with _as_first_role(foundation, login):
                await keep_everybody_out(first)
                await self._prepare_temporal(first, cell)
                await prepare_ingress_database(first, cell, self.secrets)
            await self._bring_schema(server, cell)

    async def forget(self, blueprint: Blueprint) -> None:
        await forget_secrets(self.secrets, blueprint.cell)

    async def _prepare_temporal(self, first: AsyncConnection, cell: str) -> None:
        password = await secret_text(self.secrets, cell_temporal_database(cell))
        await ensure_role(first, TEMPORAL, password)
        for database in (TEMPORAL, TEMPORAL_VISIBILITY):
            await ensure_database(first, database, TEMPORAL)

    async def _bring_schema(self, server: str, cell: str) -> None:
        name = ingress_database(cell)
        password = await secret_text(self.secrets, cell_database(cell))
        async with await _connect(server, name, DatabaseLogin(name, password)) as owner:
            await apply_ingress_schema(owner, cell)

    def _server(self, foundation: Foundation) -> str:
        """Return the conninfo of the server."""
        host, _, port = foundation.database.rpartition(":")
        where = make_conninfo(
            host=host,
            port=port,
            sslmode=self.sslmode,
            connect_timeout=_CONNECT_WITHIN_SECONDS,
            options=_SESSION,
        )
        if self.sslmode != "verify-full":
            return where
        if not foundation.database_ca:
            return make_conninfo(where, sslrootcert="system")
        return verified(where, foundation.database_ca)


@contextlib.asynccontextmanager
async def _alone(server: str, login: DatabaseLogin) -> AsyncIterator[AsyncConnection]:
    """Lend a connection of the server's first role while every other call waits.

    Two at once would each make a password, and one be kept that no role has. The lock
    belongs to the session: the server releases it when this process dies.
    """
    async with await _connect(server, _MAINTENANCE, login) as connection:
        await connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        yield connection


async def _connect(server: str, database: str, login: DatabaseLogin) -> AsyncConnection:
    return await AsyncConnection.connect(
        server, dbname=database, user=login.role, password=login.password, autocommit=True
    )


@contextlib.contextmanager
def _as_first_role(foundation: Foundation, login: DatabaseLogin) -> Iterator[None]:
    try:
        yield
    except errors.InsufficientPrivilege as error:
        raise rejected(
            f"role {login.role} of the PostgreSQL server {foundation.database} cannot prepare it: "
            f"{error.diag.message_primary}. Grant it CREATEROLE and CREATEDB, which the first role "
            "of a server has"
        ) from error
