"""Looking at the fleet from everywhere, and asking namespaces to move. Each is safe to repeat."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio import activity
from temporalio.exceptions import ApplicationError

from provisioning.automatic.ports import (
    AvailabilityProjection,
    FleetSight,
    Namespaces,
    Peers,
    Prober,
)
from provisioning.automatic.sight import FleetSurvey, NamespaceFacts, PeerSays, ProbeReport
from provisioning.automatic.types import AvailabilityView, Move, MoveAnswer
from provisioning.types import FailOver


@dataclass(frozen=True)
class ProbeCells:
    """Knock at every cell from `region`."""

    region: str


@dataclass(frozen=True)
class AskPeers:
    """Ask cells what they get from others."""

    pairs: tuple[tuple[str, str], ...]
    """Who is asked, and of whom."""


@dataclass(frozen=True)
class SurveyNamespaces:
    cells: tuple[str, ...]


@dataclass(frozen=True)
class CellNamespaces:
    """The namespaces with a replica in a cell."""

    cell: str
    namespaces: tuple[NamespaceFacts, ...]


@dataclass(frozen=True)
class MoveNamespaces:
    moves: tuple[Move, ...]


@dataclass(frozen=True)
class AvailabilityActivities:
    sight: FleetSight
    prober: Prober
    peers: Peers
    namespaces: Namespaces
    projection: AvailabilityProjection

    @activity.defn
    async def survey_fleet(self) -> FleetSurvey:
        return FleetSurvey(datetime.now(UTC), tuple(await self.sight.cells()))

    @activity.defn
    async def probe_cells(self, request: ProbeCells) -> ProbeReport:
        """Runs where the workers of the region run: that is what makes it a vantage point."""
        return await self.prober.probe(request.region)

    @activity.defn
    async def ask_peers(self, request: AskPeers) -> Sequence[PeerSays]:
        return await asyncio.gather(*(self.peers.ask(*pair) for pair in request.pairs))

    @activity.defn
    async def survey_namespaces(self, request: SurveyNamespaces) -> Sequence[CellNamespaces]:
        return [
            CellNamespaces(cell, tuple(await self.sight.namespaces(cell))) for cell in request.cells
        ]

    @activity.defn
    async def move_namespaces(self, request: MoveNamespaces) -> Sequence[MoveAnswer]:
        """Ask each namespace; those that do not agree, or cannot be reached, say why."""
        return await asyncio.gather(*map(self._move, request.moves))

    @activity.defn
    async def publish_availability(self, view: AvailabilityView) -> None:
        await self.projection.publish_availability(view)

    async def _move(self, move: Move) -> MoveAnswer:
        request = FailOver(
            operation=move.operation,
            cell=move.target,
            mode=move.mode,
            cause=move.cause,
            reason=move.reason,
        )
        try:
            await self.namespaces.fail_over(move.namespace, request)
        except ApplicationError as refusal:
            return MoveAnswer(move.namespace, refusal.message)
        return MoveAnswer(move.namespace)
