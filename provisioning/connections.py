"""Connections to the cells' databases, kept open between uses."""

import contextlib
from collections.abc import AsyncIterator
from math import ceil

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from cells.stores.tls import verified
from controlplane.secrets.port import SecretStore, cell_database
from provisioning.ports import CellDirectory

_MOST_PER_CELL = 4
_UNUSED_KEPT = 300.0  # Seconds.
# A statement that hangs must not outlive its activity by much.
_SESSION = "-c lock_timeout=10s -c statement_timeout=30s"


class CellConnections:
    """A few autocommit connections to each cell's database, opened when first needed."""

    def __init__(
        self, directory: CellDirectory, secrets: SecretStore, *, connect_within: float = 5.0
    ) -> None:
        """Give up after `connect_within` seconds, waiting for a free connection included."""
        self._directory = directory
        self._secrets = secrets
        self._connect_within = connect_within
        self._pools: dict[str, AsyncConnectionPool] = {}

    @contextlib.asynccontextmanager
    async def to(self, cell: str) -> AsyncIterator[AsyncConnection]:
        """Lend a connection as the role that owns the cell's database."""
        async with contextlib.AsyncExitStack() as stack:
            try:
                pool = await self._open_pool(cell)
                connection = await stack.enter_async_context(pool.connection())
            except PoolTimeout as error:
                addresses = await self._directory.locate(cell)
                raise ConnectionError(
                    f"the database of cell {cell}, {addresses.database}, gave no connection "
                    f"within {self._connect_within:g} s"
                ) from error
            yield connection

    async def refuses(self, cell: str, username: str, password: str) -> bool:
        """Tell whether the cell's database calls the password wrong.

        A login that is refused for another reason, such as too many sessions, proves nothing.
        """
        addresses = await self._directory.locate(cell)
        try:
            connection = await AsyncConnection.connect(
                verified(addresses.database, addresses.database_ca),
                user=username,
                password=password,
                connect_timeout=ceil(self._connect_within),
            )
        except psycopg.OperationalError as error:
            # The library knows no code for what fails before there is a session.
            return "password authentication failed" in str(error)
        await connection.close()
        return False

    async def close(self) -> None:
        """Close all connections; what still uses one keeps it until it is done."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.close()

    async def _open_pool(self, cell: str) -> AsyncConnectionPool:
        pool = self._pools.get(cell)
        if pool is None:
            # Looked up for each new connection: a cell may move, its password change.
            async def conninfo() -> str:
                return await self._conninfo(cell)

            pool = AsyncConnectionPool(
                conninfo,
                kwargs={"autocommit": True, "options": _SESSION},
                min_size=0,
                max_size=_MOST_PER_CELL,
                timeout=self._connect_within,
                max_idle=_UNUSED_KEPT,
                check=AsyncConnectionPool.check_connection,
                name=f"cell {cell}",
                open=False,
            )
            self._pools[cell] = pool
        await pool.open()
        return pool

    async def _conninfo(self, cell: str) -> str:
        addresses = await self._directory.locate(cell)
        password = await self._secrets.get(cell_database(cell))
        if password is None:
            raise LookupError(f"the secret store has no {cell_database(cell)}")
        server = verified(addresses.database, addresses.database_ca)
        return make_conninfo(server, password=password.decode())
