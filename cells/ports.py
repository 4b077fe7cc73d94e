"""What the life of a cell asks of the outside world."""

from typing import Protocol

from cells.types import CellSpec, CellView, ObservedCell


class CellObserver(Protocol):
    """Looks at a cell's parts from the control plane's side."""

    async def observe(self, cell: str, spec: CellSpec) -> ObservedCell:
        """Return what answers and what does not; a dead part is a problem, not an error."""
        ...


class CellProjection(Protocol):
    async def publish_cell(self, view: CellView) -> None:
        """Make the view readable, unless a newer revision already is."""
        ...
