"""The `controlplane` command as a process of its own."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Finished:
    exit_code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Running:
    process: Process

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    async def finished(self) -> Finished:
        stdout, stderr = await self.process.communicate()
        return Finished(self.process.returncode or 0, stdout.decode(), stderr.decode())


@dataclass(frozen=True)
class Cli:
    """Runs commands in an environment of their own."""

    env: Mapping[str, str]

    async def run(self, *arguments: object) -> Finished:
        async with self.started(*arguments) as command:
            return await command.finished()

    @asynccontextmanager
    async def started(
        self, *arguments: object, stderr: int = PIPE
    ) -> AsyncIterator[Running]:
        """Start a command; kill it if it outlives the block."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "controlplane",
            *map(str, arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            stderr=stderr,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **self.env},
        )
        try:
            yield Running(process)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
