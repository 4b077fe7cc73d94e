"""Cells that replicate between them: real servers and real bridges, and nothing else of a fleet.

    async with running_pair(short_path / "home") as pair:
        a, b = pair.cells
        await pair.register("orders.acme", a, b)           # Active in a, with a replica in b.
        there = await b.client("orders.acme", ask_here=True)
        await pair.cut(a)                                  # What happens in a does not reach b ...
        await pair.mend(a)                                 # ... until now.
        await pair.kill(a.cell.temporal, b.cell.bridge)    # Their supervisor restarts them.

They are the cells of an embedded fleet in a home of its own, run by its supervisor, so whatever
works on a fleet's cells works on them (`LocalRuntime(pair.home)` upgrades one). Use a short path,
such as the fixture `short_path` of tests/local: sockets lie in it.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations, cycle
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from temporalio.api.replication.v1 import ClusterReplicationConfig
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    RegisterNamespaceRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError

from cells.replication.operator_service import OperatorServiceLinks
from cells.types import CellAddresses, CellView
from controlplane.errors import not_found
from controlplane.local.cells import CELLS, CellLayout, LocalCell
from controlplane.local.home import Home
from controlplane.local.preparation import choose, fetch_servers
from controlplane.local.starting import start_until
from controlplane.local.supervisor import Supervisor
from controlplane.local.temporal_server import bootstrap_cell, server_environment
from tests.engine import cell_view
from tests.eventually import eventually

OWN_STATE = {"xdc-redirection": "false"}
"""The header with which a server answers for itself, and never asks the active one."""


@dataclass(frozen=True)
class PairedCell:
    """One of the cells: its server and its bridge."""

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
    def view(self) -> CellView:
        """The cell as the control plane would publish it."""
        return cell_view(self.id, self.layout.spec)

    @property
    def frontend(self) -> str:
        return self.layout.addresses.frontend

    async def client(self, namespace: str = "temporal-system", *, ask_here: bool = False) -> Client:
        """Return a client of the cell's own server, which connects when it is first used.

        With `ask_here` the server never passes a question on.
        """
        return await Client.connect(
            self.frontend,
            namespace=namespace,
            lazy=True,
            rpc_metadata=OWN_STATE if ask_here else {},
        )


@dataclass(frozen=True)
class CellsByView:
    """Where the cells are: meets `provisioning.ports.CellDirectory`, and lists their views."""

    known: Sequence[PairedCell]

    async def locate(self, cell: str) -> CellAddresses:
        for view in await self.cells():
            if view.id == cell:
                return view.spec.addresses
        raise not_found(f"there is no cell {cell}")

    async def cells(self) -> list[CellView]:
        return [cell.view for cell in self.known]


@dataclass(frozen=True)
class Pair:
    """Two cells, or more, each of which pulls from each other one."""

    home: Home
    cells: Sequence[PairedCell]

    @property
    def directory(self) -> CellsByView:
        return CellsByView(self.cells)

    @property
    def supervisor(self) -> Supervisor:
        return Supervisor(self.home)

    async def join(self) -> None:
        """Make each pull from each other one, and return once they hear each other.

        What happens before that is not replicated.
        """
        links = OperatorServiceLinks(self.directory)
        pairs = combinations([cell.id for cell in self.cells], 2)
        await asyncio.gather(*(links.join(*pair) for pair in pairs))

    async def register(
        self, namespace: str, active: PairedCell, *replicas: PairedCell, uid: str = ""
    ) -> None:
        """Register a global namespace in `active` and `replicas`; return once all know of it."""
        there = await active.client()

        async def registered() -> bool:
            # Until a server has read whom it is joined with, it refuses their names.
            try:
                await there.workflow_service.register_namespace(
                    RegisterNamespaceRequest(
                        namespace=namespace,
                        is_global_namespace=True,
                        data={"controlplane.uid": uid} if uid else {},
                        workflow_execution_retention_period=Duration(seconds=86_400),
                        active_cluster_name="active",
                        clusters=[
                            ClusterReplicationConfig(cluster_name=name)
                            for name in ("active", *(replica.id for replica in replicas))
                        ],
                    )
                )
            except RPCError as error:
                if "already" in error.message:
                    return True
                if "Invalid cluster name" in error.message:
                    return False
                raise
            return True

        await eventually(registered)
        for replica in replicas:
            await eventually(partial(self.knows, replica, namespace))

    async def knows(self, cell: PairedCell, namespace: str) -> bool:
        """Tell whether a cell's server serves the namespace, not only keeps its record."""
        client = await cell.client(namespace, ask_here=True)
        try:
            await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=namespace)
            )
            await client.count_workflows()
        except (RPCError, RuntimeError):
            return False
        return True

    async def kill(self, *programs: str) -> None:
        """SIGKILL programs (`cell.temporal`, `cell.bridge`); their supervisor restarts them."""
        statuses = await self.supervisor.statuses()
        for program in programs:
            pid = statuses[program].pid
            assert pid is not None, f"{program} does not run"
            os.kill(pid, signal.SIGKILL)

    async def stop(self, *programs: str) -> None:
        """Stop programs until `start`."""
        await self.supervisor.stop(programs)

    async def start(self, *programs: str) -> None:
        """Start programs, and return once they answer."""
        layouts = [cell.layout for cell in self.cells]
        for program in programs:
            layout = next(found for found in layouts if program in found.cell.programs)
            await start_until(
                partial(layout.answers, program),
                program,
                self.supervisor,
            )

    async def restart(self, *programs: str) -> None:
        """Stop programs, all of them before the first is started again."""
        await self.stop(*programs)
        await self.start(*programs)

    async def cut(self, *cells: PairedCell) -> None:
        """Let nobody pull from these cells, until `mend`. What the rest pulls goes on."""
        await self.stop(*(cell.cell.bridge for cell in cells))

    async def mend(self, *cells: PairedCell) -> None:
        await self.start(*(cell.cell.bridge for cell in cells))


