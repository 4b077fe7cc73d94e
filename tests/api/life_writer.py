"""The lives of cells held in memory: what they agree to is what the real ones do."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from cells.life import plan, record, requests
from cells.life.types import (
    NOBODY,
    CreateCell,
    Layer,
    LifeCommand,
    LifeCommandKind,
    LifeState,
    LifeView,
    Phase,
    Residents,
)
from cells.life.view import view
from cells.providers.types import Account, Cluster, Foundation
from controlplane.api.ports import EngineUnavailable
from controlplane.errors import already_exists, failed_precondition, not_found

ACCOUNT = Account("123456789012", "arn:aws:iam::123456789012:role/controlplane")
FOUNDATION = Foundation(
    ACCOUNT, Cluster("cell-u1234567", "https://cluster.test", ""), "db.test:5432", "arn:secret"
)


@dataclass
class MemoryLifeWriter:
    """Implements `controlplane.api.ports.LifeWriter`. Nothing goes on but when it is told to."""

    states: dict[str, LifeState] = field(default_factory=dict)
    """By cell."""
    created: list[CreateCell] = field(default_factory=list)
    """The requests that arrived, in order."""
    residents: Residents = NOBODY
    """Who lives in every cell."""
    reply_lost: bool = False
    """Requests are recorded, and nobody hears of it."""

    async def create(self, request: CreateCell) -> LifeView:
        self.created.append(request)
        state = self.states.setdefault(request.blueprint.cell, requests.new_state(request))
        if conflict := requests.conflict(state, request):
            raise already_exists(conflict)
        return self._reply(state)

    async def command(self, cell: str, command: LifeCommand) -> LifeView:
        state = self.states.get(cell)
        if state is None:
            raise not_found(f"no life of {cell} is under way")
        if not requests.is_taken(state, command):
            if refusal := requests.refusal(state, command):
                raise failed_precondition(refusal)
            if command.kind is LifeCommandKind.DECOMMISSION and (
                refusal := requests.refusal_for(self.residents, command)
            ):
                raise failed_precondition(refusal)
            requests.take(state, command, datetime.now(UTC))
        return self._reply(state)

    def build(self, cell: str, most: int = len(plan.ORDER)) -> LifeView:
        """Let the first so many layers stand, and return the view that it publishes."""
        state, now = self.states[cell], datetime.now(UTC)
        found: dict[Layer, Account | Foundation] = {
            Layer.ACCOUNT: ACCOUNT,
            Layer.INFRASTRUCTURE: FOUNDATION,
        }
        for layer in plan.ORDER[len(state.assured) : most]:
            record.begun(state, layer, now)
            record.built(state, layer, found.get(layer), now)
        return view(state, now)

    def fail(self, cell: str, problem: str) -> LifeView:
        """Let the next layer fail, and return the view that it publishes."""
        state, now = self.states[cell], datetime.now(UTC)
        layer = plan.next_layer(state.assured)
        assert layer is not None, "all stand"
        record.begun(state, layer, now)
        record.failed(state, layer, problem, now)
        return view(state, now)

    def tell(self, cell: str, progress: str) -> LifeView:
        """Let the next layer be built and say how far it is, and return the view of that."""
        state, now = self.states[cell], datetime.now(UTC)
        layer = plan.next_layer(state.assured)
        assert layer is not None, "all stand"
        record.begun(state, layer, now)
        record.told(state, layer, progress, now)
        return view(state, now)

    def reopen(self, cell: str) -> LifeView:
        """Let a cell that is kept take namespaces again, and return the view of that."""
        state, now = self.states[cell], datetime.now(UTC)
        record.reopened(state, now)
        return view(state, now)

    def dismantle(self, cell: str, *leftovers: str) -> LifeView:
        """Take down every layer, or all but an account in which something is left."""
        state, now = self.states[cell], datetime.now(UTC)
        if not state.is_cordoned and state.phase is Phase.DRAINING:
            record.counted(state, NOBODY, now)
        while (layer := plan.last_standing(state.layers)) is not None:
            if layer is Layer.ACCOUNT and leftovers:
                record.left_over(state, leftovers, now)
                break
            record.dismantled(state, layer, now)
        return view(state, now)

    def _reply(self, state: LifeState) -> LifeView:
        now = datetime.now(UTC)
        record.touch(state, now)
        if self.reply_lost:
            raise EngineUnavailable("the engine does not answer")
        return view(state, now)
