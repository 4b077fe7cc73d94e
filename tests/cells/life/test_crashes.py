"""Whatever a worker dies in, a cell comes to be as it would have, and goes, and is made once."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.testing import WorkflowEnvironment

from cells.life.client import CellLifeClient
from cells.life.types import CreateCell, LifeCommand, LifeCommandKind, Phase
from cells.providers.memory import Moment
from tests.cells.life.living import BLUEPRINT, CELL, WHOLE, assert_everything_replays
from tests.cells.life.worker import Deaths, FileThings
from tests.engine import fresh_namespace
from tests.eventually import eventually

BUILDING = [
    ("infrastructure.build", Moment.HALFWAY),
    ("services.install", Moment.AFTER),
]
DISMANTLING = [
    ("infrastructure.dismantle", Moment.HALFWAY),
    ("close_account", Moment.AFTER),
]
PATIENCE = 240
"""Seconds, of a busy machine: each death costs a heartbeat timeout and the start of a process."""


@pytest.mark.timeout(600)
async def test_a_worker_killed_in_the_middle_leaves_nothing_and_makes_nothing_twice(
    engine: WorkflowEnvironment, tmp_path: Path
) -> None:
    client = await fresh_namespace(engine.client)
    lives, things = CellLifeClient(client), FileThings(tmp_path / "world")
    deaths = Deaths(tmp_path / "deaths")
    cells = {f"{CELL}-{n}": death for n, death in enumerate([*BUILDING, *DISMANTLING])}
    for cell, (call, moment) in cells.items():
        deaths.plan(cell, call, moment)

    async with _mortal_worker(client, tmp_path) as died:
        for n, cell in enumerate(cells):
            blueprint = replace(BLUEPRINT, cell=cell, uid=f"uid{n}")
            await lives.create(CreateCell(f"create {cell}", blueprint, "ann"))
        for cell in cells:
            await eventually(_in(lives, cell, Phase.READY), within=PATIENCE, every=0.5)
        assert len(things.all()) == len(cells) * len(WHOLE)
        assert sorted(things.made()) == things.all(), "each was made once"

        going = LifeCommand("decommission", LifeCommandKind.DECOMMISSION, "ann")
        await asyncio.gather(*(lives.command(cell, going) for cell in cells))
        async with asyncio.timeout(PATIENCE):
            tombstones = [await lives.handle(cell).result() for cell in cells]

    assert {tombstone.phase for tombstone in tombstones} == {Phase.GONE}
    assert things.all() == []
    assert deaths.planned() == [], "every death struck"
    assert 0 < len(died) <= len(cells)
    await assert_everything_replays(client)


def _in(lives: CellLifeClient, cell: str, phase: Phase) -> Callable[[], Awaitable[bool]]:
    async def probe() -> bool:
        # Nobody answers while the worker is dead.
        with contextlib.suppress(TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
            async with asyncio.timeout(5):
                return (await lives.describe(cell)).phase is phase
        return False

    return probe


@contextlib.asynccontextmanager
async def _mortal_worker(client: Client, folder: Path) -> AsyncIterator[list[int]]:
    """Keep a worker running, and yield the list of its deaths."""
    deaths: list[int] = []
    async with asyncio.TaskGroup() as group:  # A worker that ends by itself ends the test.
        keeping = group.create_task(_keep_running(client, folder, deaths))
        yield deaths
        keeping.cancel()


async def _keep_running(client: Client, folder: Path, deaths: list[int]) -> None:
    engine = client.service_client.config.target_host
    while True:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.cells.life.worker", str(folder)),
            *(engine, client.namespace),
        )
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            process.terminate()
            await process.wait()
            raise
        assert code == -signal.SIGKILL, f"the worker ended by itself with {code}"
        deaths.append(process.pid)
