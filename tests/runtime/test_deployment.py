"""What becomes of a real cell when a deployment does not go the way it should."""

import asyncio
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError

from cells.release import Software
from controlplane.errors import ErrorType
from controlplane.local.cells import CELLS, CellLayout
from controlplane.local.home import Home
from controlplane.local.preparation import choose, fetch_servers
from controlplane.local.runtime import FleetDown, LocalRuntime
from controlplane.local.supervisor import ProgramState, Supervisor
from controlplane.local.waiting import answered_version
from tests.runtime.local_cell import RunningCell, running_cells

pytestmark = pytest.mark.timeout(300)

OLDER, NEWER = Software("1.31.2"), Software("1.32.0")
DOES_NOT_START = Software("1.32.0", configuration={"frontend.rps": 0})
"""The server's rate limiter panics at this."""

DYING_DEPLOYMENT = """
import asyncio, os, pkgutil, signal, sys
from pathlib import Path
from cells.release import Software
from controlplane.local.home import Home
from controlplane.local.runtime import LocalRuntime

home, cell, version, generation, owner, step = sys.argv[1:]
owner = pkgutil.resolve_name(owner)
taken = getattr(owner, step)

async def last(*arguments):
    await taken(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(owner, step, last)
runtime = LocalRuntime(Home(Path(home)))
asyncio.run(runtime.deploy(cell, None, Software(version), int(generation)))
"""
STEPS = [
    "controlplane.local.home:Home record_cell",
    "controlplane.local.supervisor:Supervisor stop",
    "controlplane.local.deployment back_up",
    "controlplane.local.supervisor:Supervisor configure",
    "controlplane.local.supervisor:Supervisor start",
    "controlplane.local.deployment:Deployment _start",
    "controlplane.local.deployment:Deployment _settle",
]
"""What a deployment does, one after the other."""


@pytest.fixture(scope="module")
async def cells(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[RunningCell]]:
    async with running_cells(tmp_path_factory.mktemp("cells") / "home", "1.31.2", 2) as running:
        yield running


def next_generation(cell: RunningCell) -> int:
    return cell.layout.known.generation + 1


async def deploy(cell: RunningCell, software: Software, generation: int | None = None) -> None:
    """Deploy, and see that the cell is what it should be afterwards."""
    generation = next_generation(cell) if generation is None else generation
    deployed = await cell.runtime.deploy(cell.id, cell.layout.spec, software, generation)
    assert deployed.server_version == software.server_version
    assert await answered_version(cell.frontend) == software.server_version
    known = cell.layout.known
    assert (known.software, known.generation, known.change) == (software, generation, None)
    assert timedelta(seconds=known.gap_seconds) == deployed.gap


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.rpartition(" ")[2])
async def test_who_is_killed_after_a_step_is_followed_by_one_who_ends_right(
    cells: list[RunningCell], step: str
) -> None:
    cell, _ = cells
    before = cell.layout.software
    wanted = OLDER if before == NEWER else NEWER
    generation = next_generation(cell)
    arguments = (str(cell.home.path), cell.id, wanted.server_version, str(generation))
    dying = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", DYING_DEPLOYMENT, *arguments, *step.split())
    )
    assert await dying.wait() == -signal.SIGKILL
    assert cell.layout.known.generation == generation

    await deploy(cell, wanted, generation)

    assert cell.layout.known.gap_seconds > 0
    copies = [copy.name for copy in (cell.layout.folder / "backups").iterdir()]
    assert f"{generation}-{before.server_version}.db" in copies
    assert f"{generation}-{wanted.server_version}.db" not in copies
    assert len(copies) <= 2


async def test_a_server_that_does_not_start_is_rejected_and_the_one_before_can_come_back(
    cells: list[RunningCell],
) -> None:
    cell, _ = cells
    await deploy(cell, OLDER)
    generation = next_generation(cell)
    for _ in range(2):
        with pytest.raises(ApplicationError, match=r"temporal died 3 times: panic: ") as refused:
            await cell.runtime.deploy(cell.id, cell.layout.spec, DOES_NOT_START, generation)
        assert refused.value.type == ErrorType.REJECTED
    assert await cell.runtime.running(cell.id, cell.layout.spec) == DOES_NOT_START
    assert await answered_version(cell.frontend) is None
    statuses = await Supervisor(cell.home).statuses()
    assert statuses[cell.cell.temporal].state is ProgramState.STOPPED

    await deploy(cell, OLDER)

    copies = (cell.layout.folder / "backups").glob("*.db")
    (first, second) = sorted(copies, key=lambda copy: copy.stat().st_mtime_ns)
    assert first.name == f"{generation}-{OLDER.server_version}.db"
    assert second.name == f"{generation + 1}-{DOES_NOT_START.server_version}.db"
    for copy in (first, second):
        with closing(sqlite3.connect(copy)) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert database.execute("SELECT count(*) FROM namespaces").fetchone() > (0,)


async def test_cells_are_changed_at_the_same_time_and_neither_disturbs_the_other(
    cells: list[RunningCell],
) -> None:
    one, other = cells
    await asyncio.gather(deploy(one, NEWER), deploy(other, NEWER))
    untouched = await other.pid()
    await deploy(one, OLDER)
    assert await other.pid() == untouched
    assert other.layout.software == NEWER
    await deploy(other, OLDER)


async def test_a_change_of_one_cell_does_not_wait_for_that_of_another(
    cells: list[RunningCell],
) -> None:
    one, other = cells
    async with other.home.cell_locked(other.id):
        await deploy(one, NEWER)
        await deploy(one, OLDER)


async def test_a_home_in_which_nothing_runs_is_named(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    try:
        await fetch_servers(home, "1.31.2", lambda _: None)
        await choose(home, [], "1.31.2")
        layout = CellLayout(CELLS[0], home, home.load())
        with pytest.raises(FleetDown, match=f"nothing runs in {home.path}: run `controlplane up`"):
            await LocalRuntime(home).deploy(layout.cell.id, layout.spec, NEWER, 1)
        assert home.load() == layout.record
    finally:
        home.delete()
