"""Whatever is asked for, one thing after the other: after each, the namespace is whole."""

import asyncio
import random

import pytest
from temporalio.testing import WorkflowEnvironment

from cells.client import CellClient
from provisioning.replicas.memory import MemoryReplication
from provisioning.types import FailoverMode, OperationState
from tests.engine import fresh_namespace
from tests.provisioning.replica_changes.changing import (
    REGIONS,
    Tenancy,
    assert_everything_replays,
    three_cells,
)
from tests.provisioning.replica_changes.working import ports_of, workers

STEPS = 8
SEEDS = range(3)
FULFILLED, FAILED = OperationState.FULFILLED, OperationState.FAILED


@pytest.mark.timeout(900)
async def test_a_namespace_is_whole_after_every_change_of_a_long_life(
    engine: WorkflowEnvironment,
) -> None:
    # Each in a world of its own: one waits while another works.
    async with asyncio.TaskGroup() as group:
        for seed in SEEDS:
            group.create_task(_live(engine, seed), name=f"seed {seed}")


async def _live(engine: WorkflowEnvironment, seed: int) -> None:
    client, chance = await fresh_namespace(engine.client), random.Random(seed)  # noqa: S311
    world = three_cells()
    replication = MemoryReplication(world)
    tenancy = Tenancy(f"orders{seed}.acme1", client, world, replication)
    taken = []
    async with workers(client, ports_of(client, world, replication)):
        for cell in world.known_cells:
            await CellClient(client).register(cell.id, cell.spec)
        await tenancy.create()
        await tenancy.assert_whole()
        for number in range(STEPS):
            tenancy.start(f"execution-{number}")
            taken.append(chance.choice(_possible(tenancy)))
            try:
                await _take(taken[-1], tenancy, chance, number)
                await tenancy.assert_whole()
            except (AssertionError, TimeoutError) as error:
                error.add_note(f"seed {seed}, after {taken}")
                raise
        assert await tenancy.delete() == FULFILLED
        await tenancy.assert_gone()
    await assert_everything_replays(tenancy)


def _possible(tenancy: Tenancy) -> list[str]:
    always = ["revoke", "retain", "migrate", "abort"]
    if not tenancy.view.passive:
        return [*always, "add", "add"]
    return [*always, "remove", *FailoverMode, "lose the active", "lose the other", "move the other"]


async def _take(step: str, tenancy: Tenancy, chance: random.Random, number: int) -> None:
    has = {tenancy.view.active_region, *(each.region for each in tenancy.view.passive.values())}
    (free, *_) = chance.sample([region for region in REGIONS if region not in has], 1)
    active = tenancy.view.cell
    match step:
        case "revoke":
            assert await tenancy.ended(await tenancy.begin_revocation(f"a{number}")) == FULFILLED
        case "retain":
            assert await tenancy.retain(number + 1) == FULFILLED
        case "add":
            assert await tenancy.add(free) == FULFILLED
        case "remove":
            assert await tenancy.remove() == FULFILLED
            assert tenancy.view.cells == (active,)
        case "migrate" | "move the other" | "abort":
            source = tenancy.other if step == "move the other" else ""
            operation = await tenancy.begin_migration(free, source)
            assert await tenancy.waits_or_ends(operation)
            cells = tenancy.view.cells
            await (tenancy.abort() if step == "abort" else tenancy.confirm())
            assert await tenancy.ended(operation) == (FAILED if step == "abort" else FULFILLED)
            assert len(tenancy.view.cells) == len(cells) - 1
            assert (tenancy.view.cell == active) is (step != "migrate")
        case "lose the active":
            target = tenancy.other
            tenancy.world.lost_cells.add(str(active))
            operation = await tenancy.begin_failover(target)
            assert await tenancy.closed(operation) == FULFILLED
            assert tenancy.view.cell == target
            tenancy.world.lost_cells.clear()
            await tenancy.ended(operation)
        case "lose the other":
            tenancy.world.lost_cells.add(tenancy.other)
            operation = await tenancy.begin_revocation(f"b{number}")
            tenancy.world.lost_cells.clear()
            assert await tenancy.ended(operation) == FULFILLED
        case _:
            target = tenancy.other
            assert await tenancy.fail_over(target, FailoverMode(step)) == FULFILLED
            assert tenancy.view.cell == target
