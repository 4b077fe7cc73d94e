"""A whole embedded fleet for end-to-end tests, driven as people drive it: by its command line."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controlplane.local.home import HOME_VARIABLE, FleetRecord, Home
from controlplane.local.supervisor import ProgramStatus, Supervisor


@dataclass(frozen=True)
class Finished:
    """A command that has run to its end."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class RunningFleet:
    """A fleet that is up. `kill`, `stop` and `start` leave it as they found it only together."""

    home: Path
    exports: dict[str, str]
    """What `controlplane env` prints."""

    @property
    def address(self) -> str:
        return self.exports["CONTROLPLANE_ADDRESS"]

    @property
    def tls_address(self) -> str:
        return self.exports["CONTROLPLANE_TLS_ADDRESS"]

    @property
    def url(self) -> str:
        return self.exports["CONTROLPLANE_URL"]

    @property
    def ca_file(self) -> Path:
        return Path(self.exports["CONTROLPLANE_CA_FILE"])

    @property
    def api_key(self) -> str:
        return self.exports["CONTROLPLANE_API_KEY"]

    @property
    def account(self) -> str:
        return self.exports["CONTROLPLANE_ACCOUNT"]

    @property
    def record(self) -> FleetRecord:
        """Ports, zone, versions."""
        return Home(self.home).load()

    @property
    def supervisor(self) -> Supervisor:
        return Supervisor(Home(self.home))

    async def programs(self) -> dict[str, ProgramStatus]:
        return await self.supervisor.statuses()

    async def kill(self, program: str) -> int:
        """SIGKILL a program, and return the process id it had; its supervisor restarts it."""
        pid = (await self.programs())[program].pid
        assert pid is not None, f"{program} does not run"
        os.kill(pid, signal.SIGKILL)
        return pid

    async def stop(self, *programs: str) -> None:
        """Stop programs until `start`."""
        await self.supervisor.stop(programs)

    async def start(self, *programs: str) -> None:
        """Start programs, without waiting until they answer."""
        for program in programs:
            await self.supervisor.start(program)

    async def cli(self, *arguments: str) -> Finished:
        """Run `controlplane` against this fleet."""
        return await controlplane(*arguments, home=self.home)

    async def status(self) -> Any:
        """Return `controlplane status -o json`."""
        return json.loads((await self.cli("status", "-o", "json")).out)


@contextlib.asynccontextmanager
async def running_fleet(home: Path, *options: str) -> AsyncIterator[RunningFleet]:
    """Run a fleet in a new home; leave nothing of it behind."""
    try:
        started = await controlplane("up", *options, home=home)
        assert started.code == 0, started.err
        exports = await controlplane("env", "-o", "json", home=home)
        yield RunningFleet(home, json.loads(exports.out))
    finally:
        stopped = await controlplane("down", "--delete", home=home)
        assert stopped.code == 0, stopped.err


async def controlplane(*arguments: str, home: Path) -> Finished:
    """Run the command with this home, in an environment that names no other control plane."""
    kept = {name: value for name, value in os.environ.items() if "CONTROLPLANE" not in name}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "controlplane", *arguments),
        env={**kept, HOME_VARIABLE: str(home)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await process.communicate()
    except asyncio.CancelledError:
        process.terminate()
        await process.wait()
        raise
    return Finished(process.returncode or 0, out.decode(), err.decode())
