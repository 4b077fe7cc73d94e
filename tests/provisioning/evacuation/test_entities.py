"""Evacuations of the namespaces' own entities, with everything but their cells as it is."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from temporalio.testing import WorkflowEnvironment

from provisioning.evacuation.client import EvacuationClient
from provisioning.evacuation.policy import Confirm, EvacuationKind
from provisioning.evacuation.types import EvacuationView, Outcome, StartEvacuation, Status
from provisioning.memory import MemoryWorld
from provisioning.types import CreateNamespace, FailoverCause
from tests.engine import Entities, cell_spec, cell_view, fresh_namespace, namespace_spec, working
from tests.eventually import eventually
from tests.provisioning.evacuation.emptying import assert_evacuations_replay, quick

EAST, WEST = "aws-us-east-1", "aws-us-west-2"
HERE, THERE, BESIDE = f"{EAST}-c1", f"{WEST}-c1", f"{EAST}-c2"
NAMES = [f"{name}.acme1" for name in ("orders", "payments", "reports")]


@pytest.fixture
async def entities(engine: WorkflowEnvironment) -> AsyncIterator[Entities]:
    """Three namespaces, active in one cell and passive in another, and a third cell."""
    specs = {
        cell: cell_spec(cell.rpartition("-")[0], failover_version=number)
        for number, cell in enumerate((HERE, THERE, BESIDE), start=1)
    }
    specs = {
        cell: replace(spec, addresses=replace(spec.addresses, replication={"": "127.0.0.1:5"}))
        for cell, spec in specs.items()
    }
    # Where they are created there is room in one cell of the region only.
    world = MemoryWorld(
        known_cells=[cell_view(cell, spec) for cell, spec in specs.items() if cell != BESIDE]
    )
    client = await fresh_namespace(engine.client)
    async with working(client, world=world) as entities:
        for cell, spec in specs.items():
            await entities.cells.register(cell, spec)
        await asyncio.gather(*(_create(entities, name) for name in NAMES))
        world.known_cells.append(cell_view(BESIDE, specs[BESIDE]))
        yield entities
    await assert_evacuations_replay(client, HERE)


async def test_a_drill_of_namespaces_that_are_replicated_comes_back_and_is_recorded(
    entities: Entities,
) -> None:
    view = await _emptied(entities, EvacuationKind.DRILL)

    assert view.outcome is Outcome.SUCCEEDED, view.message
    for name in NAMES:
        namespace = await _settled(entities, name)
        assert namespace == (HERE, THERE)
        causes = [failover.cause for failover in entities.world.views[name].failovers]
        assert causes == [FailoverCause.DRILL, FailoverCause.DRILL]
    assert view.report.away is not None
    assert view.report.away.count == len(NAMES)
    assert (await entities.cells.describe(HERE)).cordon is None


async def test_a_drained_cell_holds_nothing_any_more(entities: Entities) -> None:
    view = await _emptied(entities, EvacuationKind.DRAIN)

    assert view.outcome is Outcome.SUCCEEDED, view.message
    assert {each.status for each in view.namespaces.values()} == {Status.MOVED}
    for name in NAMES:
        assert await _settled(entities, name) == (THERE, BESIDE)

    async def is_empty() -> bool:
        return not await entities.cells.allocations(HERE)

    await eventually(is_empty)
    cordon = (await entities.cells.describe(HERE)).cordon
    assert cordon is not None
    assert cordon.by == "evacuation e1"


async def _emptied(entities: Entities, kind: EvacuationKind) -> EvacuationView:
    client = EvacuationClient(entities.temporal)
    policy = replace(quick(kind), confirm=Confirm.AUTO)
    await client.start(StartEvacuation("e1", HERE, kind, policy, "ann", "a test"))
    await client.handle(HERE).result()
    return entities.evacuations.views["e1"]


async def _create(entities: Entities, name: str) -> None:
    spec = replace(namespace_spec(EAST), replicas=(EAST, WEST))
    await entities.namespaces.create(name, CreateNamespace("op1", spec))
    await _settled(entities, name)


async def _settled(entities: Entities, name: str) -> tuple[str, ...]:
    """Return the cells of the namespace once its clients are let in to all of them."""

    async def so() -> bool:
        view = entities.world.views.get(name)
        return (
            view is not None
            and view.change is None
            and len(view.passive) == 1
            and all(replica.proof is not None for replica in view.passive.values())
        )

    await eventually(so)
    return entities.world.views[name].cells
