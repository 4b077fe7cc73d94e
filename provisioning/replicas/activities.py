"""The steps of a change of replicas as side effects, each safe to repeat."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity

from cells.observations import sickness
from cells.placement import Placement, explain_refusal, place
from cells.replication.ports import CellLinks
from cells.types import CellView
from controlplane.errors import failed_precondition, no_capacity
from provisioning.ports import Fleet, Incarnation, Ingress
from provisioning.replicas.ports import Replication
from provisioning.replicas.types import Comparison, CopyProgress, ReplicationFacts
from provisioning.types import DEMAND


@dataclass(frozen=True)
class ChooseReplicaCell:
    region: str
    cell: str
    """The only one that will do; empty for any."""
    beside: tuple[str, ...]
    """The cells that have a replica."""


@dataclass(frozen=True)
class Between:
    """Something between a replica and another cell."""

    replica: Incarnation
    cell: str


@dataclass(frozen=True)
class CopyFor:
    """Follow a copy for so long, then tell how far it is."""

    active: Incarnation
    to: str
    patience: timedelta


@dataclass(frozen=True)
class HandOver:
    active: Incarnation
    to: str
    within: timedelta
    allowed_lag: timedelta


@dataclass(frozen=True)
class AwaitActive:
    at: Incarnation
    active: str
    within: timedelta


@dataclass(frozen=True)
class Copied:
    progress: CopyProgress
    is_over: bool


@dataclass(frozen=True)
class ReplicaActivities:
    fleet: Fleet
    links: CellLinks
    replication: Replication
    ingress: Ingress

    @activity.defn
    async def choose_replica_cell(self, request: ChooseReplicaCell) -> Placement:
        cells = await self.fleet.cells()
        regions = {view.id: view.spec.region for view in cells}
        placement = place(
            regions.get(request.cell, request.region),
            DEMAND,
            cells,
            beside=request.beside,
            only=request.cell,
        )
        if placement.cell is None:
            raise no_capacity(explain_refusal(placement))
        return placement

    @activity.defn
    async def check_failover_target(self, cell: str) -> None:
        """Raise why the cell should not become anybody's active one now."""
        found = next((view for view in await self.fleet.cells() if view.id == cell), None)
        if found is None:
            raise failed_precondition(f"there is no cell {cell}")
        if obstacle := _unfit(found):
            raise failed_precondition(f"cell {cell}: {obstacle}. Wait, or fail over by force")

    @activity.defn
    async def join_cells(self, request: Between) -> None:
        await self.links.join(request.replica.cell, request.cell)

    @activity.defn
    async def extend_namespace(self, request: Between) -> None:
        await self.replication.extend(request.replica, request.cell)

    @activity.defn
    async def copy_executions(self, request: CopyFor) -> Copied:
        latest = CopyProgress(0, 0)

        def told(progress: CopyProgress) -> None:
            nonlocal latest
            latest = progress

        try:
            async with asyncio.timeout(request.patience.total_seconds()):
                return Copied(
                    await self.replication.copy(request.active, request.to, told), is_over=True
                )
        except TimeoutError:
            return Copied(latest, is_over=False)

    @activity.defn
    async def compare_replicas(self, request: Between) -> Comparison:
        return await self.replication.compare(request.replica, request.cell)

    @activity.defn
    async def hand_over(self, request: HandOver) -> None:
        await self.replication.hand_over(
            request.active, request.to, request.within, request.allowed_lag
        )

    @activity.defn
    async def force_failover(self, to: Incarnation) -> None:
        await self.replication.force(to)

    @activity.defn
    async def settle_replication(self, at: Incarnation) -> None:
        await self.replication.settle(at)

    @activity.defn
    async def revive_executions(self, active: Incarnation) -> int:
        return await self.replication.revive(active)

    @activity.defn
    async def await_active(self, request: AwaitActive) -> None:
        await self.replication.await_active(request.at, request.active, request.within)

    @activity.defn
    async def withdraw_replica(self, request: Between) -> None:
        await self.replication.withdraw(request.replica, request.cell)

    @activity.defn
    async def route_requests(self, request: Between) -> None:
        """Let the ingress of the replica pass requests on to the cell, unless that is its own."""
        replica, active = request.replica, request.cell
        await self.ingress.route(replica, "" if active == replica.cell else active)

    @activity.defn
    async def observe_replication(self, at: Incarnation) -> ReplicationFacts | None:
        return await self.replication.observe(at)


def _unfit(cell: CellView) -> str:
    if cell.visit is not None:
        return f"being brought to {cell.visit.release}"
    return sickness(cell)
