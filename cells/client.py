"""How everyone else reaches a cell."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowHandle,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from cells.types import (
    Allocation,
    CellSpec,
    CellState,
    CellView,
    Cordon,
    CordonCell,
    Reserve,
    RetireCell,
)
from cells.visits.types import BeginVisit, EndVisit, VisitMoved
from cells.workflow import CellWorkflow
from controlplane.errors import ErrorType, already_exists, no_capacity, not_found
from controlplane.ids import cell_workflow_id
from controlplane.queues import cells_queue
from controlplane.updates import delivered, starting


@dataclass(frozen=True)
class CellClient:
    """Refusals are raised as the ApplicationError the cell gave (see `controlplane.errors`)."""

    temporal: Client

    async def register(self, cell: str, spec: CellSpec, cordon: Cordon | None = None) -> CellView:
        """Make the cell known, or tell it its new spec. It is placed upon once it is Ready, or once
        it is uncordoned if `cordon` is given for one that is new.

        Raise AlreadyExists for the id of one that was retired.
        """
        try:
            return await delivered(lambda: self._register(cell, spec, cordon))
        except WorkflowAlreadyStartedError:
            raise already_exists(
                f"there was a cell {cell}, which was retired: choose another id"
            ) from None

    async def reserve(self, cell: str, request: Reserve) -> None:
        """Hold capacity; raise NoCapacity when the cell has none, or nobody who gives it out."""
        handle = self.handle(cell)
        try:
            with _a_cell(cell):
                await delivered(lambda: handle.execute_update(CellWorkflow.reserve, request))
        except ApplicationError as refusal:
            if refusal.type != ErrorType.NOT_FOUND:
                raise
            raise no_capacity(f"{cell} has no entity that runs and could hold some") from None

    async def cordon(self, cell: str, *, reason: str, by: str) -> CellView:
        handle, request = self.handle(cell), CordonCell(reason, by)
        return await delivered(lambda: handle.execute_update(CellWorkflow.cordon, request))

    async def uncordon(self, cell: str) -> CellView:
        handle = self.handle(cell)
        return await delivered(lambda: handle.execute_update(CellWorkflow.uncordon))

    async def retire(self, cell: str, *, reason: str, by: str) -> None:
        """Take the cell from the fleet; one that is not part of it, or never was, is left so.

        Raise FailedPrecondition while namespaces live there, or while it is being visited.
        """
        handle, request = self.handle(cell), RetireCell(reason, by)
        try:
            with _a_cell(cell):
                await delivered(lambda: handle.execute_update(CellWorkflow.retire, request))
        except ApplicationError as refusal:
            if refusal.type != ErrorType.NOT_FOUND:
                raise

    async def describe(self, cell: str) -> CellView:
        handle = self.handle(cell)
        return await delivered(lambda: handle.execute_update(CellWorkflow.describe))

    async def allocations(self, cell: str) -> dict[str, Allocation]:
        handle = self.handle(cell)
        return await delivered(lambda: handle.execute_update(CellWorkflow.allocations))

    async def begin_visit(self, cell: str, request: BeginVisit) -> int:
        """Let a visit change the cell; return the generation that it writes with.

        Raise FailedPrecondition when the cell is quarantined, when another visit is under way, or
        when this one has ended; NotFound when there is no such cell.
        """
        handle = self.handle(cell)
        with _a_cell(cell):
            return await delivered(lambda: handle.execute_update(CellWorkflow.begin_visit, request))

    async def fence_visit(self, cell: str, visit: str) -> int:
        """Return a higher generation for the visit's undo; raise FailedPrecondition when it is not
        under way."""
        handle = self.handle(cell)
        with _a_cell(cell):
            return await delivered(lambda: handle.execute_update(CellWorkflow.fence_visit, visit))

    async def visit_moved(self, cell: str, moved: VisitMoved) -> None:
        await self.handle(cell).signal(CellWorkflow.visit_moved, moved)

    async def end_visit(self, cell: str, request: EndVisit) -> CellView:
        """Tell the cell what a visit left; raise FailedPrecondition when it knows none of it."""
        handle = self.handle(cell)
        with _a_cell(cell):
            return await delivered(lambda: handle.execute_update(CellWorkflow.end_visit, request))

    async def lift_quarantine(self, cell: str, *, by: str) -> CellView:
        handle = self.handle(cell)
        return await delivered(lambda: handle.execute_update(CellWorkflow.lift_quarantine, by))

    def handle(self, cell: str) -> WorkflowHandle[CellWorkflow, None]:
        return self.temporal.get_workflow_handle_for(CellWorkflow.run, cell_workflow_id(cell))

    async def _register(self, cell: str, spec: CellSpec, cordon: Cordon | None) -> CellView:
        start = WithStartWorkflowOperation(
            CellWorkflow.run,
            CellState(cell, spec, cordon=cordon),
            id=cell_workflow_id(cell),
            task_queue=cells_queue(spec.region),
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
        )
        async with starting(start):
            return await self.temporal.execute_update_with_start_workflow(
                CellWorkflow.configure, spec, start_workflow_operation=start
            )


@contextlib.contextmanager
def _a_cell(cell: str) -> Iterator[None]:
    try:
        yield
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise not_found(f"there is no cell {cell}") from None
        raise
