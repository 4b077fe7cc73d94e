"""The side effects of a rollout, each safe to repeat."""

from dataclasses import dataclass, replace

from temporalio import activity

from cells.ledger.types import Acquire, Answer, GiveBack
from rollout.gates import Evidence
from rollout.ports import (
    CellLedger,
    EvidenceSource,
    Inventory,
    Predecessors,
    RolloutProjection,
    WatchedCells,
)
from rollout.types import Fleet, RolloutView


@dataclass(frozen=True)
class Superseding:
    rollout: str
    """The id of the workflow of the one that stops."""
    by: str


@dataclass(frozen=True)
class RolloutActivities:
    inventory: Inventory
    evidence: EvidenceSource
    ledger: CellLedger
    rollouts: Predecessors
    projection: RolloutProjection

    @activity.defn
    async def take_inventory(self) -> Fleet:
        """Return the fleet, its calendar foretold: a replay must not depend on the rules for time
        zones of its day."""
        fleet = await self.inventory.take()
        return replace(fleet, calendar=fleet.calendar.foretell(fleet.seen_at))

    @activity.defn
    async def gather_evidence(self, watched: WatchedCells) -> Evidence:
        return await self.evidence.gather(watched)

    @activity.defn
    async def acquire_lease(self, request: Acquire) -> Answer:
        return await self.ledger.acquire(request)

    @activity.defn
    async def give_back_lease(self, request: GiveBack) -> None:
        await self.ledger.give_back(request)

    @activity.defn
    async def supersede_rollout(self, request: Superseding) -> None:
        """Ask another rollout to stop at a safe point, once."""
        await self.rollouts.supersede(request.rollout, request.by)

    @activity.defn
    async def publish_rollout(self, view: RolloutView) -> None:
        await self.projection.publish_rollout(view)
