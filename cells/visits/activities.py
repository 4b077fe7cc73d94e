"""The side effects of a visit, each safe to repeat."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from temporalio import activity

from cells.release import Release, SchemaStep, Software
from cells.runtime.ports import CellExaminer, CellRuntime, Deployed
from cells.types import CellSpec
from cells.visits import plan
from cells.visits.plan import FIRST_PAUSE, Judgement
from cells.visits.ports import VisitedCells
from cells.visits.types import BeginVisit, EndVisit, VisitRules

SICK_LOOKS = 5
"""So many looks in a row, over some 8 seconds, have to find a cell sick before it is left alone for
that: the history service of a server that has just started calls itself well only after 5."""


@dataclass(frozen=True)
class BeginAt:
    cell: str
    request: BeginVisit


@dataclass(frozen=True)
class Begun:
    """The cell as the visit found it."""

    generation: int
    spec: CellSpec
    release: str
    """The digest of the release that it has."""


@dataclass(frozen=True)
class InspectCell:
    cell: str
    spec: CellSpec
    release: Release


@dataclass(frozen=True)
class Inspection:
    running: Software
    obstacles: tuple[str, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class MigrateSchema:
    cell: str
    spec: CellSpec
    steps: tuple[SchemaStep, ...]
    generation: int


@dataclass(frozen=True)
class DeploySoftware:
    cell: str
    spec: CellSpec
    software: Software
    generation: int


@dataclass(frozen=True)
class VerifyCell:
    cell: str
    spec: CellSpec
    rules: VisitRules


@dataclass(frozen=True)
class Verification:
    """What is wrong with the cell, or how long it was seen well."""

    problems: tuple[str, ...]
    looks: int


@dataclass(frozen=True)
class FenceAt:
    cell: str
    visit: str


@dataclass(frozen=True)
class EndAt:
    cell: str
    request: EndVisit


@dataclass(frozen=True)
class VisitActivities:
    runtime: CellRuntime
    examiner: CellExaminer
    cells: VisitedCells

    @activity.defn
    async def begin_visit(self, begin: BeginAt) -> Begun:
        generation = await self.cells.begin_visit(begin.cell, begin.request)
        view = await self.cells.describe(begin.cell)
        return Begun(generation, view.spec, view.release)

    @activity.defn
    async def inspect_cell(self, inspect: InspectCell) -> Inspection:
        """Look at a cell before anything is changed; one bad moment does not make it sick."""
        cell, spec = inspect.cell, inspect.spec
        pause, problems = FIRST_PAUSE, await self.examiner.examine(cell, spec)
        for _ in range(SICK_LOOKS - 1):
            if not problems:
                break
            await asyncio.sleep(pause.total_seconds())
            pause, problems = pause * 2, await self.examiner.examine(cell, spec)
        return Inspection(
            running=await self.runtime.running(cell, spec),
            obstacles=tuple(await self.runtime.obstacles(cell, spec, inspect.release)),
            problems=tuple(problems),
        )

    @activity.defn
    async def migrate_schema(self, migrate: MigrateSchema) -> None:
        await self.runtime.migrate_schema(
            migrate.cell, migrate.spec, migrate.steps, migrate.generation
        )

    @activity.defn
    async def deploy_software(self, deploy: DeploySoftware) -> Deployed:
        deployed = await self.runtime.deploy(
            deploy.cell, deploy.spec, deploy.software, deploy.generation
        )
        info = activity.info()
        if info.attempt > 1:
            # An earlier try may have stopped the server, and nobody saw since when.
            at_most = datetime.now(UTC) - info.scheduled_time
            deployed = replace(deployed, gap=max(deployed.gap, at_most))
        return deployed

    @activity.defn
    async def verify_cell(self, verify: VerifyCell) -> Verification:
        """Examine the cell until it is known to be well, or sick."""
        rules, looks, pause = verify.rules, 0, FIRST_PAUSE
        began, well_since = _now(), None
        while True:
            looked = _now()
            problems = await self.examiner.examine(verify.cell, verify.spec)
            looks += 1
            if problems:
                pause = FIRST_PAUSE if well_since is not None else pause
                well_since = None
            elif well_since is None:
                well_since, pause = looked, FIRST_PAUSE
            well_for = None if well_since is None else _now() - well_since
            match plan.judge(rules, _now() - began, well_for):
                case Judgement.WELL | Judgement.SICK:
                    return Verification(tuple(problems), looks)
                case Judgement.UNDECIDED:
                    pause = plan.next_pause(rules, pause, well_for)
                    await asyncio.sleep(pause.total_seconds())

    @activity.defn
    async def fence_visit(self, fence: FenceAt) -> int:
        return await self.cells.fence_visit(fence.cell, fence.visit)

    @activity.defn
    async def end_visit(self, end: EndAt) -> None:
        await self.cells.end_visit(end.cell, end.request)


def _now() -> timedelta:
    """Return the time by a clock that nobody sets: only differences mean something."""
    return timedelta(seconds=asyncio.get_running_loop().time())
