"""What a visit asks of the cell's entity."""

from typing import Protocol

from cells.types import CellView
from cells.visits.types import BeginVisit, EndVisit


class VisitedCells(Protocol):
    """The entities of the cells: see `cells.client` for what they refuse."""

    async def begin_visit(self, cell: str, request: BeginVisit) -> int: ...

    async def fence_visit(self, cell: str, visit: str) -> int: ...

    async def end_visit(self, cell: str, request: EndVisit) -> CellView: ...

    async def describe(self, cell: str) -> CellView: ...
