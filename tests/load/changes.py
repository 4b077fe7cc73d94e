"""Thousands of changes of one namespace by several clients: `python -m tests.load.changes [COUNT]`.

A real engine and the entity on it, with a world in memory. Each client counts the namespace's
retention up by one, as of the version it has read, so that an accepted change that is lost, done
twice or done out of turn leaves another number; and writes its own tag in between.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowRunner

from controlplane.errors import ErrorType
from controlplane.ids import namespace_workflow_id
from controlplane.payloads import data_converter
from controlplane.worker import build_workers
from provisioning.client import NamespaceClient
from provisioning.memory import MemoryWorld
from provisioning.types import (
    CreateNamespace,
    NamespaceView,
    Operation,
    OperationState,
    UpdateNamespace,
    UpdateTags,
)
from tests.engine import (
    BIN,
    NO_ATTACHED_QUERIES,
    REGION,
    MemoryCells,
    all_activities,
    cell_view,
    memory_activities,
    namespace_spec,
)
from tests.eventually import eventually

NAME = "busy.acme1"
COUNT = 5_000
CLIENTS = 8
SUGGESTION = 4_096
"""Events after which an engine suggests to continue as new, unless it is told otherwise."""
_AGAIN_SECONDS = 0.05


@dataclass(frozen=True)
class Recorder:
    """A projection that keeps every view published."""

    views: list[NamespaceView] = field(default_factory=list)

    async def publish_namespace(self, view: NamespaceView) -> None:
        self.views.append(view)

    def operations(self) -> dict[str, Operation]:
        """Return what was last said of each operation."""
        return {op.id: op for view in self.views for op in view.operations}


@dataclass
class Outcome:
    accepted: list[str]
    """The operations, each client's in the order of its own."""
    counted: int
    """How often the retention was counted up, as those who did it know."""
    tags: dict[str, str]
    """Each client's tag as it last wrote it."""
    conflicts: int
    seconds: float
    view: NamespaceView
    views: Sequence[NamespaceView]
    operations: dict[str, Operation]
    world: MemoryWorld
    events: list[int]
    """Of each run of the entity, the first run first."""

    def __str__(self) -> str:
        return (
            f"{len(self.accepted)} changes of one namespace by {CLIENTS} clients in "
            f"{self.seconds:.1f} s, {len(self.accepted) / self.seconds:.0f} a second; "
            f"{self.conflicts} conflicts; {len(self.events)} runs of at most "
            f"{max(self.events)} events"
        )


@dataclass
class _Client:
    """One of those who change the namespace, each as of what it has read."""

    number: int
    namespaces: NamespaceClient
    recorder: Recorder
    accepted: list[str] = field(default_factory=list)
    counted: int = 0
    conflicts: int = 0
    tag: str = ""

    async def change(self) -> None:
        """Make one change, and ask for it once more, as a client does that lost the answer."""
        turn = len(self.accepted)
        operation = f"client-{self.number}-{turn}"
        if turn % 2:
            await self._tag(operation, str(turn))
        else:
            await self._count_up(operation)
        self.accepted.append(operation)

    async def _tag(self, operation: str, value: str) -> None:
        request = UpdateTags(operation, {f"client-{self.number}": value}, ())
        while not await self._agrees(request):  # noqa: ASYNC110 - too many wait for their turn
            await asyncio.sleep(_AGAIN_SECONDS)
        assert await self._agrees(request), "what was accepted is accepted again"
        self.tag = value

    async def _count_up(self, operation: str) -> None:
        while True:
            view = self.recorder.views[-1]
            spec = replace(view.spec, retention=view.spec.retention + timedelta(days=1))
            request = UpdateNamespace(operation, view.resource_version, spec)
            if await self._agrees(request):
                break
            self.conflicts += 1
            await asyncio.sleep(_AGAIN_SECONDS)
        assert await self._agrees(request), "what was accepted is accepted again"
        self.counted += 1

    async def _agrees(self, request: UpdateTags | UpdateNamespace) -> bool:
        try:
            if isinstance(request, UpdateTags):
                await self.namespaces.tag(NAME, request)
            else:
                await self.namespaces.update(NAME, request)
        except ApplicationError as refusal:
            if refusal.type not in (ErrorType.FAILED_PRECONDITION, ErrorType.THROTTLED):
                raise
            return False
        return True


