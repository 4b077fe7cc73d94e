"""How everyone else reaches a cell."""

from dataclasses import dataclass

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from cells.types import Allocation, CellSpec, CellState, CellView, CordonCell, Reserve
from cells.workflow import CellWorkflow
from controlplane.ids import cell_workflow_id
from controlplane.queues import cells_queue
from controlplane.updates import delivered, forget_failed_start


@dataclass(frozen=True)
class CellClient:
    """Refusals are raised as the ApplicationError the cell gave (see `controlplane.errors`)."""

    temporal: Client

    async def register(self, cell: str, spec: CellSpec) -> CellView:
        """Make the cell known, or tell it its new spec. It is placed upon once it is Ready."""
        return await delivered(lambda: self._register(cell, spec))

    async def reserve(self, cell: str, request: Reserve) -> None:
        """Hold capacity; raise the cell's NoCapacity when it has none."""
        handle = self.handle(cell)
        try:
            await delivered(lambda: handle.execute_update(CellWorkflow.reserve, request))
        except WorkflowUpdateFailedError as error:
            if isinstance(error.cause, ApplicationError):
                raise error.cause from None
            raise

    async def cordon(self, cell: str, *, reason: str, by: str) -> CellView:
        handle, request = self.handle(cell), CordonCell(reason, by)
        return await delivered(lambda: handle.execute_update(CellWorkflow.cordon, request))

    async def uncordon(self, cell: str) -> CellView:
        handle = self.handle(cell)
        return await delivered(lambda: handle.execute_update(CellWorkflow.uncordon))

    async def describe(self, cell: str) -> CellView:
        handle = self.handle(cell)
        return await delivered(lambda: handle.execute_update(CellWorkflow.describe))

    async def allocations(self, cell: str) -> dict[str, Allocation]:
        handle = self.handle(cell)
        return await delivered(lambda: handle.execute_update(CellWorkflow.allocations))

    def handle(self, cell: str) -> WorkflowHandle[CellWorkflow, None]:
        return self.temporal.get_workflow_handle_for(CellWorkflow.run, cell_workflow_id(cell))

    async def _register(self, cell: str, spec: CellSpec) -> CellView:
        start = WithStartWorkflowOperation(
            CellWorkflow.run,
            CellState(cell, spec),
            id=cell_workflow_id(cell),
            task_queue=cells_queue(spec.region),
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        try:
            return await self.temporal.execute_update_with_start_workflow(
                CellWorkflow.configure, spec, start_workflow_operation=start
            )
        except (RPCError, WorkflowUpdateRPCTimeoutOrCancelledError):
            await forget_failed_start(start)
            raise
