"""An examiner kept in memory: cells are as well as they are told to be."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cells.runtime.memory import MemoryRuntime
from cells.types import CellSpec


@dataclass(frozen=True)
class Sickness:
    """What is wrong, where, with which server, and when."""

    problem: str
    cell: str = ""
    """Empty for every cell."""
    server_version: str = ""
    """Empty for whatever it runs."""
    after: timedelta = timedelta(0)
    """Since the cell was first examined with that version."""
    lasts: timedelta | None = None
    """From then on; None for ever."""
    under_load: bool = False
    """Only where there is load."""
    only_canaries: bool = False
    """All parts call themselves well; canaries do not come back."""


@dataclass
class MemoryExaminer:
    """Knows of each cell what its runtime made of it, and whether there is load."""

    runtime: MemoryRuntime
    sicknesses: list[Sickness] = field(default_factory=list)
    loaded: set[str] = field(default_factory=set)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    looks: Counter[str] = field(default_factory=Counter)
    """How often each cell was examined."""
    _first_seen: dict[tuple[str, str], datetime] = field(default_factory=dict)

    async def examine(self, cell: str, spec: CellSpec) -> Sequence[str]:
        found = await self._sicknesses(cell, spec)
        return [*self._silence(cell), *(sickness.problem for sickness in found)]

    async def health(self, cell: str, spec: CellSpec) -> Sequence[str]:
        found = await self._sicknesses(cell, spec)
        problems = (sickness.problem for sickness in found if not sickness.only_canaries)
        return [*self._silence(cell), *problems]

    async def canaries(self, cell: str, spec: CellSpec) -> Sequence[str]:
        found = await self._sicknesses(cell, spec)
        problems = (sickness.problem for sickness in found if sickness.only_canaries)
        return [*self._silence(cell), *problems]

    def _silence(self, cell: str) -> list[str]:
        return [] if self.runtime.cells[cell].serves else ["Temporal does not answer"]

    async def _sicknesses(self, cell: str, spec: CellSpec) -> list[Sickness]:
        version = (await self.runtime.running(cell, spec)).server_version
        now = self.now()
        seen_for = now - self._first_seen.setdefault((cell, version), now)
        self.looks[cell] += 1
        return [
            sickness
            for sickness in self.sicknesses
            if sickness.cell in ("", cell)
            and sickness.server_version in ("", version)
            and sickness.after <= seen_for
            and (sickness.lasts is None or seen_for < sickness.after + sickness.lasts)
            and (cell in self.loaded or not sickness.under_load)
        ]
