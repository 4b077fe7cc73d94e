"""What runs the fleet, reached through the engine."""

from collections.abc import Awaitable
from dataclasses import dataclass

from temporalio.service import RPCError, RPCStatusCode

from cells.client import CellClient
from cells.ledger.client import LedgerClient
from cells.ledger.types import Fence, Fenced
from cells.life.client import CellLifeClient
from cells.life.types import CreateCell, LifeCommand, LifeView
from cells.types import CellView
from cells.visits.client import VisitClient
from controlplane.api.engine import ACCEPT_WITHIN_SECONDS, accepted
from controlplane.errors import not_found
from provisioning.automatic.client import AvailabilityClient
from provisioning.automatic.types import (
    AvailabilityView,
    LiftCellHold,
    PauseAvailability,
    ResumeAvailability,
    SetAvailabilityPolicy,
)
from provisioning.evacuation.client import EvacuationClient
from provisioning.evacuation.types import Control as EvacuationControl
from provisioning.evacuation.types import EvacuationView, StartEvacuation
from rollout.client import RolloutClient
from rollout.types import Control, RolloutView, StartRollout


@dataclass(frozen=True)
class EngineRollouts:
    """Adapter of `controlplane.api.ports.RolloutWriter`."""

    rollouts: RolloutClient
    accept_within_seconds: float = ACCEPT_WITHIN_SECONDS

    async def start(self, request: StartRollout) -> RolloutView:
        return await accepted(self.rollouts.start(request), self.accept_within_seconds)

    async def control(self, rollout: str, request: Control) -> RolloutView:
        return await accepted(self.rollouts.control(rollout, request), self.accept_within_seconds)


@dataclass(frozen=True)
class EngineLedger:
    """Adapter of `controlplane.api.ports.LedgerWriter`."""

    ledger: LedgerClient
    accept_within_seconds: float = ACCEPT_WITHIN_SECONDS

    async def fence(self, request: Fence) -> Fenced | None:
        return await accepted(self.ledger.fence(request), self.accept_within_seconds)


@dataclass(frozen=True)
class EngineCells:
    """Adapter of `controlplane.api.ports.CellWriter`."""

    cells: CellClient
    accept_within_seconds: float = ACCEPT_WITHIN_SECONDS

    async def cordon(self, cell: str, *, reason: str, by: str) -> CellView:
        return await self._accepted(cell, self.cells.cordon(cell, reason=reason, by=by))

    async def uncordon(self, cell: str) -> CellView:
        return await self._accepted(cell, self.cells.uncordon(cell))

    async def lift_quarantine(self, cell: str, *, by: str) -> CellView:
        return await self._accepted(cell, self.cells.lift_quarantine(cell, by=by))

    async def release_visit(self, cell: str, *, reason: str, by: str) -> CellView:
        visits = VisitClient(self.cells)
        return await self._accepted(cell, visits.release(cell, reason=reason, by=by))

    async def _accepted(self, cell: str, request: Awaitable[CellView]) -> CellView:
        try:
            return await accepted(request, self.accept_within_seconds)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise not_found(f"cell {cell!r} not found") from None
            raise


@dataclass(frozen=True)
class EngineEvacuations:
    """Adapter of `controlplane.api.ports.EvacuationWriter`."""

    evacuations: EvacuationClient
    accept_within_seconds: float = ACCEPT_WITHIN_SECONDS

    async def start(self, request: StartEvacuation) -> EvacuationView:
        return await accepted(self.evacuations.start(request), self.accept_within_seconds)

    async def control(self, cell: str, request: EvacuationControl) -> EvacuationView:
        return await accepted(self.evacuations.control(cell, request), self.accept_within_seconds)


@dataclass(frozen=True)
class EngineLives:
    """Adapter of `controlplane.api.ports.LifeWriter`."""

    lives: CellLifeClient
    accept_within_seconds: float = ACCEPT_WITHIN_SECONDS

    async def create(self, request: CreateCell) -> LifeView:
        return await accepted(self.lives.create(request), self.accept_within_seconds)

    async def command(self, cell: str, command: LifeCommand) -> LifeView:
        return await accepted(self.lives.command(cell, command), self.accept_within_seconds)


@dataclass(frozen=True)
class EngineAvailability:
    """Adapter of `controlplane.api.ports.AvailabilityWriter`."""

    availability: AvailabilityClient
    accept_within_seconds: float = ACCEPT_WITHIN_SECONDS

    async def pause(self, request: PauseAvailability) -> AvailabilityView:
        return await self._accepted(self.availability.pause(request))

    async def resume(self, request: ResumeAvailability) -> AvailabilityView:
        return await self._accepted(self.availability.resume(request))

    async def set_policy(self, request: SetAvailabilityPolicy) -> AvailabilityView:
        return await self._accepted(self.availability.set_policy(request))

    async def lift_hold(self, request: LiftCellHold) -> AvailabilityView:
        return await self._accepted(self.availability.lift_hold(request))

    async def _accepted(self, request: Awaitable[AvailabilityView]) -> AvailabilityView:
        return await accepted(request, self.accept_within_seconds)
