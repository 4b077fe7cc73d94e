"""One container's life: started, probed, stopped, and started again when it died."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.kubernetes.api import Json
from tests.kubernetes.objects import Container, Probe
from tests.kubernetes.probes import Inside, Watched, problem
from tests.kubernetes.start import Command, NoSuchImage, Places

_FIRST_BACKOFF_SECONDS = 0.5
_LONGEST_BACKOFF_SECONDS = 10.0
_HEALTHY_SECONDS = 60.0
"""Who has run for so long is started again at once when it dies."""
_MESSAGE_BYTES = 2048
_NOT_STARTED = 128
_BY_SIGNAL = 128
"""As shells do, what the number of the signal is added to that a process died of."""


class NotStarted(Exception):
    """The container cannot be started now. `reason` is what `waiting` says."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass
class Status:
    """What is said of a container in its pod's status."""

    state: Json = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    last_state: Json = field(default_factory=dict)
    ready: bool = False
    started: bool = False
    restarts: int = 0

    def wait(self, reason: str, message: str) -> None:
        self.state = {"waiting": {"reason": reason, "message": message}}
        self.ready = self.started = False

    @property
    def exit_code(self) -> int | None:
        """How it ended, if it has."""
        terminated = self.state.get("terminated")
        return int(terminated["exitCode"]) if terminated else None

    def document(self, container: Container, id: str) -> Json:
        return {
            "name": container.name,
            "image": container.image,
            "imageID": container.image,
            "containerID": f"process://{id}" if id else "",
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restarts,
            "state": self.state,
            "lastState": self.last_state,
        }


