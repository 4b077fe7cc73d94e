"""One cell brought to other software, in steps that can be taken again from any of them."""

import contextlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from cells.release import Software
from cells.runtime.ports import Deployed
from controlplane.errors import rejected
from controlplane.local.backups import back_up
from controlplane.local.cells import CellLayout, LocalCell
from controlplane.local.home import CellRecord, Change, Home
from controlplane.local.preparation import open_secrets
from controlplane.local.starting import HANGING_SECONDS, DoesNotStart, start_until
from controlplane.local.supervisor import Supervisor
from controlplane.local.waiting import answered_version, until


@dataclass(frozen=True)
class Deployment:
    """A cell's change to `software`. Whoever makes it holds the cell's lock.

    The server is stopped, its database copied, the new software recorded, the server started; then
    the ingress is started anew if that changes. What is about to happen is recorded first, so that
    a second call knows what a first one that died had begun, and since when nobody answers.
    """

    home: Home
    cell: LocalCell
    software: Software
    generation: int

    async def run(self) -> Deployed:
        """Return once everything answers; raise `rejected` when something does not come up."""
        before = self._record
        serves = await self._serves()
        if serves and before.change is None and before.software == self.software:
            # A repeated call hears what the first one did; for a new one nothing was to be done.
            return await self._settle(before.under(self.generation).gap_seconds)
        change = self._change(before, stopping=not serves)
        await self._begin(change)
        if serves:
            await self._record_software()
            gap = await self._gap_until_started(change)
        else:
            await self._stop_server()
            await self._record_software()
            await self._start(self.cell.temporal)
            gap = _seconds_since(change.stopped_at)
        if change.ingress:
            await self._replace_ingress()
        return await self._settle(gap)

    @property
    def _record(self) -> CellRecord:
        return self.home.load().cells[self.cell.id]

    @property
    def _wanted(self) -> CellLayout:
        """The cell as it is to be."""
        record = self.home.load()
        found = replace(record.cells[self.cell.id], software=self.software)
        return CellLayout(
            self.cell, self.home, replace(record, cells={**record.cells, self.cell.id: found})
        )

    @property
    def _supervisor(self) -> Supervisor:
        return Supervisor(self.home)

    async def _serves(self) -> bool:
        """Tell whether the server that is wanted runs already, configured just so, and answers."""
        if not (await self._supervisor.statuses())[self.cell.temporal].up:
            return False
        async with self.home.record_locked():
            if not await self._supervisor.is_configured([self._wanted.server]):
                return False
        with contextlib.suppress(TimeoutError):
            await until(lambda: self._answers(self.cell.temporal), "answers", HANGING_SECONDS)
            return True
        return False

    async def _answers(self, program: str) -> bool:
        layout = self._wanted
        if program != self.cell.temporal:
            return await layout.answers(program)
        version = await answered_version(layout.addresses.frontend)
        return version == self.software.server_version and await layout.answers(program)

    def _change(self, before: CellRecord, *, stopping: bool) -> Change:
        """Return what is about to happen, with what an earlier change left unfinished."""
        earlier = before.change or Change()
        brought = self.home.load().versions["controlplane"]
        versions = {
            software.ingress_version or brought for software in (before.software, self.software)
        }
        now = datetime.now(UTC).isoformat() if stopping else ""
        return Change(earlier.stopped_at or now, earlier.ingress or len(versions) > 1)

    async def _begin(self, change: Change) -> None:
        await self.home.record_cell(
            self.cell.id, replace(self._record.under(self.generation), change=change)
        )

    async def _stop_server(self) -> None:
        await self._supervisor.stop([self.cell.temporal])
        before = self._record.software
        if before != self.software:
            # Otherwise the new server may have run on it, and the copy is there already.
            layout = self._wanted
            copy = layout.folder / "backups" / f"{self.generation}-{before.server_version}.db"
            await back_up(layout.temporal_database, copy)

    async def _record_software(self) -> None:
        async with self.home.record_locked():
            before = self._record
            if before.software != self.software:
                passed = (*before.passed, before.software)
                self.home.save_cell(
                    self.cell.id, replace(before, software=self.software, passed=passed)
                )
            await self._supervisor.configure([self._wanted.server])

    async def _start(self, program: str) -> None:
        try:
            await start_until(lambda: self._answers(program), program, self._supervisor)
        except DoesNotStart as failure:
            # Not left to be started for ever: it would come up while it is being replaced.
            await self._supervisor.stop([program])
            raise rejected(str(failure)) from failure

    async def _replace_ingress(self) -> None:
        programs = await self._wanted.write_ingress(open_secrets(self.home))
        async with self.home.record_locked():
            await self._supervisor.configure(programs)
        for program in programs:
            await self._start(program.name)

    async def _gap_until_started(self, change: Change) -> float:
        """Return the gap of a change whose maker died after it had started the server."""
        if not change.stopped_at:
            return 0.0
        status = (await self._supervisor.statuses())[self.cell.temporal]
        return max(_seconds_since(change.stopped_at) - status.uptime_seconds, 0.0)

    async def _settle(self, gap: float) -> Deployed:
        settled = replace(self._record.under(self.generation), change=None, gap_seconds=gap)
        await self.home.record_cell(self.cell.id, settled)
        return Deployed(self.software.server_version, timedelta(seconds=gap))


def _seconds_since(moment: str) -> float:
    return max((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds(), 0.0)
