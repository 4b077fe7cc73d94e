"""Cells kept in memory: they run what they are told, as far as nothing is planned against it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from cells.release import NoWay, Release, SchemaStep, Software, way
from cells.runtime.ports import Deployed
from cells.types import CellSpec
from controlplane.errors import rejected, stale_generation


class Fault(StrEnum):
    """How a deployment goes wrong."""

    DOES_NOT_START = "does not start"
    """The server that ran is gone, and the new one dies as it starts."""
    FAILS = "fails"
    """Nothing has happened yet when it fails; trying again may help."""
    DIES_HALFWAY = "dies halfway"
    """The server is stopped when whoever stopped it dies."""
    LOSES_REPLY = "loses its reply"
    """All is done, and nobody hears of it."""


@dataclass
class PlannedFault:
    """A fault of deployments to come."""

    fault: Fault
    cell: str = ""
    """Empty for every cell."""
    server_version: str = ""
    """Empty for every version."""
    times: int | None = None
    """How many deployments it still hits; None for all."""

    def hits(self, cell: str, software: Software) -> bool:
        return (
            self.times != 0
            and self.cell in ("", cell)
            and self.server_version in ("", software.server_version)
        )


@dataclass(frozen=True)
class Effect:
    """A deployment that changed a cell: what it ran, and what it runs since."""

    cell: str
    before: Software
    after: Software
    generation: int


@dataclass
class MemoryCell:
    software: Software
    serves: bool = True
    generation: int = 0
    passed: tuple[Software, ...] = ()
    """What it ran before under the same generation."""
    gap: timedelta = timedelta(0)
    schema: dict[str, str] = field(default_factory=dict)
    held: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass
class MemoryRuntime:
    """Meets `CellRuntime`. A cell that was not seen before runs what its spec says."""

    known: Sequence[str] = ()
    """The server versions there are; empty for every version."""
    faults: list[PlannedFault] = field(default_factory=list)
    found: dict[str, list[str]] = field(default_factory=dict)
    """What stands against any release, by cell."""
    takes: timedelta = timedelta(0)
    """How long a cell does not answer while it is changed."""
    cells: dict[str, MemoryCell] = field(default_factory=dict)
    effects: list[Effect] = field(default_factory=list)
    """In the order in which they were begun."""

    async def running(self, cell: str, spec: CellSpec) -> Software:
        return self._cell(cell, spec).software

    async def obstacles(self, cell: str, spec: CellSpec, release: Release) -> Sequence[str]:
        present = self._cell(cell, spec).software.server_version
        try:
            if self.known:
                way(present, release, self.known)
        except NoWay as wrong:
            return [str(wrong)]
        wanted = release.server_version
        missing = [f"there is no server {wanted}"] if wanted and not self._has(wanted) else []
        return [*missing, *self.found.get(cell, [])]

    async def migrate_schema(
        self, cell: str, spec: CellSpec, steps: Sequence[SchemaStep], generation: int
    ) -> None:
        found = self._cell(cell, spec)
        async with found.held:
            _fence(cell, found, generation)
            found.schema |= {step.store: step.version for step in steps}

    async def deploy(
        self, cell: str, spec: CellSpec, software: Software, generation: int
    ) -> Deployed:
        if not self._has(software.server_version):
            raise rejected(f"there is no server {software.server_version}")
        found = self._cell(cell, spec)
        async with found.held:
            _fence(cell, found, generation, software)
            faults = self._faults(cell, software)
            if Fault.FAILS in faults:
                raise ConnectionError(f"{cell} cannot be reached")
            if found.software != software or not found.serves:
                await self._change(cell, found, software, faults)
            if Fault.LOSES_REPLY in faults:
                raise ConnectionError(f"{cell} was changed, and its answer lost")
            return Deployed(software.server_version, found.gap)

    async def _change(
        self, cell: str, found: MemoryCell, software: Software, faults: set[Fault]
    ) -> None:
        found.serves = False
        found.gap = self.takes
        if Fault.DIES_HALFWAY in faults:
            raise ConnectionError(f"{cell} was stopped by a process that died")
        await asyncio.sleep(self.takes.total_seconds())
        if found.software != software:
            self.effects.append(Effect(cell, found.software, software, found.generation))
            found.passed = (*found.passed, found.software)
            found.software = software
        if Fault.DOES_NOT_START in faults:
            raise rejected(f"{cell} does not start with server {software.server_version}")
        found.serves = True

    def _cell(self, cell: str, spec: CellSpec) -> MemoryCell:
        return self.cells.setdefault(cell, MemoryCell(Software(spec.server_version)))

    def _has(self, version: str) -> bool:
        return not self.known or version in self.known

    def _faults(self, cell: str, software: Software) -> set[Fault]:
        hitting = [planned for planned in self.faults if planned.hits(cell, software)]
        for planned in hitting:
            planned.times = None if planned.times is None else planned.times - 1
        return {planned.fault for planned in hitting}


def _fence(cell: str, found: MemoryCell, generation: int, software: Software | None = None) -> None:
    """Refuse what comes too late; note the generation of what does not."""
    if generation < found.generation:
        raise stale_generation(
            f"{cell} was changed with generation {found.generation}, {generation} comes too late"
        )
    if generation > found.generation:
        found.generation, found.passed, found.gap = generation, (), timedelta(0)
    elif software in found.passed:
        raise stale_generation(f"{cell} has left {software} behind under {generation}")
