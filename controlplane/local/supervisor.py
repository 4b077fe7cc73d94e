"""The processes of a fleet, kept running by supervisord and driven through its own API."""

import asyncio
import contextlib
import os
import re
import sys
import xmlrpc.client
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from http.client import HTTPException
from pathlib import Path
from typing import cast

from supervisor.xmlrpc import Faults, SupervisorTransport

from controlplane.local.failures import FleetFailed
from controlplane.local.home import Home, keep_file
from controlplane.local.processes import SUPERVISOR, mark, stop_orphans
from controlplane.local.supervisord_config import (
    Program,
    log_file,
    render,
    socket_file,
    with_programs,
)
from controlplane.local.waiting import until

_DAEMON_SECONDS = 15.0
_STOP_SECONDS = 30.0  # More than supervisord itself waits before it kills.
# Nothing else of the caller's environment reaches the fleet, least of all credentials.
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
_UNEXPECTED_EXIT = re.compile(r" exited: (\S+) \(.*; not expected\)$", re.MULTILINE)
_DAEMON_START = " supervisord started with pid "


class SupervisorFailed(FleetFailed):
    """Supervisord could not be started, or could not do what it was asked."""


class ProgramState(IntEnum):
    """The states of supervisord, by its own numbers."""

    STOPPED = 0
    STARTING = 10
    RUNNING = 20
    BACKOFF = 30
    STOPPING = 40
    EXITED = 100
    FATAL = 200
    UNKNOWN = 1000


@dataclass(frozen=True)
class ProgramStatus:
    name: str
    state: ProgramState
    pid: int | None
    uptime_seconds: int
    restarts: int
    """How often it died and was restarted, since supervisord was started."""
    message: str

    @property
    def up(self) -> bool:
        # A process counts as STARTING for its first second.
        return self.state in (ProgramState.RUNNING, ProgramState.STARTING)

    @property
    def gone(self) -> bool:
        return self.state in (ProgramState.STOPPED, ProgramState.EXITED, ProgramState.FATAL)


