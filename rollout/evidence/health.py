"""The gates that look at a cell for a moment: health, and the canary."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from cells.types import CellSpec
from rollout.evidence.ports import Cells
from rollout.gates import Gate, Reading, Verdict
from rollout.ports import WatchedCells

Examine = Callable[[str, CellSpec], Awaitable[Sequence[str]]]
"""Says what is wrong with a cell: of `cells.runtime.ports.PartsExaminer`, one of the parts."""

SPEAKS_FOR = timedelta(minutes=45)
"""How long before it a good look at a cell is worth something.

The window begins at a good look, too, or nothing of it counts (`rollout.bake`); between two good
looks a cell is believed to have been well. Looks come every half hour at the most; the rest is for
those that come late."""

_LOOKS = 3
"""A cell that fails has failed as often in a row: a lost packet halts no fleet."""
_CELLS_AT_ONCE = 16
_SIBLINGS_ASKED = 3
_ZERO = timedelta(0)


@dataclass(frozen=True)
class ExaminedGate:
    """Examines cells one by one, in one respect: `rollout.evidence.ports.GateAsker`.

    A cell fails while its siblings are well. If every sibling that is asked fails, too, it is not
    the release: verdict `confounded`.
    """

    cells: Cells
    examine: Examine
    pause_seconds: float = 10.0
    """Between two looks at a cell that fails."""

    async def ask(self, gates: Sequence[Gate], watched: WatchedCells) -> tuple[Reading, ...]:
        limit = asyncio.Semaphore(_CELLS_AT_ONCE)
        specs = await self._specs()

        async def look(cell: str) -> Reading:
            async with limit:
                return await self._look(cell, specs)

        looks = await asyncio.gather(*map(look, watched.cells))
        bad = [reading for reading in looks if reading.verdict is not Verdict.PASS]
        if any(reading.verdict is Verdict.FAIL for reading in bad):
            siblings = await asyncio.gather(*map(look, watched.siblings[:_SIBLINGS_ASKED]))
            bad = _excused(bad, siblings)
        readings = list(bad)
        if good := len(looks) - len(bad):
            covers = min(watched.until - watched.since, SPEAKS_FOR)
            message = f"{good} of {len(looks)} cells are well"
            readings.append(Reading("", "", Verdict.PASS, covers, message))
        return tuple(replace(reading, gate=gate.name) for gate in gates for reading in readings)

    async def _look(self, cell: str, specs: Mapping[str, CellSpec]) -> Reading:
        problems: Sequence[str] = ()
        for attempt in range(_LOOKS):
            if attempt:
                await asyncio.sleep(self.pause_seconds)
                # The cell may just have changed, and what is published of it come a little later.
                specs = await self._specs()
            if cell not in specs:
                message = "the fleet has no such cell: see whether it was removed"
                return Reading("", cell, Verdict.NO_DATA, _ZERO, message)
            try:
                problems = await self.examine(cell, specs[cell])
            except Exception as error:  # noqa: BLE001 - whatever it is, it says nothing of the cell.
                message = f"cannot be examined: {str(error) or type(error).__name__}"
                return Reading("", cell, Verdict.NO_DATA, _ZERO, message)
            if not problems:
                return Reading("", cell, Verdict.PASS, _ZERO)
        return Reading("", cell, Verdict.FAIL, _ZERO, "; ".join(problems))

    async def _specs(self) -> dict[str, CellSpec]:
        return {view.id: view.spec for view in await self.cells.cells()}


def _excused(bad: Sequence[Reading], siblings: Sequence[Reading]) -> list[Reading]:
    if not siblings or any(reading.verdict is not Verdict.FAIL for reading in siblings):
        return list(bad)
    names = ", ".join(reading.cell for reading in siblings)
    return [
        replace(r, verdict=Verdict.CONFOUNDED, message=f"{r.message}; {names}, unchanged, fail too")
        if r.verdict is Verdict.FAIL
        else r
        for r in bad
    ]
