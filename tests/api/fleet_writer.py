"""Rollouts, the ledger and cells held in memory: they decide as the real ones do."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from cells.ledger.types import Fence, Fenced
from cells.types import CellView, Cordon
from controlplane.api.ports import EngineUnavailable, FleetWriters
from controlplane.errors import failed_precondition, not_found
from rollout.plan import apply, new_state, note, plan, view
from rollout.planning import controls, lane
from rollout.simulation.types import Forecast, Simulation
from rollout.types import Control, Fleet, Outcome, Phase, RolloutState, RolloutView, StartRollout
from tests.api.life_writer import MemoryLifeWriter
from tests.api.replica_writers import MemoryAvailabilityWriter, MemoryEvacuationWriter
from tests.store.views import NOW


@dataclass
class MemoryFleetWriter:
    """Implements the ports of `FleetWriters`, all of them."""

    fleet: Fleet
    """What rollouts see."""
    rollouts: dict[str, RolloutState] = field(default_factory=dict)
    cells: dict[str, CellView] = field(default_factory=dict)
    holders: dict[str, str] = field(default_factory=dict)
    """Who has a lease of each cell."""
    started: list[StartRollout] = field(default_factory=list)
    """The requests to start that arrived, in order."""
    simulated: list[Simulation] = field(default_factory=list)
    visits: set[str] = field(default_factory=set)
    """The ids of those whose workflows run."""
    silent: bool = False
    reply_lost: bool = False
    """Requests are recorded, and nobody hears of it."""
    refusal: str = ""
    """Why nothing may start."""
    evacuations: MemoryEvacuationWriter = field(default_factory=MemoryEvacuationWriter)
    availability: MemoryAvailabilityWriter = field(default_factory=MemoryAvailabilityWriter)
    lives: MemoryLifeWriter = field(default_factory=MemoryLifeWriter)

    def all(self) -> FleetWriters:
        return FleetWriters(self, self, self, self, self.evacuations, self.availability, self.lives)

    async def start(self, request: StartRollout) -> RolloutView:
        self._hear()
        if self.refusal:
            raise failed_precondition(self.refusal)
        self.started.append(request)
        if request.id not in self.rollouts:
            state = self.rollouts[request.id] = new_state(request)
            state.phase = Phase.FORWARD
            note(state, "started", f"release {request.release.name}", datetime.now(UTC))
        return self._reply(self.rollouts[request.id])

    async def control(self, rollout: str, request: Control) -> RolloutView:
        self._hear()
        state = self.rollouts.get(rollout)
        if state is None:
            raise failed_precondition(f"rollout {rollout} has ended, or never was")
        now = datetime.now(UTC)
        if refused := controls.refusal(state, request, state.plan_hash, now, self.fleet):
            raise failed_precondition(refused)
        controls.take(state, request, now)
        return self._reply(state)

    def end(self, rollout: str, outcome: Outcome) -> RolloutView:
        """Let the rollout end, and return the view that it publishes."""
        state = self.rollouts.pop(rollout)
        state.phase, state.outcome, state.ended_at = Phase.ENDED, outcome, datetime.now(UTC)
        return self._view(state)

    async def fence(self, request: Fence) -> Fenced | None:
        self._hear()
        if self.holders.get(request.cell) != request.holder:
            return None
        del self.holders[request.cell]
        return Fenced(request.cell, request.holder, request.by, request.reason, NOW, NOW)

    async def cordon(self, cell: str, *, reason: str, by: str) -> CellView:
        before = self._cell(cell)
        return self._changed(replace(before, cordon=Cordon(reason, by, NOW)))

    async def uncordon(self, cell: str) -> CellView:
        return self._changed(replace(self._cell(cell), cordon=None))

    async def lift_quarantine(self, cell: str, *, by: str) -> CellView:  # noqa: ARG002 - the port's
        return self._changed(replace(self._cell(cell), quarantine=None))

    async def release_visit(self, cell: str, *, reason: str, by: str) -> CellView:
        before = self._cell(cell)
        if before.visit is None:
            return before
        if before.visit.id in self.visits:
            raise failed_precondition(f"visit {before.visit.id} of {cell} still runs")
        left = Cordon(f"released by {by}: {reason}", f"visit {before.visit.id}", NOW)
        return self._changed(replace(before, visit=None, quarantine=left))

    async def forecast(self, simulation: Simulation) -> Forecast:
        self._hear()
        self.simulated.append(simulation)
        month = timedelta(days=30)
        cells = len(simulation.fleet.cells)
        return Forecast(simulation.start.release.name, cells, NOW, (), month, 2 * month)

    def _cell(self, cell: str) -> CellView:
        self._hear()
        if cell not in self.cells:
            raise not_found(f"cell {cell!r} not found")
        return self.cells[cell]

    def _changed(self, cell: CellView) -> CellView:
        self.cells[cell.id] = replace(cell, revision=cell.revision + 1)
        return self.cells[cell.id]

    def _hear(self) -> None:
        if self.silent:
            raise EngineUnavailable("the engine does not answer")

    def _reply(self, state: RolloutState) -> RolloutView:
        told = self._view(state)
        if self.reply_lost:
            raise EngineUnavailable("the engine does not answer")
        return told

    def _view(self, state: RolloutState) -> RolloutView:
        now = datetime.now(UTC)
        lane.keep_up(state, now)
        planned = plan(state, self.fleet, now)
        apply(state, planned, self.fleet, now)
        state.revision += 1
        return view(state, planned, self.fleet, now)
