"""The logs of a home's processes."""

import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from controlplane.local.failures import FleetFailed
from controlplane.local.home import Home

_LOOK_EVERY_SECONDS = 0.2


class NoSuchLog(FleetFailed):
    """The home has no process of that name."""


@dataclass(frozen=True)
class ProcessLog:
    path: Path

    @classmethod
    def of(cls, home: Home, name: str) -> "ProcessLog":
        """Find a process's log; raise NoSuchLog, with the names there are."""
        home.load()
        names = sorted(path.stem for path in home.logs.glob("*.log"))
        if name not in names:
            raise NoSuchLog(f"there is no process {name!r}; there are {', '.join(names)}")
        return cls(home.logs / f"{name}.log")

    def last(self, count: int) -> list[str]:
        """Return the last lines."""
        with self.path.open(errors="replace") as file:
            return list(deque(file, maxlen=count))

    def follow(self, count: int) -> Iterator[str]:
        """Yield the last lines, then every new one, for ever, across rotations."""
        file = self.path.open(errors="replace")
        try:
            yield from deque(file, maxlen=count)
            while True:
                # Looked at first: what was written before the rotation is read before it is closed.
                rotated = self._is_rotated(file)
                yield from file
                if rotated:
                    file.close()
                    file = self.path.open(errors="replace")
                else:
                    time.sleep(_LOOK_EVERY_SECONDS)
        finally:
            file.close()

    def _is_rotated(self, file: TextIO) -> bool:
        try:
            return not os.path.samestat(os.fstat(file.fileno()), self.path.stat())
        except FileNotFoundError:
            return False  # Renamed, and not yet begun anew.
