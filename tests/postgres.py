"""A PostgreSQL server for tests: started on a free port, stopped at the end."""

import asyncio
import contextlib
import secrets
import shutil
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import make_conninfo

from cells.stores.roles import RoleAttribute, ensure_database, ensure_role
from controlplane.local.ports import free_port
from controlplane.local.postgres import (
    SUPERUSER,
    PostgresServer,
    initialise,
    new_outside_folder,
    prepare_server,
    superuser,
)


@dataclass(frozen=True)
class Database:
    """A database of one test, with its owner's password inside the conninfo."""

    name: str
    owner: str
    password: str
    url: str
    """Without password, as the product's settings hold it."""
    conninfo: str


@dataclass(frozen=True)
class RunningPostgres:
    server: PostgresServer
    password: str
    """The superuser's."""

    @property
    def conninfo(self) -> str:
        return make_conninfo(self.server.url(SUPERUSER, "postgres"), password=self.password)

    async def create_database(self, prefix: str = "test", *attributes: RoleAttribute) -> Database:
        """Create a fresh database, owned by a login role of its own."""
        name = f"{prefix}_{secrets.token_hex(4)}"
        password = secrets.token_urlsafe(16)
        async with superuser(self.server, self.password) as connection:
            await ensure_role(connection, name, password, *attributes)
            await ensure_database(connection, name, owner=name)
        url = self.server.url(name, name)
        return Database(name, name, password, url, make_conninfo(url, password=password))


@contextlib.asynccontextmanager
async def running_postgres(folder: Path) -> AsyncIterator[RunningPostgres]:
    """Run a server whose files belong to `folder`; leave nothing of it behind."""
    outside = new_outside_folder()
    server = prepare_server(folder / "postgres", free_port(), outside)
    password = secrets.token_urlsafe(16)
    try:
        await initialise(server, password)
        async with _process(server):
            async with superuser(server, password):
                pass
            yield RunningPostgres(server, password)
    finally:
        if outside is not None:
            shutil.rmtree(outside)


@contextlib.asynccontextmanager
async def _process(server: PostgresServer) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        *server.command,
        *("-c", "fsync=off"),
        user=server.user,
        group=server.group,
        extra_groups=None if server.user is None else [],
        cwd="/",
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        await process.wait()
