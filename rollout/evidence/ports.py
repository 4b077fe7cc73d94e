"""What gathering evidence asks of its parts."""

from collections.abc import Sequence
from typing import Protocol

from cells.types import CellView
from rollout.gates import Gate, Reading
from rollout.ports import WatchedCells


class NoEvidence(Exception):
    """Nothing can be said; the message says why, and what to do."""


class GateAsker(Protocol):
    """Asks gates in one way."""

    async def ask(self, gates: Sequence[Gate], watched: WatchedCells) -> tuple[Reading, ...]:
        """Return what each gate saw in the window: the cells that did not pass by name, the others
        in one reading that covers what was seen of all of them. May raise `NoEvidence`."""
        ...


class Cells(Protocol):
    """Where cells answer."""

    async def cells(self) -> list[CellView]: ...
