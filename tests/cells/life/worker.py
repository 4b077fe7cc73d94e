"""A worker that dies on purpose: `python -m tests.cells.life.worker FOLDER ENGINE NAMESPACE`.

Everything about lives is as in production but the world, which is in files and outlives it.
"""

import asyncio
import os
import signal
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote, unquote

from temporalio.client import Client

from cells.providers.memory import MemoryLand, Moment, PlannedFault
from controlplane.payloads import data_converter
from tests.cells.life.living import living


@dataclass(frozen=True)
class FileThings:
    """`cells.providers.memory.Things`: a file each, and a line for each that was made."""

    folder: Path

    @property
    def log(self) -> Path:
        return self.folder.with_suffix(".log")

    def make(self, thing: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._file(thing).exists():
            with self.log.open("a") as log:
                log.write(f"{thing}\n")
            self._file(thing).touch()

    def unmake(self, thing: str) -> None:
        self._file(thing).unlink(missing_ok=True)

    def all(self) -> list[str]:
        return sorted(unquote(file.name) for file in self.folder.glob("*"))

    def made(self) -> list[str]:
        """Return what was made, as often as it was."""
        return self.log.read_text().splitlines()

    def _file(self, thing: str) -> Path:
        return self.folder / quote(thing, safe="")


@dataclass(frozen=True)
class Deaths:
    """When a worker is to die: a file per death, renamed before it strikes, so that none does so
    twice."""

    folder: Path

    def plan(self, cell: str, call: str, moment: Moment) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{call} {moment.value} {cell}").touch()

    def planned(self) -> list[Path]:
        return sorted(file for file in self.folder.glob("*") if file.suffix != ".struck")

    def faults(self) -> list[PlannedFault]:
        return [_fault(file) for file in self.planned()]


def _fault(file: Path) -> PlannedFault:
    call, moment, cell = file.name.split(" ")
    return PlannedFault(call, Moment(moment), cell, error=partial(_die, file))


def _die(file: Path) -> NoReturn:
    file.rename(f"{file}.struck")
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nobody survives this")


async def main(folder: Path, engine: str, namespace: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    client = await Client.connect(engine, namespace=namespace, data_converter=data_converter)
    land = MemoryLand(FileThings(folder / "world"), Deaths(folder / "deaths").faults())
    async with living(client, land=land):
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
