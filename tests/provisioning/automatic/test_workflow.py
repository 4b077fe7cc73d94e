"""The watch through its client: a real engine, real workers, a fleet in memory."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from provisioning.automatic.types import (
    AvailabilityPolicy,
    Choice,
    LiftCellHold,
    PauseAvailability,
    ResumeAvailability,
    SetAvailabilityPolicy,
    Verdict,
)
from provisioning.types import FailoverCause, FailoverMode
from tests.engine import fresh_namespace
from tests.eventually import eventually
from tests.provisioning.automatic.running import (
    QUICK,
    RunningWatch,
    assert_the_watch_replays,
    histories,
    living,
    sky,
    watching,
    workers,
)
from tests.provisioning.automatic.watching import (
    BILLS,
    E1,
    E2,
    EAST,
    LONELY,
    N1,
    NORTH,
    ORDERS,
    PROUD,
    W1,
    WEST,
)

PATIENCE = 90.0
"""Seconds. Rounds follow each other every second or so; the machine may be busy."""


@pytest.fixture
async def watch(engine: WorkflowEnvironment) -> AsyncIterator[RunningWatch]:
    """A fleet of four cells in three regions, and some namespaces, being watched."""
    world = sky(
        living(ORDERS, E1, W1),
        living(BILLS, E1, N1),
        living(LONELY, E1),
        living(PROUD, E1, W1, managed=False),
    )
    async with watching(await fresh_namespace(engine.client), world) as watch:
        yield watch


def is_believed(watch: RunningWatch, cell: str, verdict: Verdict) -> bool:
    view = watch.sky.view
    return view is not None and any(
        (each.cell, each.verdict) == (cell, verdict) for each in view.cells
    )


async def until_believed(watch: RunningWatch, cell: str, verdict: Verdict) -> None:
    async def believed() -> bool:
        return is_believed(watch, cell, verdict)

    await eventually(believed, within=PATIENCE)


async def until_rounds(watch: RunningWatch, more: int) -> None:
    """Return once the watch has looked so many times more."""
    before = (await watch.client.describe()).rounds

    async def looked() -> bool:
        return (await watch.client.describe()).rounds >= before + more

    await eventually(looked, within=PATIENCE, every=0.5)


async def test_the_first_question_begins_the_watch_and_everybody_is_asked(
    watch: RunningWatch,
) -> None:
    assert (await watch.client.describe()).paused is None
    await watch.client.begin()

    await until_believed(watch, E1, Verdict.WELL)

    assert [each.region for each in watch.view.vantages] == [EAST, WEST, NORTH]
    assert all(each.trusted for each in watch.view.vantages)
    (cell,) = [each for each in watch.view.cells if each.cell == E1]
    assert cell.quorum == "0 of 4 vantage points say lost, 4 well"


async def test_a_lost_cell_is_left_and_returned_to_when_it_is_back(watch: RunningWatch) -> None:
    await watch.begin()
    await until_believed(watch, W1, Verdict.WELL)

    watch.sky.lost = {E1}

    async def both_moved() -> bool:
        return sorted(watch.asked()) == [(BILLS, N1), (ORDERS, W1)]

    await eventually(both_moved, within=PATIENCE)
    request = dict(watch.sky.requests)[ORDERS]
    assert (request.mode, request.cause) == (FailoverMode.FORCED, FailoverCause.AUTOMATIC)
    assert f"{E1} is lost since" in request.reason

    async def told_of_the_others() -> bool:
        reasons = {each.namespace: each.reason for each in watch.view.namespaces}
        return reasons == {
            LONELY: "it has a single replica",
            PROUD: "its owner has switched managed failover off",
        }

    await eventually(told_of_the_others, within=PATIENCE)

    watch.sky.lost = set()

    async def both_returned() -> bool:
        return sorted(watch.asked()[2:]) == [(BILLS, E1), (ORDERS, E1)]

    await eventually(both_returned, within=PATIENCE)
    assert {r.mode for _, r in watch.sky.requests[2:]} == {FailoverMode.GRACEFUL}

    async def all_is_over() -> bool:
        return [e.what for e in watch.view.events].count("returned") == 2

    await eventually(all_is_over, within=PATIENCE)
    await until_rounds(watch, 3)
    assert len(watch.asked()) == 4
    whats = [event.what for event in watch.view.events]
    assert whats[:2] == ["policy changed", "cell lost"]
    numbers = [event.number for event in watch.view.events]
    assert numbers == sorted(set(numbers))


async def test_a_paused_watch_says_what_it_would_do_and_does_it_when_resumed(
    watch: RunningWatch,
) -> None:
    await watch.begin()
    await watch.client.pause(PauseAvailability("sre@acme", "we pull plugs today"))
    await until_believed(watch, W1, Verdict.WELL)
    watch.sky.lost = {E1}

    async def says_so() -> bool:
        return [each.choice for each in watch.view.namespaces].count(Choice.WAITS) == 2

    await eventually(says_so, within=PATIENCE)
    assert watch.asked() == []
    (cell,) = [each for each in watch.view.cells if each.cell == E1]
    assert cell.why_not == "paused by sre@acme: we pull plugs today"
    assert cell.asks_person

    view = await watch.client.resume(ResumeAvailability("sre@acme", "all plugs are in again"))
    assert view.paused is None

    async def both_moved() -> bool:
        return len(watch.asked()) == 2

    await eventually(both_moved, within=PATIENCE)


async def test_while_the_fleet_cannot_be_seen_nothing_moves(watch: RunningWatch) -> None:
    await watch.begin()
    await until_believed(watch, W1, Verdict.WELL)
    watch.sky.unreadable = "the store does not answer"
    watch.sky.lost = {E1}

    async def is_blind() -> bool:
        return watch.view.blind.endswith("the store does not answer")

    await eventually(is_blind, within=PATIENCE)
    assert watch.asked() == []

    watch.sky.unreadable = ""

    async def both_moved() -> bool:
        return len(watch.asked()) == 2 and watch.view.blind == ""

    await eventually(both_moved, within=PATIENCE)


async def test_an_isolated_control_plane_fails_nothing_over(watch: RunningWatch) -> None:
    await watch.begin()
    await until_believed(watch, E1, Verdict.WELL)
    watch.sky.isolated, watch.sky.silent = {WEST}, {EAST, NORTH}

    await until_believed(watch, E1, Verdict.UNKNOWN)
    await until_rounds(watch, 5)

    assert watch.asked() == []
    west = next(each for each in watch.view.vantages if each.region == WEST)
    assert (west.answers, west.trusted) == (True, False)
    assert west.message == "it finds 3 of 4 cells lost: the fault may be its own"


async def test_a_namespace_that_refuses_is_asked_again_by_the_same_operation(
    watch: RunningWatch,
) -> None:
    await watch.begin()
    await until_believed(watch, W1, Verdict.WELL)
    watch.sky.refusing = {ORDERS: "it is too busy"}
    watch.sky.lost = {E1}

    async def refused() -> bool:
        return any("it is too busy" in each.reason for each in watch.view.namespaces)

    await eventually(refused, within=PATIENCE)
    watch.sky.refusing = {}

    async def moved() -> bool:
        return (ORDERS, W1) in watch.asked()

    await eventually(moved, within=PATIENCE)
    operations = {request.operation for name, request in watch.sky.requests if name == ORDERS}
    assert len(operations) == 1
    assert next(iter(operations)).endswith("-1")


async def test_what_is_asked_needs_somebody_and_a_reason(watch: RunningWatch) -> None:
    with pytest.raises(ApplicationError, match="somebody who answers for it, and a reason"):
        await watch.client.pause(PauseAvailability("", "because"))
    with pytest.raises(ApplicationError, match="reason is ''"):
        await watch.client.resume(ResumeAvailability("sre@acme", ""))
    rash = SetAvailabilityPolicy(AvailabilityPolicy(lost_rounds=1), "sre@acme", "faster")
    with pytest.raises(ApplicationError, match="lost_rounds is 1: at least 2") as wrong:
        await watch.client.set_policy(rash)
    assert wrong.value.type == "InvalidArgument"
    with pytest.raises(ApplicationError, match="no cell nowhere is known here"):
        await watch.client.lift_hold(LiftCellHold("nowhere", "sre@acme", "typo"))


async def test_a_region_without_workers_abstains_and_the_others_decide(
    engine: WorkflowEnvironment,
) -> None:
    client, world = await fresh_namespace(engine.client), sky(living(ORDERS, E1, W1))
    patience = replace(QUICK, stale_after=2 * QUICK.lost_for)
    async with workers(client, world, regions=[EAST, WEST]):
        watch = RunningWatch(client, world)
        await watch.begin(patience)
        await until_believed(watch, W1, Verdict.WELL)
        world.lost = {E1}

        async def moved() -> bool:
            return watch.asked() == [(ORDERS, W1)]

        await eventually(moved, within=PATIENCE)
        north = next(each for each in watch.view.vantages if each.region == NORTH)
        assert (north.answers, north.message) == (
            False,
            "its workers did not answer within 2 s",
        )
    await assert_the_watch_replays(client)


async def test_a_worker_that_is_replaced_in_the_middle_leaves_nothing_out_and_nothing_twice(
    engine: WorkflowEnvironment,
) -> None:
    names = [f"n{n:02}.acme1" for n in range(30)]
    world = sky(*(living(name, E1, W1) for name in names))
    client = await fresh_namespace(engine.client)
    watch = RunningWatch(client, world)
    async with workers(client, world):
        await watch.begin(replace(QUICK, most_at_once=7))
        await until_believed(watch, W1, Verdict.WELL)
        world.lost = {E1}

        async def some_moved() -> bool:
            return bool(watch.asked())

        await eventually(some_moved, within=PATIENCE)
    async with workers(client, world):

        async def all_moved() -> bool:
            return len(watch.asked()) >= len(names)

        await eventually(all_moved, within=PATIENCE)
    assert sorted(watch.asked()) == [(name, W1) for name in names]
    await assert_the_watch_replays(client)


async def test_its_runs_stay_short_however_long_it_watches(watch: RunningWatch) -> None:
    await watch.begin()
    await until_rounds(watch, 8)

    lengths = [len(history.events) async for history in histories(watch.temporal)]

    assert len(lengths) >= 4, "it rolls over where the engine suggests it"
    assert max(lengths) < 100


async def test_a_watch_begun_anew_publishes_on(watch: RunningWatch) -> None:
    await watch.begin()
    await until_believed(watch, E1, Verdict.WELL)
    before = watch.view.revision
    await watch.temporal.get_workflow_handle("availability").terminate("its history was damaged")

    await watch.begin()

    async def published() -> bool:
        return watch.view.revision > before and watch.view.rounds < 3

    await eventually(published, within=PATIENCE)
    assert is_believed(watch, E2, Verdict.WELL)