async def many_changes(
    temporal: Client, count: int, runner: WorkflowRunner | None = None
) -> Outcome:
    """Let clients make so many changes of a new namespace, and return once all are in force."""
    world, recorder = MemoryWorld(known_cells=[cell_view()]), Recorder()
    namespaces = NamespaceClient(temporal)
    clients = [_Client(n, namespaces, recorder) for n in range(CLIENTS)]
    async with _working(temporal, world, recorder, runner or UnsandboxedWorkflowRunner()):
        await namespaces.create(NAME, CreateNamespace("create", namespace_spec()))
        await _all_fulfilled(recorder, ["create"])
        begin = time.monotonic()
        left = iter(range(count))

        async def keep_changing(client: _Client) -> None:
            for _ in left:
                await client.change()

        await asyncio.gather(*map(keep_changing, clients))
        accepted = [operation for client in clients for operation in client.accepted]
        await _all_fulfilled(recorder, accepted)
        seconds = time.monotonic() - begin
        view = recorder.views[-1]
    return Outcome(
        accepted=accepted,
        counted=sum(client.counted for client in clients),
        tags={f"client-{client.number}": client.tag for client in clients if client.tag},
        conflicts=sum(client.conflicts for client in clients),
        seconds=seconds,
        view=view,
        views=recorder.views,
        operations=recorder.operations(),
        world=world,
        events=await _events(temporal),
    )


@asynccontextmanager
async def engine_that_suggests(events: int) -> AsyncIterator[Client]:
    """Run an engine that suggests to continue as new after so many events."""
    async with await WorkflowEnvironment.start_local(
        data_converter=data_converter,
        dev_server_existing_path=str(BIN / "temporal"),
        dev_server_extra_args=[
            f"--dynamic-config-value=limit.historyCount.suggestContinueAsNew={events}",
            # As the embedded fleet's engine: entities take updates all their life.
            "--dynamic-config-value=history.maxInFlightUpdates=0",
            "--dynamic-config-value=history.maxTotalUpdates=0",
            *NO_ATTACHED_QUERIES,
        ],
    ) as environment:
        yield environment.client


@asynccontextmanager
async def _working(
    temporal: Client, world: MemoryWorld, recorder: Recorder, runner: WorkflowRunner
) -> AsyncIterator[None]:
    parts = MemoryCells()
    activities = replace(memory_activities(world), projection=recorder)
    workers = build_workers(
        temporal, all_activities(temporal, parts, activities), [REGION], workflow_runner=runner
    )
    async with AsyncExitStack() as running:
        for worker in workers:
            await running.enter_async_context(worker)
        yield


async def _all_fulfilled(recorder: Recorder, operations: Sequence[str]) -> None:
    async def all_ended() -> bool:
        known = recorder.operations()
        return all(op in known and known[op].finished_at for op in operations)

    await eventually(all_ended, within=200, every=0.5)


async def _events(temporal: Client) -> list[int]:
    query = f'WorkflowId = "{namespace_workflow_id(NAME)}"'
    runs = [run async for run in temporal.list_workflows(query)]
    return [run.history_length for run in sorted(runs, key=lambda run: run.start_time)]


async def main(count: int) -> None:
    async with engine_that_suggests(SUGGESTION) as temporal:
        outcome = await many_changes(temporal, count)
    print(outcome)
    done = [op for op in outcome.operations.values() if op.state == OperationState.FULFILLED]
    print(len(done), outcome.view.spec.retention, outcome.counted, outcome.view.tags, outcome.tags)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if sys.argv[1:] else COUNT))
