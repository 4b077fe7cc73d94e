"""Looks at what concerns a cell that is to be emptied."""

from dataclasses import dataclass
from datetime import UTC, datetime

from provisioning.evacuation.facts import Survey
from provisioning.evacuation.policy import EvacuationKind, EvacuationPolicy
from provisioning.evacuation.ports import Cells, Disturbances, Namespaces
from provisioning.evacuation.survey import survey


@dataclass(frozen=True)
class Looking:
    cell: str
    beside: tuple[str, ...] = ()
    """Namespaces to look at wherever they are."""
    migrates: bool = False
    """Whether something may be migrated, and so to which cells it could."""
    regions: tuple[str, ...] = ()
    """Those beside the cell's own that it may be migrated to."""


@dataclass(frozen=True)
class Surveyor:
    namespaces: Namespaces
    fleet: Cells
    disturbances: Disturbances

    async def look(self, looking: Looking) -> Survey:
        now = datetime.now(UTC)
        cells = await self.fleet.cells()
        here = await self.namespaces.in_cell(looking.cell)
        known = {view.id for view in here}
        beside = [name for name in looking.beside if name not in known]
        elsewhere = await self.namespaces.named(beside) if beside else ()
        own = [view.spec.region for view in cells if view.id == looking.cell]
        return survey(
            looking.cell,
            cells,
            [*here, *elsewhere],
            await self.disturbances.read(),
            now,
            regions=(*own, *looking.regions) if looking.migrates else (),
        )


def looking_for(
    cell: str, kind: EvacuationKind, policy: EvacuationPolicy, beside: tuple[str, ...] = ()
) -> Looking:
    """Return what an evacuation has to look at."""
    migrates = kind is EvacuationKind.DRAIN
    return Looking(cell, beside, migrates=migrates, regions=policy.other_regions)
