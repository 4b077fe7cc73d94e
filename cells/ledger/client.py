"""How everyone else reaches the disruption ledger."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
)
from temporalio.common import WorkflowIDConflictPolicy

from cells.ledger.types import (
    LEDGER_ID,
    Acquire,
    Answer,
    Fence,
    Fenced,
    GiveBack,
    Lease,
    LedgerState,
)
from cells.ledger.workflow import LedgerWorkflow
from controlplane.queues import fleet_queue
from controlplane.updates import delivered, starting

TASK_TIMEOUT = timedelta(seconds=5)
"""How soon the task of a worker that died goes to another: everybody's questions wait for it."""

T = TypeVar("T")
Start = WithStartWorkflowOperation[LedgerWorkflow, None]


@dataclass(frozen=True)
class LedgerClient:
    """Every call begins the ledger if there is none yet, and may be repeated.

    What is wrong in itself is raised as the ApplicationError the ledger gave (see
    `controlplane.errors`). A refusal is no error: it is an Answer, with the conflicts.
    """

    temporal: Client

    async def acquire(self, asked: Acquire) -> Answer:
        """Ask to disturb a cell."""
        return await self._asked(
            lambda start: self.temporal.execute_update_with_start_workflow(
                LedgerWorkflow.acquire, asked, start_workflow_operation=start
            )
        )

    async def give_back(self, request: GiveBack) -> None:
        """End a lease, the cell being healthy; what the holder does not have is fine."""
        await self._asked(
            lambda start: self.temporal.execute_update_with_start_workflow(
                LedgerWorkflow.give_back, request, start_workflow_operation=start
            )
        )

    async def fence(self, request: Fence) -> Fenced | None:
        """Take a lease from a holder that can do no more; return None where it has none."""
        return await self._asked(
            lambda start: self.temporal.execute_update_with_start_workflow(
                LedgerWorkflow.fence, request, start_workflow_operation=start
            )
        )

    async def leases(self) -> dict[str, Lease]:
        """Return the leases in force, by cell. To look at often, read the projection."""
        return await self._asked(
            lambda start: self.temporal.execute_update_with_start_workflow(
                LedgerWorkflow.leases, start_workflow_operation=start
            )
        )

    async def _asked(self, send: Callable[[Start], Awaitable[T]]) -> T:
        return await delivered(lambda: _started(send))


async def _started(send: Callable[[Start], Awaitable[T]]) -> T:
    start: Start = WithStartWorkflowOperation(
        LedgerWorkflow.run,
        LedgerState(),
        id=LEDGER_ID,
        task_queue=fleet_queue(),
        task_timeout=TASK_TIMEOUT,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    async with starting(start):
        return await send(start)
