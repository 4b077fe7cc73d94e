"""The watch on a real engine, over a fleet in memory."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker

from cells.placement import Placement
from controlplane.payloads import data_converter
from controlplane.queues import cells_queue, fleet_queue
from provisioning.automatic.activities import AvailabilityActivities
from provisioning.automatic.client import AvailabilityClient
from provisioning.automatic.memory import MemorySky
from provisioning.automatic.types import (
    AVAILABILITY_ID,
    AvailabilityPolicy,
    AvailabilityView,
    SetAvailabilityPolicy,
)
from provisioning.automatic.workflow import AvailabilityWorkflow
from provisioning.types import (
    NamespaceLife,
    NamespaceView,
    ObservedNamespace,
    PassiveReplica,
)
from tests.engine import cell_spec, cell_view, namespace_spec
from tests.provisioning.automatic.watching import E1, E2, N1, W1
from tests.sandbox import SANDBOX

SECOND = timedelta(seconds=1)
EVENTS_BEFORE_A_RUN_BEGINS = 3
"""It is started, and a task of it scheduled and taken up."""
QUICK = AvailabilityPolicy(
    lost_rounds=2,
    lost_for=SECOND,
    suspicious_every=SECOND,
    calm_every=SECOND,
    retry_after=SECOND,
    failback_after=2 * SECOND,
    most_cells=5,
)
"""As patient as any with vantage points, and quick otherwise."""


def sky(*namespaces: NamespaceView) -> MemorySky:
    cells = {cell: cell_view(cell, cell_spec(_region(cell))) for cell in (E1, E2, W1, N1)}
    return MemorySky(cells_known=cells, known={view.id: view for view in namespaces})


def living(name: str, active: str, *passive: str, managed: bool = True) -> NamespaceView:
    """Return a namespace that is active in one cell, and has replicas in others."""
    since = datetime(2026, 11, 1, tzinfo=UTC)
    replicas = {
        cell: PassiveReplica(_region(cell), _placed(cell), number=n, since=since)
        for n, cell in enumerate(passive, start=1)
    }
    spec = replace(
        namespace_spec(_region(active)),
        replicas=tuple(map(_region, (active, *passive))),
        managed_failover=managed,
    )
    return NamespaceView(
        id=name,
        uid=f"uid-{name}",
        spec=spec,
        generation=1,
        revision=1,
        life=NamespaceLife.ACTIVE,
        created_at=since,
        modified_at=None,
        observed=ObservedNamespace(placement=_placed(active)),
        conditions={},
        operations=(),
        passive=replicas,
    )


@dataclass(frozen=True)
class RunningWatch:
    temporal: Client
    sky: MemorySky = field(default_factory=sky)

    @property
    def client(self) -> AvailabilityClient:
        return AvailabilityClient(self.temporal)

    @property
    def view(self) -> AvailabilityView:
        """What was published last."""
        assert self.sky.view is not None, "something has been published"
        return self.sky.view

    async def begin(self, policy: AvailabilityPolicy = QUICK) -> None:
        await self.client.set_policy(SetAvailabilityPolicy(policy, "test", "to be quick"))

    def asked(self) -> list[tuple[str, str]]:
        """Return who was asked to move where, in order."""
        return [(name, request.cell) for name, request in self.sky.requests]


@asynccontextmanager
async def watching(client: Client, sky: MemorySky) -> AsyncIterator[RunningWatch]:
    """Run workers in every region, and see afterwards that all they did can be replayed."""
    async with workers(client, sky):
        yield RunningWatch(client, sky)
    await assert_the_watch_replays(client)


@asynccontextmanager
async def workers(
    client: Client, sky: MemorySky, regions: Sequence[str] = ()
) -> AsyncIterator[None]:
    does = AvailabilityActivities(sky, sky, sky, sky, sky)
    everywhere = sorted({view.spec.region for view in sky.cells_known.values()})
    async with AsyncExitStack() as running:
        await running.enter_async_context(
            Worker(
                client,
                task_queue=fleet_queue(),
                workflows=[AvailabilityWorkflow],
                activities=[
                    does.survey_fleet,
                    does.survey_namespaces,
                    does.move_namespaces,
                    does.publish_availability,
                ],
                workflow_runner=SANDBOX,
            )
        )
        for region in regions or everywhere:
            await running.enter_async_context(
                Worker(
                    client,
                    task_queue=cells_queue(region),
                    activities=[does.probe_cells, does.ask_peers],
                )
            )
        yield


async def assert_the_watch_replays(client: Client) -> None:
    """The histories of all its runs lead today's code to the same commands."""
    replayer = Replayer(
        workflows=[AvailabilityWorkflow],
        data_converter=data_converter,
        workflow_runner=UnsandboxedWorkflowRunner(),  # There are many runs, each of them short.
    )
    async for history in histories(client):
        # A run that nobody has begun yet has nothing to repeat, and a replay would wait for it.
        if len(history.events) > EVENTS_BEFORE_A_RUN_BEGINS:
            await replayer.replay_workflow(history)


async def histories(client: Client) -> AsyncIterator[WorkflowHistory]:
    """Yield what happened in each of its runs, the latest first."""
    run: str | None = None
    while run != "":
        history = await client.get_workflow_handle(AVAILABILITY_ID, run_id=run).fetch_history()
        yield history
        begun = history.events[0].workflow_execution_started_event_attributes
        run = begun.continued_execution_run_id


def _region(cell: str) -> str:
    return cell.rpartition("-")[0]


def _placed(cell: str) -> Placement:
    return Placement(_region(cell), cell, ())
