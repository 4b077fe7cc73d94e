"""Starting a prepared fleet: each part as soon as what it needs is there."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from controlplane.local import name_server
from controlplane.local.account import ensure_account
from controlplane.local.cells import CellLayout
from controlplane.local.control_plane import API, DNS, ENGINE, POSTGRES, WORKER
from controlplane.local.databases import controlplane_conninfo, prepare_databases
from controlplane.local.failures import FleetFailed
from controlplane.local.fleet_secrets import DATABASE_SUPERUSER, read_text
from controlplane.local.postgres import initialise, superuser
from controlplane.local.preparation import PreparedFleet
from controlplane.local.prometheus import PROMETHEUS
from controlplane.local.registration import CellRegistry
from controlplane.local.starting import HANGING_SECONDS, START_SECONDS, start_until
from controlplane.local.supervisor import Supervisor, clean_environment
from controlplane.local.supervisord_config import log_file
from controlplane.local.temporal_server import bootstrap_cell, server_environment
from controlplane.local.waiting import WORKFLOW_SERVICE, answers_http, is_serving, until
from controlplane.store.pool import open_pool_on
from controlplane.store.queries import ReadModel
from controlplane.store.schema import migrate

T = TypeVar("T")


class Progress(Protocol):
    """Whoever watches a fleet start."""

    def started(self, part: str) -> None: ...

    def finished(self, part: str, seconds: float) -> None: ...

    def failed(self, part: str) -> None: ...

    def note(self, message: str) -> None:
        """Something worth knowing that needs no action."""
        ...


class PartFailed(FleetFailed):
    """A part of the fleet did not start; the message says which, why, and where its log is."""


@dataclass(frozen=True)
class Startup:
    """Starts what is not up, and checks all the same what is."""

    fleet: PreparedFleet
    supervisor: Supervisor
    progress: Progress

    async def run(self) -> str:
        """Return once everything answers, with the id of the first account."""
        try:
            async with asyncio.TaskGroup() as group:
                postgres = group.create_task(self._part("PostgreSQL", self._postgres, POSTGRES))
                engine = group.create_task(self._part("engine", self._engine, ENGINE))
                dns = group.create_task(self._part("DNS", self._dns, DNS))
                cells = [
                    group.create_task(self._cell_part(cell, postgres)) for cell in self.fleet.cells
                ]
                if self.fleet.record.prometheus_program:
                    group.create_task(self._part("Prometheus", self._prometheus, PROMETHEUS))
                group.create_task(self._part("API", self._api, API, needs=[postgres, engine]))
                # After the cells: a worker that finds one half up reports it as failing.
                group.create_task(
                    self._part(
                        "worker", self._worker, WORKER, needs=[postgres, engine, dns, *cells]
                    )
                )
        except ExceptionGroup as failures:
            raise _first(failures) from failures
        return postgres.result()

    async def _postgres(self) -> str:
        fleet = self.fleet
        password = await read_text(fleet.secrets, DATABASE_SUPERUSER)
        await initialise(fleet.postgres, password)
        await self.supervisor.start(POSTGRES)
        async with superuser(fleet.postgres, password, within=START_SECONDS) as connection:
            await prepare_databases(fleet.record, connection, fleet.secrets)
        conninfo = await controlplane_conninfo(fleet.record, fleet.secrets)
        await migrate(conninfo)
        return await ensure_account(conninfo, fleet.secrets)

    async def _engine(self) -> None:
        address = self.fleet.record.address("engine")
        await self._start(ENGINE, lambda: is_serving(address, WORKFLOW_SERVICE))

    async def _dns(self) -> None:
        record = self.fleet.record
        await self._start(DNS, lambda: name_server.answers(record))
        cells = [cell.cell.id for cell in self.fleet.cells]
        await name_server.publish_ingresses(record, cells, self.fleet.secrets)

    async def _cell_part(self, cell: CellLayout, postgres: asyncio.Task[str]) -> None:
        async def start() -> None:
            # Whoever changes the cell just now has stopped its server for it.
            async with self.fleet.home.cell_locked(cell.cell.id):
                await self._cell(cell, postgres)

        await self._part(f"cell {cell.cell.id}", start, *cell.cell.programs)

    async def _cell(self, cell: CellLayout, postgres: asyncio.Task[str]) -> None:
        # It waits for none of the others, and none for it.
        await self.supervisor.start(cell.cell.bridge)
        if not cell.temporal_database.exists():
            await bootstrap_cell(
                cell.temporal_database,
                cell.temporal_ports,
                self.fleet.record.failover_versions[cell.cell.id],
                {
                    **clean_environment(self.fleet.home, cell.cell.temporal),
                    **server_environment(self.fleet.home.path),
                },
                cell.server_program,
            )
        await self._start(cell.cell.temporal, lambda: cell.answers(cell.cell.temporal))
        await postgres
        await self._start(cell.cell.gatekeeper, lambda: cell.answers(cell.cell.gatekeeper))
        # It waits for what the gatekeeper has to say before it listens.
        await self._start(cell.cell.envoy, lambda: cell.answers(cell.cell.envoy))
        await self._start(cell.cell.bridge, lambda: cell.answers(cell.cell.bridge))

    async def _worker(self) -> None:
        conninfo = await controlplane_conninfo(self.fleet.record, self.fleet.secrets)
        async with await open_pool_on(conninfo) as pool:
            engine = self.fleet.record.address("engine")
            await self._register(await CellRegistry.connect(engine, ReadModel(pool)))

    async def _register(self, registry: CellRegistry) -> None:
        # As they are recorded now: one may have been changed since this start began.
        record = self.fleet.home.load()
        cells = [replace(cell, record=record) for cell in self.fleet.cells]
        # Only a worker that works can answer this.
        registering = asyncio.ensure_future(registry.register(cells))

        async def registered() -> bool:
            return registering.done()

        try:
            await self._start(WORKER, registered)
            await registering
        finally:
            registering.cancel()
            await asyncio.gather(registering, return_exceptions=True)
        await registry.wait_until_ready(cells)

    async def _api(self) -> None:
        address = self.fleet.record.address("api")
        await self._start(API, lambda: is_serving(address))

    async def _prometheus(self) -> None:
        ready = f"http://{self.fleet.record.address(PROMETHEUS)}/-/ready"
        await self._start(PROMETHEUS, lambda: answers_http(ready))

    async def _start(self, program: str, probe: Callable[[], Awaitable[bool]]) -> None:
        """Start a program and wait until it answers; one that runs and does not, start anew."""
        if (await self.supervisor.statuses())[program].up:
            with contextlib.suppress(TimeoutError):
                await until(probe, "answers", HANGING_SECONDS)
                return
            self.progress.note(f"{program} runs but does not answer: starting it anew")
            await self.supervisor.stop([program])
        await start_until(probe, program, self.supervisor)

    async def _part(
        self,
        name: str,
        start: Callable[[], Awaitable[T]],
        *programs: str,
        needs: Sequence[asyncio.Task[str] | asyncio.Task[None]] = (),
    ) -> T:
        """Start one part once others are there; say how it went, and how long it took by itself."""
        for needed in needs:
            await needed
        began = time.monotonic()
        self.progress.started(name)
        try:
            result = await start()
        except Exception as error:
            self.progress.failed(name)
            logs = " ".join(str(log_file(self.fleet.home, program)) for program in programs)
            raise PartFailed(f"{name} did not start: {error}; its log: {logs}") from error
        self.progress.finished(name, time.monotonic() - began)
        return result


def _first(failures: ExceptionGroup[Exception]) -> Exception:
    """Return the failure that came first: the others only waited for it."""
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, ExceptionGroup) else first
