"""Lives of cells on a real engine, in a world in memory."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker

from cells.life.activities import CellLifeActivities, CellSiteActivities
from cells.life.client import CellLifeClient
from cells.life.memory import (
    MemoryCellExaminer,
    MemoryCellNames,
    MemoryInfrastructure,
    MemoryLives,
    MemoryRegistry,
    MemoryServices,
    MemoryStores,
)
from cells.life.types import (
    Blueprint,
    CreateCell,
    Layer,
    LifeCommand,
    LifeCommandKind,
    LifeView,
    Phase,
)
from cells.life.workflow import CellLifeWorkflow
from cells.providers.memory import (
    MemoryCloud,
    MemoryLand,
    MemoryThings,
    Moment,
    PlannedFault,
    account_of,
)
from cells.types import Capacity, Provider
from controlplane.errors import rejected
from controlplane.heartbeats import Heartbeats
from controlplane.payloads import data_converter
from controlplane.queues import cells_queue, fleet_queue
from tests.eventually import eventually
from tests.sandbox import SANDBOX

REGION = "aws-us-east-1"
CELL = "aws-us-east-1-c7"
BLUEPRINT = Blueprint(
    cell=CELL,
    uid="k3x9f2ab",
    provider=Provider.AWS,
    region=REGION,
    ring=1,
    server_version="1.31.2",
    capacity=Capacity(namespaces=100, actions_per_second=50_000),
    failover_version=7,
    network="10.7.0.0/16",
)
ACCOUNT = account_of(BLUEPRINT)
WHOLE = [
    f"account {ACCOUNT.id}",
    f"{ACCOUNT.id}/network",
    f"{ACCOUNT.id}/cluster",
    f"{ACCOUNT.id}/database",
    f"secrets of {CELL}",
    f"services of {CELL}",
    f"{ACCOUNT.id}/load balancer",
    f"name of {CELL}",
    f"registration of {CELL}",
    f"opening of {CELL}",
]
"""All there is of a cell that is ready, in the order of building."""
CALLS = {
    Layer.PREFLIGHT: "obstacles",
    Layer.ACCOUNT: "ensure_account",
    Layer.INFRASTRUCTURE: "infrastructure.build",
    Layer.CLUSTER: "services.admitted",
    Layer.STORES: "stores.prepare",
    Layer.SERVICES: "services.install",
    Layer.NAME: "names.publish",
    Layer.REGISTRATION: "register",
    Layer.PROOF: "examine",
    Layer.OPENING: "open",
}
"""What is called for each layer."""
TAKING_DOWN = [
    "forget",
    "names.withdraw",
    "services.remove",
    "stores.forget",
    "infrastructure.dismantle",
    "leftovers",
    "close_account",
]
HEAR_WITHIN = timedelta(milliseconds=500)
"""So often an activity hears whether it is to stop: in production with each second heartbeat."""

AGES = timedelta(days=7)
AT_LEAST, AT_MOST = timedelta(seconds=2), timedelta(minutes=10)
"""So much time is skipped at once."""
PATIENCE = 200
"""Seconds, of a busy machine."""


@dataclass
class Lives:
    """The lives of one test, and the world in which they are led."""

    temporal: Client
    land: MemoryLand
    cloud: MemoryCloud
    services: MemoryServices
    registry: MemoryRegistry
    examiner: MemoryCellExaminer
    lives: MemoryLives
    operations: int = field(default=0)

    @property
    def client(self) -> CellLifeClient:
        return CellLifeClient(self.temporal)

    @property
    def there(self) -> Sequence[str]:
        return list(self.land.things.all())

    @property
    def made(self) -> Mapping[str, int]:
        """How often each thing was made anew."""
        assert isinstance(self.land.things, MemoryThings)
        return self.land.things.made

    @property
    def view(self) -> LifeView:
        """The newest that was published."""
        return self.lives.views[CELL]

    @property
    def phases(self) -> list[Phase]:
        """The phases that were published, each once as long as it lasted."""
        seen = [view.phase for view in self.lives.published]
        return [phase for n, phase in enumerate(seen) if n == 0 or seen[n - 1] is not phase]

    @property
    def calls(self) -> list[str]:
        return [call for call, _ in self.land.calls]

    def fail(self, call: str, moment: Moment = Moment.BEFORE, times: int | None = None) -> None:
        self.land.faults.append(PlannedFault(call, moment, times=times))

    def reject(self, call: str, moment: Moment = Moment.BEFORE, cell: str = "") -> None:
        """Have it fail for good, until the faults are cleared."""
        self.land.faults.append(
            PlannedFault(call, moment, cell, lambda: rejected(f"{call} is not allowed"))
        )

    async def create(self, blueprint: Blueprint = BLUEPRINT) -> LifeView:
        operation = f"create-{blueprint.cell}"
        return await self.client.create(CreateCell(operation, blueprint, "ann"))

    async def command(
        self,
        kind: LifeCommandKind,
        *,
        cell: str = CELL,
        drain: bool = False,
        operation: str = "",
    ) -> LifeView:
        self.operations += 1
        operation = operation or f"{kind.value}-{self.operations}"
        asked = LifeCommand(operation, kind, "ann", "it was asked for", drain=drain)
        return await self.client.command(cell, asked)

    async def until(self, is_so: Callable[[LifeView], bool], cell: str = CELL) -> LifeView:
        """Return the view once it is published that says so."""

        async def published() -> bool:
            return cell in self.lives.views and is_so(self.lives.views[cell])

        await eventually(published, within=PATIENCE)
        return self.lives.views[cell]

    async def until_in(self, *phases: Phase, cell: str = CELL) -> LifeView:
        return await self.until(lambda view: view.phase in phases, cell)

    async def in_time(
        self, engine: WorkflowEnvironment, *phases: Phase, cell: str = CELL
    ) -> LifeView:
        """Let time pass until the life is in that phase."""
        step, until = AT_LEAST, await engine.get_current_time() + AGES
        while await engine.get_current_time() < until:
            if cell in self.lives.views and self.lives.views[cell].phase in phases:
                return self.lives.views[cell]
            busy = len(self.land.calls)
            await engine.sleep(step)
            # The engine answers when all is done that is due till then, and has to within seconds.
            step = AT_LEAST if len(self.land.calls) > busy else min(2 * step, AT_MOST)
        raise TimeoutError(f"{cell} is {self.lives.views[cell].phase} still")

    async def pass_time(self, engine: WorkflowEnvironment, time: timedelta) -> None:
        for _ in range(int(time / AT_MOST)):
            await engine.sleep(AT_MOST)

    async def until_called(self, call: str) -> None:
        async def called() -> bool:
            return call in self.calls

        await eventually(called, within=PATIENCE)

    def assert_made_once(self) -> None:
        """The whole cell is there, and nothing of it was ever made twice."""
        assert sorted(self.there) == sorted(WHOLE)
        self.assert_nothing_made_twice()

    def assert_nothing_made_twice(self) -> None:
        assert set(self.made.values()) == {1}


def problem_of(view: LifeView, layer: Layer) -> str:
    return next(known.problem for known in view.layers if known.layer is layer)


@asynccontextmanager
async def living(
    client: Client, *, provider: Provider = Provider.AWS, land: MemoryLand | None = None
) -> AsyncIterator[Lives]:
    """Run the workers of the fleet and of one region."""
    land = land or MemoryLand()
    world = Lives(
        client,
        land,
        MemoryCloud(land),
        MemoryServices(land),
        MemoryRegistry(land),
        MemoryCellExaminer(land),
        MemoryLives(),
    )
    site = CellSiteActivities(
        clouds={provider: world.cloud},
        infrastructure=MemoryInfrastructure(land),
        stores=MemoryStores(land),
        services=world.services,
        names=MemoryCellNames(land),
        examiner=world.examiner,
        listener=CellLifeClient(client),
    )
    fleet = CellLifeActivities(world.registry, world.lives)
    async with _fleet_worker(client, fleet), _site_worker(client, site):
        yield world


async def assert_everything_replays(client: Client) -> None:
    executions = client.list_workflows("WorkflowType = 'CellLifeWorkflow'")
    async with _replayer().workflow_replay_iterator(executions.map_histories()) as results:
        async for result in results:
            assert result.replay_failure is None, result.replay_failure


async def assert_replays(client: Client, cell: str = CELL) -> None:
    """As above, on an engine that cannot list what it has."""
    handle = CellLifeClient(client).handle(cell)
    await _replayer().replay_workflow(await handle.fetch_history())


def _fleet_worker(client: Client, activities: CellLifeActivities) -> Worker:
    return Worker(
        client,
        task_queue=fleet_queue(),
        workflows=[CellLifeWorkflow],
        activities=[
            activities.register_cell,
            activities.open_cell,
            activities.cordon_leaving_cell,
            activities.count_residents,
            activities.forget_cell,
            activities.publish_life,
        ],
        workflow_runner=SANDBOX,
        interceptors=[Heartbeats()],
    )


def _site_worker(client: Client, activities: CellSiteActivities, region: str = REGION) -> Worker:
    return Worker(
        client,
        task_queue=cells_queue(region),
        activities=[
            activities.find_obstacles,
            activities.ensure_account,
            activities.build_infrastructure,
            activities.enter_cluster,
            activities.prepare_stores,
            activities.install_services,
            activities.publish_cell_name,
            activities.prove_cell,
            activities.withdraw_cell_name,
            activities.remove_services,
            activities.forget_stores,
            activities.dismantle_infrastructure,
            activities.find_account,
            activities.sweep_account,
            activities.close_account,
        ],
        interceptors=[Heartbeats()],
        max_heartbeat_throttle_interval=HEAR_WITHIN,
    )


def _replayer() -> Replayer:
    return Replayer(
        workflows=[CellLifeWorkflow],
        workflow_runner=UnsandboxedWorkflowRunner(),
        data_converter=data_converter,
    )
