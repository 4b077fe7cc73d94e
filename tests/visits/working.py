"""A worker for cells and visits, and nothing else: a process that is often killed starts soon."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import Interceptor, UnsandboxedWorkflowRunner, Worker

from cells.activities import CellActivities
from cells.client import CellClient
from cells.runtime.ports import CellExaminer, CellRuntime
from cells.types import CellSpec, CellView, ObservedCell
from cells.visits.activities import VisitActivities
from cells.visits.workflow import CellVisitWorkflow
from cells.workflow import CellWorkflow
from controlplane.heartbeats import Heartbeats
from controlplane.queues import cells_queue
from tests.sandbox import SANDBOX

STICKY = timedelta(seconds=3)


@dataclass(frozen=True)
class WellCells:
    """Cells whose parts answer; nobody reads what is published of them."""

    async def observe(self, cell: str, spec: CellSpec) -> ObservedCell:  # noqa: ARG002 - the port's
        return ObservedCell(spec.server_version)

    async def publish_cell(self, view: CellView) -> None:
        pass


def visit_worker(
    client: Client,
    region: str,
    runtime: CellRuntime,
    examiner: CellExaminer,
    *,
    interceptors: Sequence[Interceptor] = (),
    sandboxed: bool = True,
) -> Worker:
    observed = CellActivities(WellCells(), WellCells())
    visits = VisitActivities(runtime, examiner, CellClient(client))
    return Worker(
        client,
        task_queue=cells_queue(region),
        workflows=[CellWorkflow, CellVisitWorkflow],
        activities=[
            observed.observe_cell,
            observed.publish_cell,
            visits.begin_visit,
            visits.inspect_cell,
            visits.migrate_schema,
            visits.deploy_software,
            visits.verify_cell,
            visits.fence_visit,
            visits.end_visit,
        ],
        workflow_runner=SANDBOX if sandboxed else UnsandboxedWorkflowRunner(),
        interceptors=[Heartbeats(), *interceptors],
        sticky_queue_schedule_to_start_timeout=STICKY,
    )
