"""The watch and the entities of namespaces: what it asks for is what they do."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from temporalio.testing import WorkflowEnvironment

from provisioning.automatic.memory import MemorySky
from provisioning.automatic.types import Verdict
from provisioning.client import NamespaceClient
from provisioning.memory import MemoryWorld
from provisioning.types import (
    CreateNamespace,
    FailOver,
    FailoverCause,
    NamespaceView,
    OperationState,
)
from tests.engine import Entities, cell_spec, cell_view, fresh_namespace, namespace_spec, working
from tests.eventually import eventually
from tests.provisioning.automatic.running import QUICK, RunningWatch, watching
from tests.provisioning.automatic.watching import E1, EAST, N1, NORTH, ORDERS, W1, WEST

PATIENCE = 120.0
"""Seconds: a busy machine takes its time for a saga."""


@dataclass
class SkyOverEntities(MemorySky):
    """Sees what the entities publish, and asks them."""

    entities: NamespaceClient | None = None
    asked_for: list[FailOver] = field(default_factory=list)

    async def fail_over(self, namespace: str, request: FailOver) -> NamespaceView:
        assert self.entities is not None, "it is over some"
        self.asked_for.append(request)
        return await self.entities.fail_over(namespace, request)


@dataclass(frozen=True)
class Scene:
    watch: RunningWatch
    sky: SkyOverEntities
    entities: Entities

    @property
    def view(self) -> NamespaceView:
        return self.entities.world.views[ORDERS]

    def lose(self, *cells: str) -> None:
        self.sky.lost = set(cells)

    async def until_active(self, cell: str) -> NamespaceView:
        async def active() -> bool:
            return self.view.cell == cell and self.view.change is None

        await eventually(active, within=PATIENCE)
        return self.view

    async def until_believed(self, cell: str, verdict: Verdict) -> None:
        async def believed() -> bool:
            view = self.sky.view
            return view is not None and any(
                (each.cell, each.verdict) == (cell, verdict) for each in view.cells
            )

        await eventually(believed, within=PATIENCE)


@pytest.fixture
async def scene(engine: WorkflowEnvironment) -> AsyncIterator[Scene]:
    """`orders` in the east, where it is active, and in the west; and the watch over it."""
    world = MemoryWorld(
        known_cells=[
            cell_view(cell, cell_spec(region, failover_version=number))
            for number, (cell, region) in enumerate(((E1, EAST), (W1, WEST), (N1, NORTH)), start=1)
        ]
    )
    client = await fresh_namespace(engine.client)
    async with working(client, world=world) as entities:
        for view in world.known_cells:
            await entities.cells.register(view.id, view.spec)
        spec = replace(namespace_spec(EAST), replicas=(EAST, WEST))
        await entities.namespaces.create(ORDERS, CreateNamespace("op1", spec))

        async def is_replicated() -> bool:
            view = world.views.get(ORDERS)
            return view is not None and view.cells == (E1, W1) and view.change is None

        await eventually(is_replicated, within=PATIENCE)
        sky = SkyOverEntities(
            cells_known={view.id: view for view in world.known_cells},
            known=world.views,
            entities=entities.namespaces,
        )
        # Its own namespace of the engine: the entities' workers know nothing of it.
        async with watching(await fresh_namespace(engine.client), sky) as watch:
            await watch.begin(replace(QUICK, failback_after=timedelta(seconds=4)))
            scene = Scene(watch, sky, entities)
            await scene.until_believed(W1, Verdict.WELL)
            yield scene


async def test_a_namespace_moves_from_a_lost_cell_and_returns_by_operations_of_its_own(
    scene: Scene,
) -> None:
    scene.lose(E1)
    view = await scene.until_active(W1)

    (there,) = view.failovers
    assert (there.source, there.target, there.cause) == (E1, W1, FailoverCause.AUTOMATIC)
    assert f"{E1} is lost since" in there.reason
    scene.lose()
    view = await scene.until_active(E1)

    back = view.failovers[-1]
    assert (back.source, back.target, back.cause) == (W1, E1, FailoverCause.FAILBACK)
    ours = [op for op in view.operations if op.id != "op1"]
    assert [op.id.partition("-")[0] for op in ours] == ["automatic", "failback"]
    assert {op.state for op in ours} == {OperationState.FULFILLED}
    assert len({request.operation for request in scene.sky.asked_for}) == 2


async def test_a_namespace_that_people_keep_where_it_is_does_not_return(scene: Scene) -> None:
    scene.lose(E1)
    await scene.until_active(W1)
    await scene.entities.namespaces.fail_over(ORDERS, FailOver("keep-it", cell=W1))
    scene.lose()

    await scene.until_believed(E1, Verdict.WELL)

    async def told() -> bool:
        view = scene.sky.view
        return view is not None and any(
            each.what == "do not return" and "operation keep-it" in each.message
            for each in view.events
        )

    await eventually(told, within=PATIENCE)
    assert scene.view.cell == W1
