"""A namespace's hold on the capacity of a cell, from inside its workflow."""

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from cells.placement import explain_refusal, without
from cells.types import Release, Reserve
from cells.workflow import CellWorkflow
from controlplane.errors import ErrorType, no_capacity
from controlplane.ids import cell_workflow_id
from provisioning import steps
from provisioning.failures import cause_of
from provisioning.journal import Journal
from provisioning.ports import Incarnation
from provisioning.types import DEMAND, DecisionKind, NamespaceState, OperationKind


async def select_cell(state: NamespaceState, journal: Journal) -> None:
    """Hold capacity in the best cell that still has it."""
    assert state.spec is not None, "a namespace begins with its creation"
    placement = await steps.choose_cell(state.spec.region)
    while placement.cell is not None:
        if placement.cell not in state.asked_cells:
            state.asked_cells.append(placement.cell)
        target = Incarnation(state.id, state.uid, placement.cell)
        try:
            await steps.reserve_cell(target)
        except FailureError as error:
            cause = cause_of(error)
            if not (isinstance(cause, ApplicationError) and cause.type == ErrorType.NO_CAPACITY):
                raise
            placement = without(placement, placement.cell, cause.message)
        else:
            state.observed = replace(state.observed, placement=placement)
            journal.decide(
                DecisionKind.PLACED,
                f"of {len(placement.verdicts)} cells",
                workflow.now(),
                operation=journal.open_operations(OperationKind.CREATE)[0],
                after=target.cell,
            )
            return
    raise no_capacity(explain_refusal(placement))


async def confirm(state: NamespaceState, target: Incarnation) -> None:
    """Keep the capacity held in the cell chosen, and none in cells asked before it."""
    reserve = Reserve(state.id, state.uid, DEMAND)
    await _signal_cell(target.cell, CellWorkflow.confirm, reserve)
    kept = [target.cell, *sorted(state.passive)]
    await _release(state, (cell for cell in state.asked_cells if cell not in kept))
    state.asked_cells = kept


async def release(state: NamespaceState) -> None:
    """Hold nothing in any cell that was ever asked."""
    await _release(state, state.asked_cells)
    state.asked_cells = []


async def _release(state: NamespaceState, cells: Iterable[str]) -> None:
    for cell in cells:
        await _signal_cell(cell, CellWorkflow.release, Release(state.id, state.uid))


Request = TypeVar("Request")


async def _signal_cell(
    cell: str, signal: Callable[[CellWorkflow, Request], None], request: Request
) -> None:
    handle: workflow.ExternalWorkflowHandle[CellWorkflow] = (
        workflow.get_external_workflow_handle_for(CellWorkflow.run, cell_workflow_id(cell))
    )
    # A cell that is gone holds nothing.
    with contextlib.suppress(ApplicationError):
        await handle.signal(signal, request)
