"""The fleet, as a cell in a cloud enters it and leaves it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cells.client import CellClient
from cells.types import CellSpec, Cordon
from controlplane.store.replicas import StoredReplicas

OURSELVES = "control plane"


@dataclass(frozen=True)
class FleetRegistry:
    """Meets `cells.life.ports.Registry`: entities hold the cells, rows say who lives there."""

    cells: CellClient
    namespaces: StoredReplicas

    async def register(self, cell: str, spec: CellSpec) -> None:
        """Make the cell known, cordoned before anybody can place anything in it."""
        await self.cells.register(
            cell, spec, Cordon("it is being built", OURSELVES, datetime.now(UTC))
        )

    async def open(self, cell: str) -> None:
        await self.cells.uncordon(cell)

    async def cordon(self, cell: str, reason: str, by: str) -> None:
        await self.cells.cordon(cell, reason=reason, by=by)

    async def residents(self, cell: str) -> Sequence[str]:
        """Return who lives there by either account: what a cell holds and what namespaces say."""
        held = await self.cells.allocations(cell)
        living = await self.namespaces.in_cell(cell)
        return sorted({*held, *(namespace.id for namespace in living)})

    async def forget(self, cell: str) -> None:
        await self.cells.retire(cell, reason="it was decommissioned", by=OURSELVES)
