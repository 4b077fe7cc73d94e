"""What was heard of a run: how far it came, and what it was at when it ended."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cells.infrastructure.hidden import Hidden
from cells.infrastructure.messages import Diagnostic, message
from cells.ingress.durable_file import replace_file

_UNFINISHED = "unfinished.json"


@dataclass
class Heard:
    """What the lines of a run said so far."""

    hidden: Hidden
    errors: list[Diagnostic] = field(default_factory=list)
    _begun: set[str] = field(default_factory=set)
    _failed: set[str] = field(default_factory=set)

    def line(self, line: str) -> str:
        """Take one line in and return what it tells people, if anything."""
        said = message(self.hidden.in_text(line))
        if said.error:
            self.errors.append(said.error)
        if said.started:
            self._begun.add(said.started)
            self._failed.discard(said.started)
        self._begun.discard(said.completed)
        if said.failed:
            self._begun.discard(said.failed)
            self._failed.add(said.failed)
        return said.progress

    def unfinished(self, *, interrupted: bool) -> set[str]:
        """Return the addresses at which it was when it ended: what was given up when it was told to
        end is not what has failed."""
        return self._begun | (self._failed if interrupted else set())


class Lines:
    """The lines of a file that somebody writes."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("rb")
        self._rest = b""

    def new(self) -> list[str]:
        """Return the lines that were completed since the last time."""
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        return [line.decode(errors="replace") for line in lines]

    def close(self) -> None:
        self._file.close()


def note_unfinished(folder: Path, addresses: Iterable[str]) -> None:
    """Remember what was under way in a run that did not end by itself."""
    known = unfinished(folder) | set(addresses)
    if known:
        replace_file(folder / _UNFINISHED, json.dumps(sorted(known)).encode())


def unfinished(folder: Path) -> set[str]:
    """Return what was under way in runs that did not end by themselves."""
    try:
        return set(json.loads((folder / _UNFINISHED).read_bytes()))
    except FileNotFoundError:
        return set()


def forget_unfinished(folder: Path) -> None:
    (folder / _UNFINISHED).unlink(missing_ok=True)
