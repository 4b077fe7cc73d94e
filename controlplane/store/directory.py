"""Where the fleet's cells are, for the many who ask all the time."""

import time
from collections.abc import Mapping, Sequence

from cells.types import CellAddresses, CellView
from controlplane.errors import not_found
from controlplane.store.batching import Batched
from controlplane.store.pool import Pool
from controlplane.store.queries import ReadModel

_FRESH_SECONDS = 3.0


class Directory:
    """Implements `provisioning.ports.CellDirectory`. What it says is at most seconds old."""

    def __init__(self, pool: Pool) -> None:
        self._reads = ReadModel(pool)
        # One read at a time, for however many ask when what is known grows stale.
        self._together = Batched(self._read_once)
        self._cells: dict[str, CellView] = {}
        self._read_at = float("-inf")

    async def locate(self, cell: str) -> CellAddresses:
        """Return where the cell's parts answer; an unknown cell is `not_found`."""
        found = (await self._fresh()).get(cell)
        if found is None:
            # It may have joined since we last looked.
            found = (await self._read()).get(cell)
        if found is None:
            raise not_found(f"cell {cell} is not part of the fleet")
        return found.spec.addresses

    async def cells(self) -> list[CellView]:
        """Return every cell, by id."""
        return list((await self._fresh()).values())

    async def newest(self) -> list[CellView]:
        """Return every cell as it is on record now: for decisions that one which has just joined,
        or has just gone, would change."""
        return list((await self._read()).values())

    async def _fresh(self) -> dict[str, CellView]:
        if time.monotonic() - self._read_at < _FRESH_SECONDS:
            return self._cells
        return await self._read()

    async def _read(self) -> dict[str, CellView]:
        await self._together.get("cells")
        return self._cells

    async def _read_once(self, _: Sequence[str]) -> Mapping[str, None]:
        asked_at = time.monotonic()
        self._cells = {cell.id: cell for cell in await self._reads.cells()}
        self._read_at = asked_at
        return {}
