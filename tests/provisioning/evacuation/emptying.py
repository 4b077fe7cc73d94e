"""Evacuations on a real engine, with namespaces and cells in memory and the ledger as it is."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Interceptor, Replayer, UnsandboxedWorkflowRunner, Worker

from cells.ledger.activities import LedgerActivities
from cells.ledger.client import LedgerClient
from cells.ledger.memory import MemoryLedgerProjection
from cells.ledger.workflow import LedgerWorkflow
from cells.placement import Placement
from cells.types import Capacity, CellView
from controlplane.heartbeats import Heartbeats
from controlplane.ids import evacuation_workflow_id
from controlplane.payloads import data_converter
from controlplane.queues import fleet_queue
from provisioning.evacuation.activities import EvacuationActivities
from provisioning.evacuation.client import EvacuationClient
from provisioning.evacuation.memory import (
    MemoryEvacuations,
    MemoryFleetCells,
    MemoryNamespaces,
    has_replica,
)
from provisioning.evacuation.policy import EvacuationKind, EvacuationPolicy, default_policy
from provisioning.evacuation.ports import CellEntities, Cells, EvacuationProjection
from provisioning.evacuation.types import (
    Control,
    ControlKind,
    EvacuationView,
    Phase,
    StartEvacuation,
)
from provisioning.evacuation.workflow import EvacuationWorkflow
from provisioning.tiers import TIER_TAG, Tier
from provisioning.types import NamespaceLife, NamespaceView, ObservedNamespace
from tests.engine import REGION, cell_spec, cell_view, namespace_spec
from tests.eventually import eventually
from tests.sandbox import SANDBOX

HERE, THERE, BESIDE = "aws-us-east-1-c1", "gcp-us-central1-c1", "aws-us-east-1-c2"
REGIONS = {HERE: "aws-us-east-1", THERE: "gcp-us-central1", BESIDE: "aws-us-east-1"}
MOMENT = timedelta(milliseconds=50)
LONG_AGO = datetime(2026, 11, 1, tzinfo=UTC)


def cell(name: str, *, room: int = 100) -> CellView:
    """Return a ready cell that other cells can replicate with."""
    spec = cell_spec(region_of(name), capacity=Capacity(room, room * 500))
    addresses = replace(spec.addresses, replication={"": "127.0.0.1:5"})
    return cell_view(name, replace(spec, addresses=addresses, failover_version=1))


def region_of(cell: str) -> str:
    return REGIONS.get(cell, REGION)


def namespace(
    name: str,
    active: str = HERE,
    passive: Sequence[str] = (THERE,),
    *,
    tier: Tier | None = None,
    opted_out: bool = False,
) -> NamespaceView:
    """Return a namespace that lives, with these replicas."""
    regions = [region_of(cell) for cell in (active, *passive)]
    spec = replace(
        namespace_spec(regions[0]),
        replicas=tuple(regions) if passive else (),
        managed_failover=not opted_out,
    )
    return NamespaceView(
        id=f"{name}.acme1",
        uid=f"uid-of-{name}",
        spec=spec,
        generation=1,
        revision=1,
        life=NamespaceLife.ACTIVE,
        created_at=LONG_AGO,
        modified_at=None,
        observed=ObservedNamespace(placement=Placement(regions[0], active, ())),
        conditions={},
        operations=(),
        tags={TIER_TAG: tier.value} if tier else {},
        passive={cell: has_replica(cell, region_of(cell), LONG_AGO) for cell in passive},
    )


def quick(kind: EvacuationKind) -> EvacuationPolicy:
    """Return the policy as by default, in moments instead of minutes."""
    return replace(default_policy(kind), per_minute=1000, drill_soak=MOMENT)


@dataclass(frozen=True)
class Emptying:
    """The evacuations of one test, and the world that they act on."""

    temporal: Client
    namespaces: MemoryNamespaces
    cells: MemoryFleetCells
    published: MemoryEvacuations = field(default_factory=MemoryEvacuations)
    emptied: set[str] = field(default_factory=set)
    """The cells of which an evacuation was asked for."""

    @property
    def client(self) -> EvacuationClient:
        return EvacuationClient(self.temporal)

    @property
    def ledger(self) -> LedgerClient:
        return LedgerClient(self.temporal)

    def put(self, *views: NamespaceView) -> None:
        for view in views:
            self.namespaces.put(view)

    async def start(
        self,
        kind: EvacuationKind,
        policy: EvacuationPolicy | None = None,
        *,
        id: str = "e1",
        cell: str = HERE,
        source_lost: bool = False,
    ) -> EvacuationView:
        self.emptied.add(cell)
        return await self.client.start(
            StartEvacuation(
                id=id,
                cell=cell,
                kind=kind,
                policy=policy or quick(kind),
                actor="ann",
                reason="a test",
                source_lost=source_lost,
            )
        )

    async def control(
        self, kind: ControlKind, namespace: str = "", *, id: str = "", evacuation: str = "e1"
    ) -> EvacuationView:
        request = Control(id or kind.value, evacuation, kind, "bob", "because", namespace)
        return await self.client.control(HERE, request)

    async def until(self, *phases: Phase, id: str = "e1") -> EvacuationView:
        """Return the evacuation as it was published in one of these phases."""

        async def there() -> bool:
            view = self.published.views.get(id)
            return view is not None and view.phase in phases

        await eventually(there, within=60)
        return self.published.views[id]

    async def ended(self, id: str = "e1") -> EvacuationView:
        """Return the evacuation once its workflow is over."""
        await self.client.handle(HERE).result()
        return self.published.views[id]

    async def where(self) -> dict[str, tuple[str, ...]]:
        """Return the cells of every namespace, the active one first."""
        names = [view.id for view in self.namespaces.load()]
        found = await self.namespaces.named(names)
        return {view.id.removesuffix(".acme1"): view.cells for view in found}


class FleetCells(Cells, CellEntities, Protocol):
    """What is published of the cells, and their entities."""


def evacuation_worker(
    client: Client,
    namespaces: MemoryNamespaces,
    cells: FleetCells,
    projection: EvacuationProjection,
    *,
    interceptors: Sequence[Interceptor] = (),
    sandboxed: bool = True,
) -> Worker:
    leases = MemoryLedgerProjection()
    evacuations = EvacuationActivities(
        namespaces=namespaces,
        changes=namespaces,
        fleet=cells,
        cells=cells,
        disturbances=leases,
        ledger=LedgerClient(client),
        projection=projection,
    )
    return Worker(
        client,
        task_queue=fleet_queue(),
        workflows=[EvacuationWorkflow, LedgerWorkflow],
        activities=[
            evacuations.survey_cell,
            evacuations.cordon_for_evacuation,
            evacuations.uncordon_after_evacuation,
            evacuations.take_evacuation_lease,
            evacuations.give_back_evacuation_lease,
            evacuations.begin_move,
            evacuations.follow_move,
            evacuations.tell_wish,
            evacuations.publish_evacuation,
            LedgerActivities(leases).publish_ledger,
        ],
        workflow_runner=SANDBOX if sandboxed else UnsandboxedWorkflowRunner(),
        interceptors=[Heartbeats(), *interceptors],
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=3),
    )


@asynccontextmanager
async def emptying(
    client: Client, cells: Iterable[CellView] = (), takes: timedelta = MOMENT
) -> AsyncIterator[Emptying]:
    """Run a worker for evacuations, and see afterwards that all they did can be replayed."""
    known = list(cells) or [cell(name) for name in REGIONS]
    world = Emptying(
        client,
        MemoryNamespaces(REGIONS, takes=takes),
        MemoryFleetCells({view.id: view for view in known}),
    )
    worker = evacuation_worker(client, world.namespaces, world.cells, world.published)
    async with worker:
        yield world
    for emptied in sorted(world.emptied):
        await assert_evacuations_replay(client, emptied)


async def assert_evacuations_replay(client: Client, cell: str = HERE) -> None:
    """The histories of all runs of the cell's latest evacuation lead to the same commands."""
    replayer = Replayer(
        workflows=[EvacuationWorkflow],
        workflow_runner=UnsandboxedWorkflowRunner(),
        data_converter=data_converter,
    )
    async for history in _histories(client, evacuation_workflow_id(cell)):
        await replayer.replay_workflow(history)


async def _histories(client: Client, workflow_id: str) -> AsyncIterator[WorkflowHistory]:
    """Yield what happened in each of its runs, the latest first."""
    run: str | None = None
    while run != "":
        history = await client.get_workflow_handle(workflow_id, run_id=run).fetch_history()
        yield history
        begun = history.events[0].workflow_execution_started_event_attributes
        run = begun.continued_execution_run_id
