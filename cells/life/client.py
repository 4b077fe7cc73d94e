"""How everyone else reaches the life of a cell."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from cells.life.requests import new_state
from cells.life.types import CreateCell, LayerTold, LifeCommand, LifeView
from cells.life.workflow import CellLifeWorkflow
from controlplane.errors import already_exists, not_found
from controlplane.ids import cell_life_workflow_id
from controlplane.queues import fleet_queue
from controlplane.updates import delivered, starting

TASK_TIMEOUT = timedelta(seconds=5)
"""How soon the task of a worker that died goes to another."""


@dataclass(frozen=True)
class CellLifeClient:
    """Refusals are raised as ApplicationErrors (see `controlplane.errors`)."""

    temporal: Client

    async def create(self, request: CreateCell) -> LifeView:
        """Begin to build a cell; return once that is durably recorded.

        Asked again for the same blueprint, nothing is begun again. Raise AlreadyExists when there
        is another cell of that name, or was one: a name is never used again.
        """
        return await delivered(lambda: self._create(request))

    async def command(self, cell: str, command: LifeCommand) -> LifeView:
        """Tell the cell's life what a person wants; a decommission is answered once it is known
        who lives there.

        Raise FailedPrecondition with its refusal, AlreadyExists when the operation has asked for
        something else, NotFound when the cell was not built here, or is gone.
        """
        handle = self.handle(cell)
        with _a_life(cell):
            return await delivered(lambda: handle.execute_update(CellLifeWorkflow.command, command))

    async def describe(self, cell: str) -> LifeView:
        """Return the life as it is now; raise NotFound when there is none, or it is over."""
        handle = self.handle(cell)
        with _a_life(cell):
            return await delivered(lambda: handle.execute_update(CellLifeWorkflow.describe))

    async def tell(self, cell: str, told: LayerTold) -> None:
        """Let people see what is being done."""
        await self.handle(cell).signal(CellLifeWorkflow.tell, told)

    def handle(self, cell: str) -> WorkflowHandle[CellLifeWorkflow, LifeView]:
        return self.temporal.get_workflow_handle_for(
            CellLifeWorkflow.run, cell_life_workflow_id(cell)
        )

    async def _create(self, request: CreateCell) -> LifeView:
        cell = request.blueprint.cell
        start = WithStartWorkflowOperation(
            CellLifeWorkflow.run,
            new_state(request),
            id=cell_life_workflow_id(cell),
            # Not a region's: a life is asked for, shown and ended though no worker serves it yet.
            task_queue=fleet_queue(),
            task_timeout=TASK_TIMEOUT,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        )
        try:
            async with starting(start):
                return await self.temporal.execute_update_with_start_workflow(
                    CellLifeWorkflow.create, request, start_workflow_operation=start
                )
        except WorkflowAlreadyStartedError:
            raise already_exists(
                f"there was a cell {cell}, and it is gone: choose another name, since none is ever "
                "used again"
            ) from None


@contextlib.contextmanager
def _a_life(cell: str) -> Iterator[None]:
    try:
        yield
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise not_found(
                f"no life of {cell} is under way: it was not built here, or is gone"
            ) from None
        raise
