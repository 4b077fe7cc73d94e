"""Making the fleet's cells known to the control plane."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from temporalio.client import Client

from cells.client import CellClient
from cells.types import CellCondition, CellView
from controlplane.local.cells import CellLayout
from controlplane.local.temporal_server import ENGINE_NAMESPACE
from controlplane.local.waiting import until
from controlplane.payloads import data_converter
from controlplane.resource import ConditionStatus

_READY_SECONDS = 90.0
"""The control plane looks at a cell that failed once every 30 s."""
_ASK_EVERY_SECONDS = 0.2


class PublishedCells(Protocol):
    """What everyone reads of cells."""

    async def cells(self) -> list[CellView]: ...


@dataclass(frozen=True)
class CellRegistry:
    """The cells, as the control plane knows them."""

    client: CellClient
    published: PublishedCells

    @classmethod
    async def connect(cls, engine: str, published: PublishedCells) -> Self:
        """Connect to the engine at `host:port`; `published` is where everyone reads of cells."""
        temporal = await Client.connect(
            engine, namespace=ENGINE_NAMESPACE, data_converter=data_converter
        )
        return cls(CellClient(temporal), published)

    async def register(self, cells: Sequence[CellLayout]) -> None:
        """Register every cell, or tell it what it should be now."""
        await asyncio.gather(*(self.client.register(cell.cell.id, cell.spec) for cell in cells))

    async def wait_until_ready(self, cells: Sequence[CellLayout]) -> None:
        """Return once the control plane has found every cell ready, as it should be now.

        A cell says so itself before others can read it, and whoever asks the API for a namespace at
        once would be told that there is no such region.
        """
        await asyncio.gather(*(self._wait_until_ready(cell.cell.id) for cell in cells))

    async def _wait_until_ready(self, cell: str) -> None:
        why = "it was not looked at yet"

        async def ready() -> bool:
            nonlocal why
            view = await self.client.describe(cell)
            condition = view.conditions.get(CellCondition.READY)
            if condition is None or condition.observed_generation < view.generation:
                return False
            why = condition.message or condition.reason
            if condition.status is not ConditionStatus.TRUE:
                return False
            why = "it is not published yet"
            return any(
                known.id == cell and known.revision >= view.revision
                for known in await self.published.cells()
            )

        try:
            await until(ready, "ready", _READY_SECONDS, every=_ASK_EVERY_SECONDS)
        except TimeoutError:
            raise TimeoutError(f"cell {cell} is not ready: {why}") from None
