"""How everyone else reaches the evacuation of a cell."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowHandle,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from controlplane.errors import already_exists, failed_precondition, invalid_argument
from controlplane.ids import evacuation_workflow_id
from controlplane.queues import fleet_queue
from controlplane.updates import delivered, starting
from provisioning.evacuation.plan import check_start, new_state
from provisioning.evacuation.types import Control, EvacuationView, StartEvacuation
from provisioning.evacuation.workflow import EvacuationWorkflow

TASK_TIMEOUT = timedelta(seconds=5)
"""How soon the task of a worker that died goes to another."""
_ID = "evacuation"
"""What a run's memo calls the id of its evacuation: a cell has many, one after another."""


@dataclass(frozen=True)
class EvacuationClient:
    """Refusals are raised as ApplicationErrors (see `controlplane.errors`)."""

    temporal: Client

    async def start(self, request: StartEvacuation) -> EvacuationView:
        """Begin to empty a cell; return once that is durably recorded.

        Asked again with the same id and content, it is not begun again. Raise AlreadyExists when
        another evacuation of the cell is under way, or when this one has ended.
        """
        try:
            check_start(request)
        except ValueError as error:
            raise invalid_argument(str(error)) from None
        await self._check_not_ended(request)
        return await delivered(lambda: self._start(request))

    async def control(self, cell: str, request: Control) -> EvacuationView:
        """Tell the cell's evacuation what a person wants; raise its refusal, or that it ended."""
        handle = self.handle(cell)
        try:
            return await delivered(
                lambda: handle.execute_update(EvacuationWorkflow.control, request)
            )
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            raise failed_precondition(
                f"evacuation {request.evacuation} of {cell} has ended, or never was"
            ) from None

    async def describe(self, cell: str) -> EvacuationView:
        """Return the evacuation under way; raise FailedPrecondition where there is none."""
        handle = self.handle(cell)
        try:
            return await delivered(lambda: handle.execute_update(EvacuationWorkflow.describe))
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            raise failed_precondition(f"no evacuation of {cell} is under way") from None

    def handle(self, cell: str) -> WorkflowHandle[EvacuationWorkflow, None]:
        return self.temporal.get_workflow_handle_for(
            EvacuationWorkflow.run, evacuation_workflow_id(cell)
        )

    async def _check_not_ended(self, request: StartEvacuation) -> None:
        """Raise if the cell's latest evacuation is this one, and over: it is not done twice."""
        try:
            latest = await self.handle(request.cell).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return
            raise
        if latest.status is WorkflowExecutionStatus.RUNNING:
            return
        if await latest.memo_value(_ID, default="", type_hint=str) == request.id:
            raise already_exists(
                f"evacuation {request.id} of {request.cell} has been, and has ended: choose "
                "another id"
            )

    async def _start(self, request: StartEvacuation) -> EvacuationView:
        start = WithStartWorkflowOperation(
            EvacuationWorkflow.run,
            new_state(request),
            id=evacuation_workflow_id(request.cell),
            task_queue=fleet_queue(),
            task_timeout=TASK_TIMEOUT,
            memo={_ID: request.id},
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        async with starting(start):
            return await self.temporal.execute_update_with_start_workflow(
                EvacuationWorkflow.begin, request, start_workflow_operation=start
            )
