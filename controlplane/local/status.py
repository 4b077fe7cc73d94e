"""What a home's fleet looks like right now, asked of its processes and not of its files."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from cells.runtime.observer import AddressObserver
from cells.types import Provider
from controlplane.local.cells import CELLS, CellLayout
from controlplane.local.control_plane import PROGRAMS
from controlplane.local.home import FleetRecord, Home
from controlplane.local.preparation import open_secrets
from controlplane.local.prometheus import PROMETHEUS
from controlplane.local.supervisor import ProgramState, ProgramStatus, Supervisor


@dataclass(frozen=True)
class CellStatus:
    id: str
    provider: Provider
    region: str
    ring: int
    ingress: str
    version: str | None
    """Of its Temporal server; None when it does not answer."""
    problems: Sequence[str]


@dataclass(frozen=True)
class FleetStatus:
    record: FleetRecord
    programs: Sequence[ProgramStatus]
    cells: Sequence[CellStatus]

    @property
    def up(self) -> bool:
        """Whether every program runs and every part of every cell answers."""
        return all(program.up for program in self.programs) and not any(
            cell.problems for cell in self.cells
        )


async def fleet_status(home: Home) -> FleetStatus:
    """Look at every program and every cell; raise HomeRefused when there is no fleet."""
    record = home.load()
    observer = AddressObserver(open_secrets(home))
    cells = asyncio.gather(
        *(_cell_status(observer, CellLayout(cell, home, record)) for cell in CELLS)
    )
    statuses = await Supervisor(home).statuses()
    known = [*PROGRAMS, *(program for cell in CELLS for program in cell.programs)]
    if record.prometheus_program:
        known.append(PROMETHEUS)
    programs = [statuses.get(name) or _not_running(name) for name in known]
    return FleetStatus(record, programs, await cells)


async def _cell_status(observer: AddressObserver, layout: CellLayout) -> CellStatus:
    observed = await observer.observe(layout.cell.id, layout.spec)
    return CellStatus(
        id=layout.cell.id,
        provider=layout.cell.provider,
        region=layout.cell.region,
        ring=layout.cell.ring,
        ingress=layout.addresses.ingress,
        version=observed.server_version,
        problems=observed.problems,
    )


def _not_running(name: str) -> ProgramStatus:
    return ProgramStatus(name, ProgramState.STOPPED, None, 0, 0, "its supervisor does not run")