@contextlib.asynccontextmanager
async def running_pair(
    path: Path, *versions: str, count: int = 2, joined: bool = True
) -> AsyncIterator[Pair]:
    """Run `count` cells in a new home and join them; leave nothing of it behind.

    `versions` are those of their servers, in turn; without any, all run the one that we bring.
    """
    home = Home(path)
    home.prepare()
    supervisor = Supervisor(home)
    cells = CELLS[1 : count + 1]  # Not the one that never holds a tenant.
    try:
        layouts = await _layouts(home, cells, versions)
        programs = [p for layout in layouts for p in (layout.server, layout.write_bridge())]
        await supervisor.ensure_running(programs)
        await asyncio.gather(*(_start(layout, supervisor) for layout in layouts))
        pair = Pair(home, [PairedCell(home, cell) for cell in cells])
        if joined:
            await pair.join()
        yield pair
    finally:
        await supervisor.shut_down()
        home.delete()


async def _layouts(
    home: Home, cells: Sequence[LocalCell], versions: Sequence[str]
) -> list[CellLayout]:
    for version in versions or (None,):
        await fetch_servers(home, version, lambda _: None)
    record, _ = await choose(home, [])
    home.folder("logs")
    for cell, version in zip(cells, cycle(versions), strict=False):
        known = record.cells[cell.id]
        changed = replace(known, software=replace(known.software, server_version=version))
        record = await home.record_cell(cell.id, changed)
    return [CellLayout(cell, home, record) for cell in cells]


async def _start(layout: CellLayout, supervisor: Supervisor) -> None:
    record, cell = layout.record, layout.cell
    await bootstrap_cell(
        layout.temporal_database,
        layout.temporal_ports,
        record.failover_versions[cell.id],
        {**os.environ, **server_environment(layout.home.path)},
        layout.server_program,
    )
    for program in (cell.temporal, cell.bridge):
        await start_until(partial(layout.answers, program), program, supervisor)