def clean_environment(home: Home, program: str) -> dict[str, str]:
    """Return the environment of a process of the home: nothing personal, and the home's mark."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {**kept, **mark(home.path, program)}


@dataclass(frozen=True)
class Supervisor:
    """The supervisord of one home."""

    home: Home

    async def ensure_running(self, programs: Sequence[Program]) -> None:
        """Run supervisord with exactly these programs; start none of them.

        Programs that changed or are no longer wanted are stopped, all others left alone.
        """
        keep_file(self._configuration, render(self.home, programs).encode())
        if await self.pid() is not None:
            await self._apply_configuration()
            return
        daemon = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "supervisor.supervisord", "-c", str(self._configuration)),
            env=clean_environment(self.home, SUPERVISOR),
            cwd="/",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await daemon.communicate()
        if daemon.returncode != 0:
            raise SupervisorFailed(f"supervisord did not start: {output.decode().strip()}")
        await until(self._answers, "supervisord answers", _DAEMON_SECONDS)

    async def configure(self, programs: Sequence[Program]) -> None:
        """Run these programs so from now on, and leave all others alone; start none of them.

        Those that changed are stopped. The record must be locked.
        """
        keep_file(self._configuration, self._with(programs))
        await self._apply_configuration({program.name for program in programs})

    async def is_configured(self, programs: Sequence[Program]) -> bool:
        """Tell whether exactly so these programs are run."""
        if self._configuration.read_bytes() != self._with(programs):
            return False
        changes = await self._changes()
        return not {program.name for program in programs} & {*changes.added, *changes.changed}

    async def pid(self) -> int | None:
        """Return supervisord's process id, or None when it does not answer."""
        try:
            return cast(int, await self._call("getPID"))
        except (OSError, HTTPException):
            return None

    async def start(self, name: str) -> None:
        """Start a program, whatever state it is in, without waiting for it to be healthy."""
        status = (await self.statuses())[name]
        if status.up:
            return
        if not status.gone:
            # It waits for its next attempt, longer each time: begin anew instead.
            await self.stop([name])
        try:
            await self._call("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != Faults.ALREADY_STARTED:
                raise SupervisorFailed(
                    f"{name} could not be started: {fault.faultString}; see "
                    f"{log_file(self.home, name)}"
                ) from fault

    async def stop(self, names: Iterable[str]) -> None:
        """Stop programs, all at once, and return when they are gone."""
        statuses = await self.statuses()
        stopping = [name for name in names if name in statuses and not statuses[name].gone]
        for name in stopping:
            # A fault means that it has just stopped by itself.
            with contextlib.suppress(xmlrpc.client.Fault):
                await self._call("stopProcess", name, False)

        async def all_gone() -> bool:
            statuses = await self.statuses()
            return all(s.gone for name, s in statuses.items() if name in stopping)

        await until(all_gone, f"stopping {', '.join(stopping)}", _STOP_SECONDS)

    async def statuses(self) -> dict[str, ProgramStatus]:
        """Return every program's status by name: empty when supervisord does not answer."""
        try:
            answer = await self._call("getAllProcessInfo")
        except (OSError, HTTPException):
            return {}
        restarts = await asyncio.to_thread(self._count_restarts)
        infos = cast(list[dict[str, str | int]], answer)
        return {str(info["name"]): _status(info, restarts[str(info["name"])]) for info in infos}

    async def shut_down(self) -> None:
        """Stop every program, then supervisord, then whatever of this home is left."""
        pid = await self.pid()
        if pid is not None:
            # PostgreSQL goes last: the others' last words may be for it.
            await self.stop([name for name in await self.statuses() if name != "postgres"])
            await self.stop(["postgres"])
            with contextlib.suppress(OSError, HTTPException):
                await self._call("shutdown")
                # Asking keeps it awake: left alone it looks up once a second.
                await until(self._is_silent, "supervisord has ended", _DAEMON_SECONDS)
        await asyncio.to_thread(stop_orphans, self.home.path, None)

    async def stop_orphans(self) -> list[str]:
        """Stop this home's processes that supervisord does not look after; return their names."""
        return await asyncio.to_thread(stop_orphans, self.home.path, await self.pid())

    async def _answers(self) -> bool:
        return await self.pid() is not None

    async def _is_silent(self) -> bool:
        return await self.pid() is None

    @property
    def _configuration(self) -> Path:
        return self.home.path / "supervisord.conf"

    def _with(self, programs: Sequence[Program]) -> bytes:
        return with_programs(self._configuration.read_text(), self.home, programs).encode()

    async def _apply_configuration(self, names: Collection[str] | None = None) -> None:
        """Let supervisord know of the programs of these names as they are now; None means all."""
        changes = await self._changes()
        gone, come = (
            [name for name in found if names is None or name in names]
            for found in (
                [*changes.changed, *changes.removed],
                [*changes.added, *changes.changed],
            )
        )
        await self.stop(gone)
        for name in gone:
            await self._call("removeProcessGroup", name)
        for name in come:
            await self._call("addProcessGroup", name)

    async def _changes(self) -> "_Changes":
        """Let supervisord read its configuration; return how that differs from what it runs."""
        answer = cast(list[list[list[str]]], await self._call("reloadConfig"))
        return _Changes(*answer[0])

    async def _call(self, method: str, *arguments: str | bool) -> object:
        return await asyncio.to_thread(self._call_now, method, *arguments)

    def _call_now(self, method: str, *arguments: str | bool) -> object:
        transport = SupervisorTransport(  # type: ignore[no-untyped-call]  # It has no types.
            serverurl=f"unix://{socket_file(self.home)}"
        )
        with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as server:
            return getattr(server, f"supervisor.{method}")(*arguments)

    def _count_restarts(self) -> Counter[str]:
        try:
            log = log_file(self.home, SUPERVISOR).read_text()
        except FileNotFoundError:
            return Counter()
        return Counter(_UNEXPECTED_EXIT.findall(log[log.rfind(_DAEMON_START) :]))


@dataclass(frozen=True)
class _Changes:
    added: list[str]
    changed: list[str]
    removed: list[str]


def _status(info: dict[str, str | int], restarts: int) -> ProgramStatus:
    state = ProgramState(int(info["state"]))
    return ProgramStatus(
        name=str(info["name"]),
        state=state,
        pid=int(info["pid"]) or None,
        uptime_seconds=int(info["now"]) - int(info["start"]) if int(info["pid"]) else 0,
        restarts=restarts,
        message=str(info["spawnerr"]),
    )
