"""A cell's Temporal server for tests: global namespaces on, as in the embedded fleet."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from controlplane.local.ports import assign_ports
from controlplane.local.temporal_server import (
    TemporalPorts,
    bootstrap_cell,
    cell_command,
    server_environment,
)
from controlplane.local.waiting import WORKFLOW_SERVICE, is_serving
from tests.eventually import eventually

_FAILOVER_VERSION = 7


@contextlib.asynccontextmanager
async def running_temporal_cell(folder: Path) -> AsyncIterator[str]:
    """Run a server with its files in `folder`; yield its frontend's address."""
    async with running_temporal_server(folder) as ports:
        yield ports.address


@contextlib.asynccontextmanager
async def running_temporal_server(folder: Path) -> AsyncIterator[TemporalPorts]:
    """Run a server with its files in `folder`, its database being `cell.db`; yield its ports."""
    ports = TemporalPorts(**assign_ports(["frontend", "http", "metrics"], {}))
    database = folder / "cell.db"
    environment = {**os.environ, **server_environment(folder)}
    await bootstrap_cell(database, ports, _FAILOVER_VERSION, environment)
    with (folder / "server.log").open("wb") as log:
        server = await asyncio.create_subprocess_exec(
            *cell_command(database, ports), env=environment, cwd="/", stdout=log, stderr=log
        )
    try:
        await eventually(lambda: is_serving(ports.address, WORKFLOW_SERVICE), within=60)
        yield ports
    finally:
        server.terminate()
        await server.wait()
