"""One real cell of an embedded fleet: its Temporal server, and nothing else of the fleet."""

import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from controlplane.local.cells import CELLS, CellLayout, LocalCell
from controlplane.local.home import Home
from controlplane.local.preparation import choose, fetch_servers
from controlplane.local.runtime import LocalRuntime
from controlplane.local.starting import start_until
from controlplane.local.supervisor import Supervisor
from controlplane.local.temporal_server import bootstrap_cell, server_environment


@dataclass(frozen=True)
class RunningCell:
    """Cells in a home of their own, each with nothing but its server."""

    home: Home
    cell: LocalCell

    @property
    def id(self) -> str:
        return self.cell.id

    @property
    def layout(self) -> CellLayout:
        """The cell as it is recorded now."""
        return CellLayout(self.cell, self.home, self.home.load())

    @property
    def runtime(self) -> LocalRuntime:
        return LocalRuntime(self.home)

    @property
    def frontend(self) -> str:
        return self.layout.addresses.frontend

    async def pid(self) -> int | None:
        """The process id of the cell's server."""
        return (await Supervisor(self.home).statuses())[self.cell.temporal].pid


@contextlib.asynccontextmanager
async def running_cells(
    path: Path, server_version: str, count: int = 1
) -> AsyncIterator[list[RunningCell]]:
    """Run the servers of `count` cells in a new home; leave nothing of it behind."""
    home = Home(path)
    home.prepare()
    supervisor = Supervisor(home)
    try:
        await fetch_servers(home, server_version, lambda _: None)
        record, _ = await choose(home, [], server_version)
        home.folder("logs")
        layouts = [CellLayout(cell, home, record) for cell in CELLS[:count]]
        await supervisor.ensure_running([layout.server for layout in layouts])
        for layout in layouts:
            await bootstrap_cell(
                layout.temporal_database,
                layout.temporal_ports,
                record.failover_versions[layout.cell.id],
                {**os.environ, **server_environment(home.path)},
                layout.server_program,
            )
            await _start(layout, supervisor)
        yield [RunningCell(home, layout.cell) for layout in layouts]
    finally:
        await supervisor.shut_down()
        home.delete()


async def _start(layout: CellLayout, supervisor: Supervisor) -> None:
    server = layout.cell.temporal
    await start_until(lambda: layout.answers(server), server, supervisor)
