"""A fleet is up when everyone can read that its cells are ready."""

import asyncio
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import cast

from temporalio.testing import WorkflowEnvironment

from cells.types import CellView
from controlplane.local.cells import CellLayout
from controlplane.local.registration import CellRegistry
from tests.engine import CELL, cell_spec, fresh_namespace, working
from tests.eventually import eventually


@dataclass
class Published:
    """What is published of cells, so far as it is shown."""

    views: dict[str, CellView]
    shown: bool = False
    asked: int = 0
    older_by: int = field(default=0)

    async def cells(self) -> list[CellView]:
        self.asked += 1
        views = self.views.values() if self.shown else ()
        return [replace(view, revision=view.revision - self.older_by) for view in views]


async def test_a_cell_that_is_ready_is_waited_for_until_it_is_published(
    engine: WorkflowEnvironment,
) -> None:
    async with working(await fresh_namespace(engine.client)) as entities:
        published = Published(entities.cell_parts.views, older_by=1)
        layout = cast(CellLayout, SimpleNamespace(cell=SimpleNamespace(id=CELL), spec=cell_spec()))
        registry = CellRegistry(entities.cells, published)
        await registry.register([layout])
        waiting = asyncio.create_task(registry.wait_until_ready([layout]))

        async def asked_again() -> bool:
            return published.asked >= before + 2

        async def is_published() -> bool:
            return CELL in entities.cell_parts.views

        await eventually(is_published)
        # The cell is ready, but nobody can read of it; then what they read is older than that.
        for shown in (False, True):
            published.shown, before = shown, published.asked
            await eventually(asked_again)
            assert not waiting.done()

        published.older_by = 0
        async with asyncio.timeout(30):
            await waiting
