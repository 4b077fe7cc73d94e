"""The side effects of a cell's life, each safe to repeat."""

from dataclasses import dataclass

from temporalio import activity

from cells.ports import CellObserver, CellProjection
from cells.types import CellSpec, CellView, ObservedCell


@dataclass(frozen=True)
class ObserveCell:
    cell: str
    spec: CellSpec


@dataclass(frozen=True)
class CellActivities:
    observer: CellObserver
    projection: CellProjection

    @activity.defn
    async def observe_cell(self, request: ObserveCell) -> ObservedCell:
        return await self.observer.observe(request.cell, request.spec)

    @activity.defn
    async def publish_cell(self, view: CellView) -> None:
        await self.projection.publish_cell(view)
