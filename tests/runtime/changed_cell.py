"""A cell that the rules of `CellRuntime` are tried on."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cells.runtime.ports import CellRuntime
from cells.types import CellSpec


@dataclass
class ChangedCell:
    """A cell that rules are tried on, one after the other, each with generations of its own."""

    runtime: CellRuntime
    id: str
    spec: CellSpec
    incarnation: Callable[[], Awaitable[object]]
    """Something else after each start of the cell's server."""
    generation: int = 0

    def next_generation(self) -> int:
        self.generation += 1
        return self.generation
