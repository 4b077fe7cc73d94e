"""Cells to be joined: real ones, and ones in memory, which the same rules hold for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from cells.replication.memory import MemoryLinks
from cells.replication.operator_service import OperatorServiceLinks
from cells.replication.ports import CellLinks
from cells.types import CellView
from tests.engine import cell_view
from tests.pair import Pair


class LinkedCells(Protocol):
    """Three cells; the first two are joined, and the third is nobody's peer."""

    @property
    def links(self) -> CellLinks: ...

    @property
    def views(self) -> Sequence[CellView]: ...

    @property
    def impatient(self) -> CellLinks:
        """The same links, which soon call late what does not arrive."""
        ...

    def links_among(self, views: Sequence[CellView]) -> CellLinks:
        """Return the same links, for a fleet that is told something else of its cells."""
        ...

    async def cut(self, cell: str) -> None:
        """Let nothing that happens in the cell arrive elsewhere."""
        ...

    async def mend(self, cell: str) -> None: ...

    async def silence(self, cell: str) -> None:
        """Let the cell answer nobody."""
        ...

    async def wake(self, cell: str) -> None: ...


@dataclass(frozen=True)
class CellsInMemory:
    memory: MemoryLinks

    @property
    def links(self) -> CellLinks:
        return self.memory

    @property
    def impatient(self) -> CellLinks:
        return self.memory

    @property
    def views(self) -> Sequence[CellView]:
        return self.memory.known

    def links_among(self, views: Sequence[CellView]) -> CellLinks:
        return replace(self.memory, known=list(views))

    async def cut(self, cell: str) -> None:
        self.memory.cut |= {(view.id, cell) for view in self.views}

    async def mend(self, cell: str) -> None:
        self.memory.cut -= {(view.id, cell) for view in self.views}

    async def silence(self, cell: str) -> None:
        self.memory.silent.add(cell)

    async def wake(self, cell: str) -> None:
        self.memory.silent.remove(cell)


@dataclass(frozen=True)
class RealCells:
    pair: Pair

    @property
    def links(self) -> CellLinks:
        return OperatorServiceLinks(self.pair.directory)

    @property
    def impatient(self) -> CellLinks:
        return OperatorServiceLinks(self.pair.directory, arrives_within=timedelta(seconds=2))

    @property
    def views(self) -> Sequence[CellView]:
        return [cell.view for cell in self.pair.cells]

    def links_among(self, views: Sequence[CellView]) -> CellLinks:
        return OperatorServiceLinks(MemoryLinks(list(views)))

    async def cut(self, cell: str) -> None:
        await self.pair.stop(f"{cell}.bridge")

    async def mend(self, cell: str) -> None:
        await self.pair.start(f"{cell}.bridge")

    async def silence(self, cell: str) -> None:
        await self.pair.stop(f"{cell}.temporal")

    async def wake(self, cell: str) -> None:
        await self.pair.start(f"{cell}.temporal")


async def in_memory() -> CellsInMemory:
    cells = CellsInMemory(MemoryLinks([_somewhere(number) for number in (1, 2, 3)]))
    await _first_two_joined(cells)
    return cells


async def real(pair: Pair) -> RealCells:
    cells = RealCells(pair)
    await _first_two_joined(cells)
    return cells


def at_another_name(view: CellView) -> CellView:
    """Return a cell whose every address is the same place by another name."""
    replication = {
        cell: address.replace("127.0.0.1", "localhost").replace("cell-", "cell.")
        for cell, address in view.spec.addresses.replication.items()
    }
    addresses = replace(view.spec.addresses, replication=replication)
    return replace(view, spec=replace(view.spec, addresses=addresses))


async def _first_two_joined(cells: LinkedCells) -> None:
    one, other, _ = cells.views
    await cells.links.join(one.id, other.id)


def _somewhere(number: int) -> CellView:
    view = cell_view(f"cell-{number}")
    addresses = replace(view.spec.addresses, replication={"": f"cell-{number}:7233"})
    spec = replace(view.spec, failover_version=number, addresses=addresses)
    return replace(view, spec=spec)
