"""The `controlplane` command, in this process or in one of its own."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from typer.testing import CliRunner

from controlplane.cli.app import build

_READ_BY_US = [
    "CONTROLPLANE_HOME",
    "CONTROLPLANE_ADDRESS",
    "CONTROLPLANE_URL",
    "CONTROLPLANE_API_KEY",
    "CONTROLPLANE_CA_FILE",
]


@dataclass(frozen=True)
class Finished:
    exit_code: int
    stdout: str
    stderr: str


@dataclass
class Running:
    process: Process
    _heard: bytes = b""

    async def said(self, text: str) -> None:
        """Wait until stderr contains `text`."""
        assert self.process.stderr is not None
        while text.encode() not in self._heard:
            more = await self.process.stderr.read(4096)
            assert more, f"ended without saying {text!r}: {self._heard.decode()}"
            self._heard += more

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    async def finished(self) -> Finished:
        stdout, stderr = await self.process.communicate()
        return Finished(
            self.process.returncode or 0, stdout.decode(), (self._heard + (stderr or b"")).decode()
        )


@dataclass(frozen=True)
class Cli:
    """Runs commands in an environment of their own."""

    env: Mapping[str, str]

    async def run(self, *arguments: object) -> Finished:
        """Run a command to its end, in a thread: a process would spend its time importing."""
        env: dict[str, str | None] = {name: None for name in os.environ if name in _READ_BY_US}
        result = await asyncio.to_thread(
            CliRunner().invoke, build(), [str(a) for a in arguments], env={**env, **self.env}
        )
        return Finished(result.exit_code, result.stdout, result.stderr)

    @asynccontextmanager
    async def started(self, *arguments: object, stderr: int = PIPE) -> AsyncIterator[Running]:
        """Start a command as a process; kill it if it outlives the block."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "controlplane",
            *map(str, arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            stderr=stderr,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **self.env},
            # Tests that run in the background inherit that Ctrl-C is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            yield Running(process)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


@asynccontextmanager
async def running(cli: Cli, *arguments: object) -> AsyncIterator[asyncio.Task[Finished]]:
    """Run a command beside the block, which may have to do what the command waits for."""
    command = asyncio.create_task(cli.run(*arguments))
    yield command
    await command
