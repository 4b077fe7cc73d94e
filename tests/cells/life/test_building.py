"""How a cell is built: layer by layer, each thing once, and nothing on what is missing."""

import asyncio
from dataclasses import replace

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from cells.life.types import CreateCell, Layer, LifeCommandKind, Phase
from cells.types import Provider
from controlplane.errors import ErrorType
from tests.cells.life.living import (
    ACCOUNT,
    BLUEPRINT,
    CALLS,
    CELL,
    WHOLE,
    Lives,
    living,
    problem_of,
)
from tests.engine import fresh_namespace


async def test_a_cell_is_built_layer_by_layer_and_serves(lives: Lives) -> None:
    created = await lives.create()
    assert (created.phase, created.requested_by) == (Phase.BUILDING, "ann")

    view = await lives.until_in(Phase.READY)

    assert lives.there == WHOLE
    assert lives.calls == list(CALLS.values())
    assert [known.layer for known in view.layers] == list(Layer)
    assert all(known.built_at and not known.problem for known in view.layers)
    assert (view.account, view.message) == (ACCOUNT, "it serves, and takes namespaces")
    assert view.foundation is not None
    assert view.foundation.cluster.name == CELL
    assert lives.phases == [Phase.BUILDING, Phase.READY]


async def test_the_same_request_is_the_same_life_and_another_is_refused(lives: Lives) -> None:
    await lives.create()
    await asyncio.gather(*(lives.create() for _ in range(3)))

    with pytest.raises(
        ApplicationError, match=r"is there already, .* by ann in operation"
    ) as other:
        await lives.client.create(CreateCell("c-2", replace(BLUEPRINT, uid="q1"), "bob"))
    with pytest.raises(ApplicationError, match="has asked for another") as changed:
        await lives.create(replace(BLUEPRINT, ring=2))

    assert other.value.type == changed.value.type == ErrorType.ALREADY_EXISTS
    await lives.until_in(Phase.READY)
    lives.assert_made_once()


async def test_what_is_being_done_is_seen_while_it_is(lives: Lives) -> None:
    lives.land.held.add("infrastructure.build")
    await lives.create()

    view = await lives.until(
        lambda view: any(known.progress == "creating the cluster" for known in view.layers)
    )

    assert view.message == "layer Infrastructure is being built"
    lives.land.held.clear()
    view = await lives.until_in(Phase.READY)
    assert not any(known.progress for known in view.layers)


async def test_a_layer_that_is_refused_is_named_and_the_life_goes_on_from_there(
    lives: Lives,
) -> None:
    for layer, call in CALLS.items():
        cell = f"{CELL}-{layer.value.lower()}"
        lives.reject(call, cell=cell)
        await lives.create(replace(BLUEPRINT, cell=cell, uid=f"u{layer.value.lower()}"))
    for layer, call in CALLS.items():
        cell = f"{CELL}-{layer.value.lower()}"
        view = await lives.until_in(Phase.FAILED, cell=cell)
        assert view.layers[-1].layer is layer, "nothing is begun on a layer that is missing"
        assert problem_of(view, layer) == f"{call} is not allowed"
        assert view.message == (
            f"layer {layer.value} could not be built: {call} is not allowed. Mend the cause and "
            "retry, or abandon the cell"
        )
    lives.land.faults.clear()
    for layer in CALLS:
        cell = f"{CELL}-{layer.value.lower()}"
        assert (await lives.command(LifeCommandKind.RETRY, cell=cell)).phase is Phase.BUILDING
    for layer in CALLS:
        view = await lives.until_in(Phase.READY, cell=f"{CELL}-{layer.value.lower()}")
        assert not any(known.problem for known in view.layers)
    assert len(lives.there) == len(WHOLE) * len(CALLS)
    lives.assert_nothing_made_twice()


async def test_retried_a_layer_below_that_is_gone_is_built_again(lives: Lives) -> None:
    lives.reject("examine")
    await lives.create()
    await lives.until_in(Phase.FAILED)
    lives.land.things.unmake(f"name of {CELL}")
    lives.land.things.unmake(f"{ACCOUNT.id}/database")
    lives.land.faults.clear()

    await lives.command(LifeCommandKind.RETRY)

    view = await lives.until_in(Phase.READY)
    assert sorted(lives.there) == sorted(WHOLE)
    assert [known.attempts for known in view.layers] == [1, *[2] * 8, 1]


async def test_what_stands_against_a_cell_is_waited_for(lives: Lives) -> None:
    lives.cloud.against += ["the quota of clusters is used up", "the region is not enabled"]
    await lives.create()

    view = await lives.until_in(Phase.WAITING)

    assert problem_of(view, Layer.PREFLIGHT) == (
        "the quota of clusters is used up; the region is not enabled"
    )
    assert view.retry_at is not None
    assert f"it is looked at again at {view.retry_at:%H:%M:%S} UTC" in view.message
    assert lives.there == []
    lives.cloud.against.clear()
    await lives.command(LifeCommandKind.RETRY)
    await lives.until_in(Phase.READY)


async def test_a_cloud_that_is_not_connected_is_waited_for(engine: WorkflowEnvironment) -> None:
    client = await fresh_namespace(engine.client)
    async with living(client, provider=Provider.GCP) as lives:
        await lives.create()

        view = await lives.until_in(Phase.WAITING)

        assert (
            "not connected with aws: set CONTROLPLANE_AWS_… as terraform/README.md says"
            in view.message
        )
