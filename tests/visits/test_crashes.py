"""Whatever a worker dies in, a visit ends as it would have, and changes its cell once."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from itertools import chain
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from cells.client import CellClient
from cells.release import SchemaStep, Software
from cells.visits.types import VisitOutcome, VisitReport
from tests.engine import fresh_namespace
from tests.eventually import eventually
from tests.faults.deadly import Faults
from tests.visits.visiting import (
    NEXT,
    OLD,
    a_visit,
    assert_everything_replays,
    release,
    spec_at,
    start_visit,
)
from tests.visits.world import FileRuntime

FORWARD = (
    "begin_visit.1",
    "inspect_cell.1",
    "migrate_schema.1",
    "deploy_software.1",
    "verify_cell.1",
    "end_visit.1",
)
"""The activities of a visit that goes well, each with which of its kind it is."""
BACK = ("fence_visit.1", "deploy_software.2", "verify_cell.2", "end_visit.1")
"""Those of an undo."""
WHEN = ("before", "during", "after")
AT_ONCE = 5
"""Worker processes: each boundary has its own, so that no death disturbs another boundary."""
WITH_SCHEMA = replace(release(NEXT), schema_steps=(SchemaStep("main", "1.19"),))


@pytest.mark.timeout(600)
async def test_a_worker_killed_at_every_boundary_of_a_visit_changes_nothing_about_it(
    engine: WorkflowEnvironment, tmp_path: Path
) -> None:
    client = await fresh_namespace(engine.client)
    turns = asyncio.Semaphore(AT_ONCE)

    async def killed_at(number: int, activity: str, *, is_sick: bool) -> list[VisitReport]:
        async with turns:
            region = f"aws-killed-{number}"
            return await _visits_killed_at(client, tmp_path, region, activity, is_sick=is_sick)

    boundaries = [(activity, False) for activity in FORWARD]
    boundaries += [(activity, True) for activity in BACK]
    reports = await asyncio.gather(
        *(
            killed_at(number, activity, is_sick=is_sick)
            for number, (activity, is_sick) in enumerate(boundaries)
        )
    )

    runtime = FileRuntime(tmp_path / "cells")
    for report in chain(*reports[: len(FORWARD)]):
        assert (report.outcome, report.software) == (VisitOutcome.DONE, Software(NEXT))
        assert runtime.read(report.cell)["changes"] == [
            "schema main 1.19 by 2",
            f"server {NEXT} by 2",
        ]
    for report in chain(*reports[len(FORWARD) :]):
        assert (report.outcome, report.software) == (VisitOutcome.UNDONE, Software(OLD))
        assert report.generation > 2
        assert runtime.read(report.cell)["changes"] == [
            f"server {NEXT} by 2",
            f"server {OLD} by {report.generation}",
        ]
    await assert_everything_replays(client)


@pytest.mark.timeout(200)
async def test_a_stopped_visit_is_undone_although_its_worker_dies_meanwhile(
    engine: WorkflowEnvironment, tmp_path: Path
) -> None:
    client = await fresh_namespace(engine.client)
    region, cell = "aws-stopped", "aws-stopped-c1"
    runtime, faults = FileRuntime(tmp_path / "cells"), Faults(tmp_path / "faults")
    runtime.arrange(cell, sick=[NEXT])
    request = replace(a_visit(NEXT), cell=cell, region=region)
    patient = replace(request, rules=replace(request.rules, healthy_within=timedelta(hours=1)))

    async def is_changed() -> bool:
        return bool(runtime.read(cell)["changes"])

    async with _mortal_worker(client, tmp_path, region) as deaths:
        await CellClient(client).register(cell, spec_at(OLD, region))
        faults.plan(cell, "deploy_software.2", "kill", "during")
        handle = await start_visit(client, patient)
        await eventually(is_changed, within=60)
        await handle.cancel()
        report = await handle.result()

    assert len(deaths) == 1
    assert (report.outcome, report.software) == (VisitOutcome.UNDONE, Software(OLD))
    assert runtime.read(cell)["changes"] == [f"server {NEXT} by 2", f"server {OLD} by 3"]
    # What the visit began before its undo is refused however late it comes.
    with pytest.raises(ApplicationError, match="StaleGeneration"):
        await runtime.deploy(cell, spec_at(OLD, region), Software(NEXT), 2)
    assert (await runtime.running(cell, spec_at(OLD, region))) == Software(OLD)
    await assert_everything_replays(client)


async def _visits_killed_at(
    client: Client, folder: Path, region: str, activity: str, *, is_sick: bool
) -> list[VisitReport]:
    """Visit three cells of a region whose worker dies before, in and after that activity."""
    runtime, faults = FileRuntime(folder / "cells"), Faults(folder / "faults")
    cells = [f"{region}-{when}" for when in WHEN]
    async with _mortal_worker(client, folder, region) as deaths:
        for cell in cells:
            await CellClient(client).register(cell, spec_at(OLD, region))
        handles = []
        for cell, when in zip(cells, WHEN, strict=True):
            runtime.arrange(cell, sick=[NEXT] if is_sick else [])
            faults.plan(cell, activity, "kill", when)
            request = a_visit(NEXT, of=None if is_sick else WITH_SCHEMA, id=cell)
            handles.append(await start_visit(client, replace(request, cell=cell, region=region)))
        reports = [await handle.result() for handle in handles]
        for report in reports:
            await _assert_ended_once(client, report)
    assert not set(cells) & set(faults.planned()), "every fault struck"
    assert 0 < len(deaths) <= len(WHEN), "two may strike one process at the same moment"
    return reports


async def _assert_ended_once(client: Client, report: VisitReport) -> None:
    cell = await CellClient(client).describe(report.cell)
    assert (cell.visit, cell.quarantine) == (None, None)
    assert report.software is not None
    assert cell.spec.server_version == report.software.server_version
    assert [ended.id for ended in cell.ended_visits] == [report.visit]


@contextlib.asynccontextmanager
async def _mortal_worker(client: Client, folder: Path, region: str) -> AsyncIterator[list[int]]:
    """Keep a worker for the region's cells running, and yield the list of its deaths."""
    deaths: list[int] = []
    async with asyncio.TaskGroup() as group:  # A worker that ends by itself ends the test.
        keeping = group.create_task(_keep_running(client, folder, region, deaths))
        yield deaths
        keeping.cancel()


async def _keep_running(client: Client, folder: Path, region: str, deaths: list[int]) -> None:
    engine = client.service_client.config.target_host
    while True:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.visits.worker", str(folder)),
            *(engine, client.namespace, region),
        )
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            process.terminate()
            await process.wait()
            raise
        assert code == -signal.SIGKILL, f"the worker ended by itself with {code}"
        deaths.append(process.pid)
