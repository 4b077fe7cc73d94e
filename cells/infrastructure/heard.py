"""What was heard of a run: what it tells people, what went wrong, what it has made."""

from dataclasses import dataclass, field
from pathlib import Path

from cells.infrastructure.hidden import Hidden
from cells.infrastructure.left import Left
from cells.infrastructure.messages import Diagnostic, message


@dataclass
class Heard:
    """What the lines of a run said so far."""

    hidden: Hidden
    errors: list[Diagnostic] = field(default_factory=list)
    _begun: set[str] = field(default_factory=set)
    _failed: set[str] = field(default_factory=set)
    _made: dict[str, str] = field(default_factory=dict)

    def line(self, line: str) -> str:
        """Take one line in and return what it tells people, if anything."""
        said = message(self.hidden.in_text(line))
        if said.error:
            self.errors.append(said.error)
        if said.started:
            self._begun.add(said.started)
        if said.made:
            address, id = said.made
            self._begun.discard(address)
            self._made[address] = id
        if said.failed:
            self._begun.discard(said.failed)
            self._failed.add(said.failed)
        return said.progress

    def left(self, *, interrupted: bool) -> Left:
        """Return what is there if the run has just been ended: what was given up because it was
        told to end is not what has failed."""
        return Left(frozenset(self._begun | (self._failed if interrupted else set())), self._made)


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
