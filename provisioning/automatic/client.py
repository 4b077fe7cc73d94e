"""How everyone else reaches what decides about failovers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
)
from temporalio.common import WorkflowIDConflictPolicy

from controlplane.queues import fleet_queue
from controlplane.updates import delivered, starting
from provisioning.automatic.types import (
    AVAILABILITY_ID,
    AvailabilityState,
    AvailabilityView,
    LiftCellHold,
    PauseAvailability,
    ResumeAvailability,
    SetAvailabilityPolicy,
)
from provisioning.automatic.workflow import AvailabilityWorkflow

TASK_TIMEOUT = timedelta(seconds=5)
"""How soon the task of a worker that died goes to another."""

Start = WithStartWorkflowOperation[AvailabilityWorkflow, None]


@dataclass(frozen=True)
class AvailabilityClient:
    """Every call begins the watch over the fleet if there is none yet, and may be repeated.

    Refusals are raised as the ApplicationError that was given (see `controlplane.errors`).
    """

    temporal: Client

    async def begin(self) -> None:
        """Begin the watch unless it is under way; whoever runs the fleet does so when it comes up.

        Nobody has to be there yet who carries it out.
        """
        await self.temporal.start_workflow(
            AvailabilityWorkflow.run,
            AvailabilityState(),
            id=AVAILABILITY_ID,
            task_queue=fleet_queue(),
            task_timeout=TASK_TIMEOUT,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )

    async def describe(self) -> AvailabilityView:
        """Return what is decided now, and why. To look at often, read the projection."""
        return await self._asked(
            lambda start: self.temporal.execute_update_with_start_workflow(
                AvailabilityWorkflow.describe, start_workflow_operation=start
            )
        )

    async def pause(self, request: PauseAvailability) -> AvailabilityView:
        """Move nothing any more; the watch goes on. What is under way comes to its end."""
        return await self._asked(
            lambda start: self.temporal.execute_update_with_start_workflow(
                AvailabilityWorkflow.pause, request, start_workflow_operation=start
            )
        )

    async def resume(self, request: ResumeAvailability) -> AvailabilityView:
        return await self._asked(
            lambda start: self.temporal.execute_update_with_start_workflow(
                AvailabilityWorkflow.resume, request, start_workflow_operation=start
            )
        )

    async def set_policy(self, request: SetAvailabilityPolicy) -> AvailabilityView:
        return await self._asked(
            lambda start: self.temporal.execute_update_with_start_workflow(
                AvailabilityWorkflow.set_policy, request, start_workflow_operation=start
            )
        )

    async def lift_hold(self, request: LiftCellHold) -> AvailabilityView:
        """Let a cell be failed over, or returned to, that was held for coming and going."""
        return await self._asked(
            lambda start: self.temporal.execute_update_with_start_workflow(
                AvailabilityWorkflow.lift_hold, request, start_workflow_operation=start
            )
        )

    async def _asked(
        self, send: Callable[[Start], Awaitable[AvailabilityView]]
    ) -> AvailabilityView:
        return await delivered(lambda: _started(send))


async def _started(send: Callable[[Start], Awaitable[AvailabilityView]]) -> AvailabilityView:
    start: Start = WithStartWorkflowOperation(
        AvailabilityWorkflow.run,
        AvailabilityState(),
        id=AVAILABILITY_ID,
        task_queue=fleet_queue(),
        task_timeout=TASK_TIMEOUT,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    async with starting(start):
        return await send(start)