@dataclass
class ContainerRun:
    """One container of a pod."""

    container: Container
    places: Places
    named_ports: Mapping[str, int]
    log: Path
    prepare: Callable[[Container, Places], Awaitable[Command]]
    """Return what to run now; raise NotStarted or NoSuchImage."""
    changed: Callable[[], Awaitable[None]]
    """Called whenever `status` says something new."""
    tell: Callable[[str, str], Awaitable[None]]
    """Called with the reason and message of a warning, for people."""
    folder: Path
    status: Status = field(default_factory=Status)
    _process: asyncio.subprocess.Process | None = None
    _stopping: bool = False

    async def run(self, restart_policy: str) -> None:
        """Run it until it may rest: for ever when the policy is Always, and until `stop`."""
        backoff = 0.0
        while not self._stopping:
            began = asyncio.get_running_loop().time()
            code = await self._run_once()
            if code is None or self._stopping:
                return
            await self.changed()
            if restart_policy == "Never" or (restart_policy == "OnFailure" and code == 0):
                return
            if asyncio.get_running_loop().time() - began > _HEALTHY_SECONDS:
                backoff = 0.0
            await self._back_off(backoff)
            backoff = min(max(_FIRST_BACKOFF_SECONDS, 2 * backoff), _LONGEST_BACKOFF_SECONDS)
            self.status.restarts += 1

    async def stop(self, grace_seconds: float) -> None:
        """Return once it has ended: politely, then by force."""
        self._stopping = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        hook = self.container.lifecycle.pre_stop
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                if hook is not None:
                    await problem(hook, self._inside({}), grace_seconds)
                if process.returncode is None:
                    process.terminate()
                await process.wait()
        _kill(process)
        await process.wait()

    def kill(self) -> None:
        """End it at once."""
        self._stopping = True
        if self._process is not None:
            _kill(self._process)

    async def _run_once(self) -> int | None:
        """Return the exit code, or None if it was stopped before it began."""
        command = await self._prepared()
        if command is None:
            return None
        began = datetime.now(UTC)
        with self.log.open("ab") as output:
            logged = output.tell()
            try:
                process = await asyncio.create_subprocess_exec(
                    *command.argv,
                    env=dict(command.env),
                    cwd=self.folder,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,  # What it starts ends with it.
                )
            except OSError as error:
                self._terminated(_NOT_STARTED, began, f"{command.argv[0]}: {error.strerror}")
                self.status.state["terminated"]["reason"] = "StartError"
                return _NOT_STARTED
        self._process = process
        if self._stopping:
            _kill(process)
        self.status.state = {"running": {"startedAt": began.isoformat()}}
        await self.changed()
        probing = asyncio.create_task(self._probe(process, command.env))
        try:
            code = await process.wait()
        finally:
            probing.cancel()
            _kill(process)
            await asyncio.gather(probing, return_exceptions=True)
            await process.wait()
        exit_code = code if code >= 0 else _BY_SIGNAL - code
        self._terminated(exit_code, began, self._told_since(logged) if exit_code else "")
        return exit_code

    async def _prepared(self) -> Command | None:
        backoff = _FIRST_BACKOFF_SECONDS
        while not self._stopping:
            try:
                return await self.prepare(self.container, self.places)
            except NoSuchImage as error:
                reason = "ErrImagePull" if backoff == _FIRST_BACKOFF_SECONDS else "ImagePullBackOff"
                self.status.wait(reason, str(error))
                await self.tell("Failed", f"Failed to pull image {self.container.image}: {error}")
            except NotStarted as error:
                self.status.wait(error.reason, str(error))
                await self.tell("Failed", f"Error: {error}")
            await self.changed()
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, _LONGEST_BACKOFF_SECONDS)
        return None

    async def _back_off(self, seconds: float) -> None:
        if seconds:
            message = f"back-off {seconds:g}s restarting failed container={self.container.name}"
            self.status.last_state = self.status.state
            self.status.wait("CrashLoopBackOff", message)
            await self.tell("BackOff", message)
            await self.changed()
            await asyncio.sleep(seconds)
        else:
            self.status.last_state = self.status.state

    async def _probe(self, process: asyncio.subprocess.Process, env: Mapping[str, str]) -> None:
        inside = self._inside(env)
        if (startup := self.container.startup_probe) is not None:
            await self._watch_startup(process, startup, inside)
        self.status.started = True
        readiness, liveness = self.container.readiness_probe, self.container.liveness_probe
        async with asyncio.TaskGroup() as probes:
            if liveness is not None:
                probes.create_task(self._watch_liveness(process, liveness, inside))
            if readiness is None:
                self.status.ready = True
                await self.changed()
            else:
                await self._watch_readiness(readiness, inside)

    async def _watch_startup(
        self, process: asyncio.subprocess.Process, probe: Probe, inside: Inside
    ) -> None:
        watched = Watched(probe, inside)
        well = asyncio.create_task(watched.until_well())
        try:
            while not well.done():
                await asyncio.sleep(0.1)
                if watched.has_given_up:
                    await self._restart(process, "Startup probe failed")
                    return
        finally:
            well.cancel()
            await asyncio.gather(well, return_exceptions=True)

    async def _watch_readiness(self, probe: Probe, inside: Inside) -> None:
        while True:
            watched = Watched(probe, inside)
            await watched.until_well()
            self.status.ready = True
            await self.changed()
            wrong = await watched.until_unwell()
            self.status.ready = False
            await self.tell("Unhealthy", f"Readiness probe failed: {wrong}")
            await self.changed()

    async def _watch_liveness(
        self, process: asyncio.subprocess.Process, probe: Probe, inside: Inside
    ) -> None:
        await asyncio.sleep(probe.initial_delay_seconds)
        wrong = await Watched(probe, inside).until_unwell()
        await self._restart(process, f"Liveness probe failed: {wrong}")

    async def _restart(self, process: asyncio.subprocess.Process, why: str) -> None:
        await self.tell("Unhealthy", why)
        with contextlib.suppress(ProcessLookupError):
            process.terminate()

    def _inside(self, env: Mapping[str, str]) -> Inside:
        return Inside(self.places.ports, self.named_ports, env, self.folder, self.places.translated)

    def _terminated(self, code: int, began: datetime, message: str) -> None:
        ended: Json = {
            "exitCode": code,
            "reason": "Error" if code else "Completed",
            "startedAt": began.isoformat(),
            "finishedAt": datetime.now(UTC).isoformat(),
        }
        if message:
            ended["message"] = message
        self.status.state = {"terminated": ended}
        self.status.ready = self.status.started = False

    def _told_since(self, offset: int) -> str:
        if self.container.termination_message_policy != "FallbackToLogsOnError":
            return ""
        return self.log.read_bytes()[offset:][-_MESSAGE_BYTES:].decode(errors="replace").strip()


def _kill(process: asyncio.subprocess.Process) -> None:
    """End a container's process and all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
