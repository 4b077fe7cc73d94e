"""Whatever a worker dies in, an evacuation ends as it would have, and moves each namespace once."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from cells.ledger.client import LedgerClient
from provisioning.evacuation.client import EvacuationClient
from provisioning.evacuation.policy import Confirm, EvacuationKind
from provisioning.evacuation.types import EvacuationView, Outcome, StartEvacuation
from tests.engine import REGION, fresh_namespace
from tests.faults.deadly import Faults
from tests.provisioning.evacuation.emptying import (
    BESIDE,
    MOMENT,
    REGIONS,
    assert_evacuations_replay,
    cell,
    namespace,
    quick,
)
from tests.provisioning.evacuation.world import FileCells, FileEvacuations, FileNamespaces

DRILLED = (
    "survey_cell.1",
    "cordon_for_evacuation.1",
    "take_evacuation_lease.1",
    "begin_move.1",
    "begin_move.2",
    "follow_move.1",
    "publish_evacuation.1",
    "begin_move.3",
    "follow_move.3",
    "give_back_evacuation_lease.1",
    "uncordon_after_evacuation.1",
)
"""The activities of a drill of two namespaces, each with which of its kind it is."""
DRAINED = ("begin_move.3", "follow_move.3")
"""Those by which a drain migrates."""


@pytest.mark.timeout(600)
async def test_a_worker_killed_at_every_boundary_of_an_evacuation_moves_nothing_twice(
    engine: WorkflowEnvironment, tmp_path: Path
) -> None:
    client = await fresh_namespace(engine.client)
    # To die before an activity is to die after the one that came before it, but for the first move.
    deaths = [(EvacuationKind.DRILL, "begin_move.1", "before")]
    deaths += [(EvacuationKind.DRILL, activity, "after") for activity in DRILLED]
    deaths += [(EvacuationKind.DRAIN, activity, "after") for activity in DRAINED]
    cells = {f"c{number}": death for number, death in enumerate(deaths)}
    world, faults = _world(tmp_path, list(cells)), Faults(tmp_path / "faults")

    async with _mortal_worker(client, tmp_path) as died:
        for name, (kind, activity, when) in cells.items():
            faults.plan(name, activity, "kill", when)
            await _start(client, name, kind)
        handles = [EvacuationClient(client).handle(name) for name in cells]
        await asyncio.gather(*(handle.result() for handle in handles))
        assert await LedgerClient(client).leases() == {}

    assert faults.planned() == [], "every fault struck"
    assert 0 < len(died) <= len(cells), "several may strike one process at the same moment"
    for name, (kind, *_) in cells.items():
        view = FileEvacuations(tmp_path).read(f"e-{name}")
        assert view is not None
        assert view.outcome is Outcome.SUCCEEDED, (name, view.message)
        await _assert_moved_once(world, name, kind, view)
        await assert_evacuations_replay(client, name)


async def _assert_moved_once(
    world: FileNamespaces, name: str, kind: EvacuationKind, view: EvacuationView
) -> None:
    cordon = (await FileCells(world.folder).describe(name)).cordon
    for found in await world.named([f"{each}-{name}.acme1" for each in "ab"]):
        assert len(found.operations) == 2, "each was asked for once"
        moves = [(each.source, each.target) for each in found.failovers]
        if kind is EvacuationKind.DRILL:
            assert (found.cells, cordon) == ((name, BESIDE), None)
            assert moves == [(name, BESIDE), (BESIDE, name)]
        else:
            assert name not in found.cells
            assert moves == [(name, BESIDE)]
            assert cordon is not None
        moved = view.namespaces[found.id].moves
        assert [each.operation for each in moved] == [each.id for each in found.operations]


def _world(folder: Path, names: list[str]) -> FileNamespaces:
    """Return cells of two namespaces each, with a cell for their other replicas and one more."""
    regions = {**REGIONS, **dict.fromkeys(names, REGION)}
    cells, namespaces = FileCells(folder), FileNamespaces(regions, takes=MOMENT, folder=folder)
    for name in (*REGIONS, *names):
        cells.put(cell(name, room=1000))
    for name in names:
        for each in "ab":
            namespaces.put(namespace(f"{each}-{name}", name, (BESIDE,)))
    return namespaces


async def _start(client: Client, name: str, kind: EvacuationKind) -> None:
    policy = replace(quick(kind), confirm=Confirm.AUTO, migrate_at_once=5)
    await EvacuationClient(client).start(
        StartEvacuation(f"e-{name}", name, kind, policy, "ann", "a test")
    )


@contextlib.asynccontextmanager
async def _mortal_worker(client: Client, folder: Path) -> AsyncIterator[list[int]]:
    """Keep a worker for evacuations running, and yield the list of its deaths."""
    deaths: list[int] = []
    async with asyncio.TaskGroup() as group:  # A worker that ends by itself ends the test.
        keeping = group.create_task(_keep_running(client, folder, deaths))
        yield deaths
        keeping.cancel()


async def _keep_running(client: Client, folder: Path, deaths: list[int]) -> None:
    engine = client.service_client.config.target_host
    while True:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.provisioning.evacuation.worker", str(folder)),
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
