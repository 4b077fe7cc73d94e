"""How people free a cell from a visit that died."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from cells.client import CellClient
from cells.types import CellView
from cells.visits import record
from cells.visits.types import EndedVisit, VisitReport
from cells.visits.workflow import VISIT_ENDED
from controlplane.errors import failed_precondition
from controlplane.ids import visit_workflow_id


@dataclass(frozen=True)
class VisitClient:
    cells: CellClient

    async def release(self, cell: str, *, reason: str, by: str) -> CellView:
        """Free the cell from a visit whose workflow was terminated; tell who asked for it.

        Raise FailedPrecondition while the visit runs: it ends the cell's part itself. Asked again,
        it tells again how the latest visit ended, which whoever waits for it may not have heard.
        """
        view = await self.cells.describe(cell)
        if view.visit is not None:
            if await self._runs(view.visit.id):
                raise failed_precondition(
                    f"visit {view.visit.id} of {cell} runs, in phase {view.visit.phase}: abort or "
                    f"pause what asked for it ({view.visit.by or 'nobody known'}), or terminate "
                    f"workflow {visit_workflow_id(view.visit.id)} first"
                )
            view = await self.cells.end_visit(cell, record.released(view.visit, by, reason))
        if view.ended_visits and not await self._runs(view.ended_visits[-1].id):
            await self._tell(view, view.ended_visits[-1])
        return view

    async def _runs(self, visit: str) -> bool:
        handle = self.cells.temporal.get_workflow_handle(visit_workflow_id(visit))
        try:
            return (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False  # It ended so long ago that the engine has forgotten it.
            raise

    async def _tell(self, view: CellView, ended: EndedVisit) -> None:
        """Signal it to who waits for the visit, if anybody does; heard before, it is ignored."""
        if not ended.by:
            return
        report = VisitReport(
            visit=ended.id,
            cell=view.id,
            outcome=ended.outcome,
            generation=ended.generation,
            software=view.software,
            message=ended.message,
            began_at=ended.ended_at,
            ended_at=ended.ended_at,
            gap=timedelta(0),
        )
        try:
            await self.cells.temporal.get_workflow_handle(ended.by).signal(VISIT_ENDED, report)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
