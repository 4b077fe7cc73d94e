"""How everyone else reaches a rollout."""

from dataclasses import dataclass

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowHandle,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from cells.release import check_release
from controlplane.errors import already_exists, failed_precondition, invalid_argument
from controlplane.ids import rollout_workflow_id
from controlplane.queues import fleet_queue
from controlplane.updates import delivered, starting
from rollout.plan import new_state
from rollout.policy import check_policy
from rollout.types import Control, ControlKind, RolloutView, StartRollout
from rollout.workflow import RolloutWorkflow


@dataclass(frozen=True)
class RolloutClient:
    """Refusals are raised as ApplicationErrors (see `controlplane.errors`)."""

    temporal: Client

    async def start(self, request: StartRollout) -> RolloutView:
        """Start a rollout. Asked again with the same id and content, it is not started again."""
        try:
            check_release(request.release)
            check_policy(request.policy)
        except ValueError as error:
            raise invalid_argument(str(error)) from None
        try:
            return await delivered(lambda: self._start(request))
        except WorkflowAlreadyStartedError:
            raise already_exists(
                f"rollout {request.id} has been, and has ended: choose another id"
            ) from None

    async def control(self, rollout: str, request: Control) -> RolloutView:
        """Tell a rollout what a person wants; raise its refusal, or that it has ended."""
        handle = self.handle(rollout)
        try:
            return await delivered(lambda: handle.execute_update(RolloutWorkflow.control, request))
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            raise failed_precondition(
                f"rollout {rollout} has ended, or never was: `controlplane rollout list` shows all"
            ) from None

    async def describe(self, rollout: str) -> RolloutView:
        handle = self.handle(rollout)
        return await delivered(lambda: handle.execute_update(RolloutWorkflow.describe))

    async def supersede(self, workflow_id: str, by: str) -> None:
        """Ask a rollout to stop at a safe point: `rollout.ports.Predecessors`."""
        handle: WorkflowHandle[RolloutWorkflow, None] = self.temporal.get_workflow_handle_for(
            RolloutWorkflow.run, workflow_id
        )
        request = Control(
            id=f"superseded-by-{by}",
            kind=ControlKind.SUPERSEDE,
            actor=by,
            reason=f"{by} takes over",
        )
        try:
            await delivered(lambda: handle.execute_update(RolloutWorkflow.control, request))
        except ApplicationError:
            # It is on its way out already.
            return
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    def handle(self, rollout: str) -> WorkflowHandle[RolloutWorkflow, None]:
        return self.temporal.get_workflow_handle_for(
            RolloutWorkflow.run, rollout_workflow_id(rollout)
        )

    async def _start(self, request: StartRollout) -> RolloutView:
        start = WithStartWorkflowOperation(
            RolloutWorkflow.run,
            new_state(request),
            id=rollout_workflow_id(request.id),
            task_queue=fleet_queue(),
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        )
        async with starting(start):
            return await self.temporal.execute_update_with_start_workflow(
                RolloutWorkflow.begin, request, start_workflow_operation=start
            )
