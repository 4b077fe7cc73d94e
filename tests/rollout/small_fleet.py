"""A small fleet on a real engine: entities, visits, ledger and rollouts, with servers in memory."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from temporalio.client import Client

from cells.client import CellClient
from cells.release import Release
from cells.runtime.memory import MemoryRuntime
from cells.types import CellSpec, ObservedCell
from cells.visits.activities import VisitActivities
from cells.visits.memory import MemoryExaminer
from cells.visits.types import VisitRules
from controlplane.store.inventory import cell_facts
from controlplane.worker import build_workers
from provisioning.memory import MemoryWorld
from rollout.client import RolloutClient
from rollout.memory import MemoryEvidence, MemoryInventory, MemoryRollouts
from rollout.policy import RingPolicy, RolloutPolicy
from rollout.types import CellFacts, Fleet, Phase, RolloutView, StartRollout
from tests.engine import REGION, MemoryCells, all_activities, cell_spec, memory_activities
from tests.eventually import eventually
from tests.sandbox import SANDBOX

OLD, NEW = "1.31.2", "1.32.0"
RELEASE = Release("server-1.32", NEW)
MOMENT = timedelta(milliseconds=50)
QUICK = RolloutPolicy(
    rings=tuple(RingPolicy(ring, ("1", "all"), MOMENT, MOMENT) for ring in range(3)),
    visit=VisitRules(settle=MOMENT, verify_for=MOMENT, healthy_within=timedelta(seconds=5)),
)
"""Everything as by default, in moments instead of days."""


@dataclass
class RunningCells(MemoryCells):
    """What is observed of a cell is what its runtime says that it runs."""

    runtime: MemoryRuntime | None = None

    async def observe(self, cell: str, spec: CellSpec) -> ObservedCell:
        assert self.runtime is not None
        return ObservedCell((await self.runtime.running(cell, spec)).server_version)


@dataclass(frozen=True)
class SmallFleet:
    client: Client
    cells: RunningCells
    runtime: MemoryRuntime
    examiner: MemoryExaminer
    evidence: MemoryEvidence
    published: MemoryRollouts

    @property
    def rollouts(self) -> RolloutClient:
        return RolloutClient(self.client)

    @property
    def client_of_cells(self) -> CellClient:
        return CellClient(self.client)

    async def join(self, *rings: int) -> Sequence[str]:
        """Add a cell for each ring; return their ids once they are ready."""
        spec = replace(cell_spec(), server_version=OLD)
        names = [f"cell-{number}-ring-{ring}" for number, ring in enumerate(rings)]
        for name, ring in zip(names, rings, strict=True):
            await CellClient(self.client).register(name, replace(spec, ring=ring))

        async def all_ready() -> bool:
            return all(n in self.cells.views and self._facts(n).ready for n in names)

        await eventually(all_ready, within=30)
        return names

    async def start(
        self, rollout: str = "r1", release: Release = RELEASE, policy: RolloutPolicy = QUICK
    ) -> RolloutView:
        return await self.rollouts.start(
            StartRollout(rollout, release, policy, actor="ann", reason="a test")
        )

    async def until(self, rollout: str, *phases: Phase) -> RolloutView:
        """Return the rollout as it was published in one of these phases."""

        async def there() -> bool:
            view = self.published.views.get(rollout)
            return view is not None and view.phase in phases

        await eventually(there, within=60)
        return self.published.views[rollout]

    def look(self) -> Fleet:
        return Fleet(
            seen_at=datetime.now(UTC),
            cells=tuple(self._facts(name) for name in sorted(self.cells.views)),
            servers=(OLD, NEW),
        )

    def _facts(self, cell: str) -> CellFacts:
        return cell_facts(self.cells.views[cell])


@asynccontextmanager
async def small_fleet(client: Client) -> AsyncIterator[SmallFleet]:
    """Run its workers, sandboxed; there are no cells yet."""
    runtime = MemoryRuntime()
    examiner = MemoryExaminer(runtime)
    fleet = SmallFleet(
        client,
        RunningCells(runtime=runtime),
        runtime,
        examiner,
        MemoryEvidence(),
        MemoryRollouts(),
    )
    activities = all_activities(client, fleet.cells, memory_activities(MemoryWorld()))
    activities = replace(
        activities,
        visits=VisitActivities(runtime, examiner, CellClient(client)),
        rollouts=replace(
            activities.rollouts,
            inventory=MemoryInventory(fleet.look),
            evidence=fleet.evidence,
            projection=fleet.published,
        ),
    )
    async with AsyncExitStack() as running:
        for worker in build_workers(client, activities, [REGION], workflow_runner=SANDBOX):
            await running.enter_async_context(worker)
        yield fleet
