"""Evacuations and the watch over the fleet held in memory: they decide as the real ones do."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from controlplane.api.ports import EngineUnavailable
from controlplane.errors import already_exists, failed_precondition
from provisioning.automatic import explaining, progress
from provisioning.automatic.plan import Plan as AvailabilityPlan
from provisioning.automatic.types import (
    AvailabilityState,
    AvailabilityView,
    LiftCellHold,
    PauseAvailability,
    ResumeAvailability,
    SetAvailabilityPolicy,
)
from provisioning.evacuation import controls
from provisioning.evacuation.plan import new_state
from provisioning.evacuation.types import (
    Control,
    EvacuationState,
    EvacuationView,
    Outcome,
    Phase,
    StartEvacuation,
)
from provisioning.evacuation.view import view


@dataclass
class MemoryEvacuationWriter:
    """Implements `controlplane.api.ports.EvacuationWriter`."""

    states: dict[str, EvacuationState] = field(default_factory=dict)
    """By cell."""
    started: list[StartEvacuation] = field(default_factory=list)
    """The requests to start that arrived, in order."""
    silent: bool = False
    reply_lost: bool = False
    """Requests are recorded, and nobody hears of it."""

    async def start(self, request: StartEvacuation) -> EvacuationView:
        self._hear()
        self.started.append(request)
        state = self.states.get(request.cell)
        if state is None or state.phase is Phase.ENDED:
            state = self.states[request.cell] = new_state(request)
            state.phase, state.started_at = Phase.FAILING_OVER, datetime.now(UTC)
        if state.id != request.id:
            raise already_exists(f"{request.cell} is being emptied by evacuation {state.id}")
        return self._reply(state)

    async def control(self, cell: str, request: Control) -> EvacuationView:
        self._hear()
        state = self.states.get(cell)
        if state is None:
            raise failed_precondition(f"evacuation {request.evacuation} has ended, or never was")
        if refused := controls.refusal(state, request):
            raise failed_precondition(refused)
        controls.take(state, request, datetime.now(UTC))
        return self._reply(state)

    def end(self, cell: str, outcome: Outcome) -> EvacuationView:
        """Let the evacuation end, and return the view that it publishes."""
        state = self.states[cell]
        state.phase, state.outcome, state.ended_at = Phase.ENDED, outcome, datetime.now(UTC)
        return self._view(state)

    def _hear(self) -> None:
        if self.silent:
            raise EngineUnavailable("the engine does not answer")

    def _reply(self, state: EvacuationState) -> EvacuationView:
        told = self._view(state)
        if self.reply_lost:
            raise EngineUnavailable("the engine does not answer")
        return told

    def _view(self, state: EvacuationState) -> EvacuationView:
        state.revision += 1
        return view(state, datetime.now(UTC))


@dataclass
class MemoryAvailabilityWriter:
    """Implements `controlplane.api.ports.AvailabilityWriter`."""

    state: AvailabilityState = field(default_factory=AvailabilityState)

    async def pause(self, request: PauseAvailability) -> AvailabilityView:
        progress.pause(self.state, request, datetime.now(UTC))
        return self.published()

    async def resume(self, request: ResumeAvailability) -> AvailabilityView:
        progress.resume(self.state, request, datetime.now(UTC))
        return self.published()

    async def set_policy(self, request: SetAvailabilityPolicy) -> AvailabilityView:
        try:
            progress.check_policy(request.policy)
        except ValueError as error:
            raise failed_precondition(str(error)) from None
        progress.set_policy(self.state, request, datetime.now(UTC))
        return self.published()

    async def lift_hold(self, request: LiftCellHold) -> AvailabilityView:
        if request.cell not in self.state.cells:
            raise failed_precondition(f"no cell {request.cell} is known here")
        progress.lift_hold(self.state, request, datetime.now(UTC))
        return self.published()

    def published(self) -> AvailabilityView:
        """Return what it publishes now."""
        self.state.revision += 1
        now = datetime.now(UTC)
        return explaining.view(self.state, None, (), AvailabilityPlan(), now=now, next_round=None)
