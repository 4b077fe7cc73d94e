"""Connections to the control plane's database."""

import asyncio
import select

from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from controlplane.secrets.port import CONTROLPLANE_DATABASE, SecretStore
from controlplane.settings import Settings

_MAX_CONNECTIONS = 10
_ACQUIRE_SECONDS = 5.0


class Pool(AsyncConnectionPool[AsyncConnection[TupleRow]]):
    """Connections in autocommit: a statement is its own transaction unless one is opened."""

    async def getconn(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - as in what it overrides
    ) -> AsyncConnection[TupleRow]:
        """Return a connection, or give it back at once if the caller was cancelled meanwhile.

        The pool waits by `asyncio.wait_for`, which before Python 3.12 loses a cancellation that
        comes as it wakes: a loop that lives on connections could then not be stopped.
        """
        task = asyncio.current_task()
        cancelled = task.cancelling() if task else 0
        connection = await super().getconn(timeout)
        if task and task.cancelling() > cancelled:
            await self.putconn(connection)
            raise asyncio.CancelledError
        return connection


async def database_conninfo(settings: Settings, secrets: SecretStore) -> str:
    """Return the libpq conninfo of the control plane's database, password included."""
    password = await secrets.get(CONTROLPLANE_DATABASE)
    if password is None:
        raise LookupError(
            f"the secret {CONTROLPLANE_DATABASE} is missing: store the password of the role in "
            f"CONTROLPLANE_DATABASE_URL under that name"
        )
    return make_conninfo(settings.database_url, password=password.decode())


async def open_pool(settings: Settings, secrets: SecretStore) -> Pool:
    """Open a pool on the control plane's database; the caller closes it."""
    return await open_pool_on(await database_conninfo(settings, secrets))


async def open_pool_on(conninfo: str) -> Pool:
    """Open a pool on any database; the caller closes it."""
    pool = Pool(
        conninfo,
        min_size=1,
        max_size=_MAX_CONNECTIONS,
        open=False,
        timeout=_ACQUIRE_SECONDS,
        kwargs={"autocommit": True},
        # A restarted server leaves dead connections in the pool: find them before a caller does.
        check=_check,
    )
    await pool.open(wait=True)
    return pool


async def _check(connection: AsyncConnection[TupleRow]) -> None:
    """Raise if the server has closed the connection, without asking it when it is silent.

    An idle connection has nothing to read but its end, or the reason for it.
    """
    if _readable(connection.fileno()):
        await AsyncConnectionPool.check_connection(connection)


def _readable(descriptor: int) -> bool:
    poll = select.poll()  # select() knows only the first 1,024 descriptors.
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
