"""Cells and visits on a real engine, with a world in memory or in files."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from cells.client import CellClient
from cells.release import Release
from cells.runtime.memory import MemoryRuntime
from cells.types import CellSpec
from cells.visits.memory import MemoryExaminer, Sickness
from cells.visits.types import VisitReport, VisitRequest, VisitRules
from cells.visits.workflow import CellVisitWorkflow
from cells.workflow import CellWorkflow
from controlplane.ids import cell_workflow_id
from controlplane.payloads import data_converter
from controlplane.queues import cells_queue
from tests.engine import CELL, REGION, cell_spec
from tests.visits.working import visit_worker

OLD, NEXT, NEW = "1.30.2", "1.31.2", "1.32.0"
PROMPT = VisitRules(
    settle=timedelta(0),
    verify_for=timedelta(milliseconds=100),
    healthy_within=timedelta(milliseconds=400),
)


@dataclass(frozen=True)
class Visits:
    """The cells and visits of one test, and the world in memory that they act on."""

    temporal: Client
    runtime: MemoryRuntime
    examiner: MemoryExaminer

    @property
    def cells(self) -> CellClient:
        return CellClient(self.temporal)

    @property
    def changes(self) -> list[str]:
        """Every change of a server, as `<version> by <generation>`."""
        return [
            f"{effect.after.server_version} by {effect.generation}"
            for effect in self.runtime.effects
        ]

    def sicken(self, problem: str, server_version: str) -> None:
        self.examiner.sicknesses.append(Sickness(problem, server_version=server_version))

    async def start(self, request: VisitRequest) -> WorkflowHandle[CellVisitWorkflow, VisitReport]:
        return await start_visit(self.temporal, request)

    async def report(self, request: VisitRequest) -> VisitReport:
        return await (await self.start(request)).result()

    async def activities(self, visit: str) -> list[str]:
        """Return the activities of a visit in the order in which they were scheduled."""
        history = await self.temporal.get_workflow_handle(f"visit/{visit}").fetch_history()
        return [
            event.activity_task_scheduled_event_attributes.activity_type.name
            for event in history.events
            if event.HasField("activity_task_scheduled_event_attributes")
        ]


async def start_visit(
    client: Client, request: VisitRequest
) -> WorkflowHandle[CellVisitWorkflow, VisitReport]:
    return await client.start_workflow(
        CellVisitWorkflow.run,
        request,
        id=f"visit/{request.id}",
        task_queue=cells_queue(request.region),
    )


def release(server_version: str) -> Release:
    return Release(f"r-{server_version}", server_version)


def a_visit(*hops: str, of: Release | None = None, id: str = "v1") -> VisitRequest:
    return VisitRequest(
        id=id,
        cell=CELL,
        region=REGION,
        release=of or release(hops[-1]),
        hops=hops,
        rules=PROMPT,
    )


def spec_at(server_version: str, region: str = REGION) -> CellSpec:
    return replace(cell_spec(region), server_version=server_version)


@asynccontextmanager
async def visiting(client: Client) -> AsyncIterator[Visits]:
    """Run a worker for the cells of one region, with one cell at the oldest version."""
    runtime = MemoryRuntime(takes=timedelta(milliseconds=20))
    visits = Visits(client, runtime, MemoryExaminer(runtime))
    async with visit_worker(client, REGION, runtime, visits.examiner):
        await visits.cells.register(CELL, spec_at(OLD))
        yield visits


async def assert_everything_replays(client: Client) -> None:
    executions = client.list_workflows("WorkflowType IN ('CellWorkflow', 'CellVisitWorkflow')")
    async with _replayer().workflow_replay_iterator(executions.map_histories()) as results:
        async for result in results:
            assert result.replay_failure is None, result.replay_failure


async def assert_replays(client: Client, visit: str) -> None:
    """As above, on an engine that cannot list what it has."""
    for workflow_id in (f"visit/{visit}", cell_workflow_id(CELL)):
        history = await client.get_workflow_handle(workflow_id).fetch_history()
        await _replayer().replay_workflow(history)


def _replayer() -> Replayer:
    return Replayer(
        workflows=[CellWorkflow, CellVisitWorkflow],
        workflow_runner=UnsandboxedWorkflowRunner(),
        data_converter=data_converter,
    )
