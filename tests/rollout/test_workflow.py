"""The life of a rollout, where no scenario tells it."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from cells.release import Release
from rollout.types import CellStatus, Control, ControlKind, Outcome, Phase, StartRollout
from tests.engine import fresh_namespace
from tests.rollout.rollouts import NEW, OLD, QUICK, RELEASE, fleet, ring_of
from tests.rollout.scenarios.oracle import assert_each_run_replays
from tests.rollout.scenarios.stage import HOUR, MINUTE, Play, playing
from tests.rollout.small_fleet import small_fleet

CELLS = (*ring_of(2, 0, "a"), *ring_of(2, 1, "b"))
NEWER = Release("r-1.31-newer", server_version="1.31.3")


@pytest.fixture
async def play(engine_in_skipped_time: WorkflowEnvironment) -> AsyncIterator[Play]:
    servers = (OLD, NEW, "1.31.3")
    async with playing(engine_in_skipped_time, fleet(*CELLS, servers=servers)) as play:
        yield play


async def test_what_has_begun_is_not_begun_again_and_is_not_another(play: Play) -> None:
    await play.start()
    asked = StartRollout("r1", RELEASE, QUICK, "ann", "monthly")

    again = await play.rollouts.start(asked)
    assert (again.id, again.release) == ("r1", RELEASE.name)
    with pytest.raises(ApplicationError, match="choose another id"):
        await play.rollouts.start(replace(asked, release=NEWER))

    await play.until(lambda: play.view().phase is Phase.ENDED)
    assert len(play.told("started")) == 1
    assert sorted(play.visited()) == sorted(cell.id for cell in CELLS)


async def test_a_wish_that_is_repeated_is_done_once(play: Play) -> None:
    await play.start()
    pause = Control("p1", ControlKind.PAUSE, "bob", "lunch")

    first = await play.rollouts.control("r1", pause)
    again = await play.rollouts.control("r1", pause)
    assert first.paused_by == again.paused_by == "bob: lunch"
    await play.rollouts.control("r1", replace(pause, id="p2", kind=ControlKind.RESUME))
    late = await play.rollouts.control("r1", pause)

    assert late.paused_by == ""
    await play.at_once(lambda: play.told("resume") != [])
    assert play.told("pause") == ["lunch"]


async def test_nothing_starts_while_the_fleet_cannot_be_seen_and_then_it_goes_on(
    play: Play,
) -> None:
    await play.start()
    await play.until(lambda: play.visited() == ["a0"], every=MINUTE)
    play.stage.blind = "the store is down"

    await play.pass_time(3 * HOUR)

    assert play.visited() == ["a0"]
    assert "the store is down" in play.view().blocked
    assert [told for told in play.told("blocked") if "the store is down" in told]
    play.stage.blind = ""
    await play.until(lambda: len(play.visited()) == 2, within=5 * MINUTE, every=MINUTE)
    await play.until(lambda: play.view().phase is Phase.ENDED)
    assert play.view().outcome is Outcome.SUCCEEDED


async def test_nothing_starts_on_an_old_look(play: Play) -> None:
    await play.start()
    await play.until(lambda: play.view().cells["a0"].status is CellStatus.DONE)

    # While the first cell bakes the next one falls sick, and nobody tells.
    play.stage.change("a1", ready=False, why_not_ready="it does not answer")

    await play.pass_time(6 * HOUR)
    assert "a1" not in play.visited()


@pytest.mark.parametrize("ending", [ControlKind.ABORT, ControlKind.SUPERSEDE, None], ids=str)
async def test_leases_are_given_back_however_it_ends(
    play: Play, ending: ControlKind | None
) -> None:
    await play.start()
    await play.until(lambda: play.visited() == ["a0"], every=MINUTE)
    assert {lease.cell for lease in play.stage.book.all()} == {"component/server", "a0"}

    if ending is not None:
        await play.control(ending)
    await play.until(lambda: play.view().phase is Phase.ENDED)

    await play.at_once(lambda: play.stage.book.all() == [])


async def test_rollouts_that_write_the_same_component_take_turns(play: Play) -> None:
    await play.start()
    await play.start(NEWER, id="r2")

    await play.pass_time(HOUR)
    assert play.view("r2").phase is Phase.QUEUED
    assert play.told("queued", "r2") == ["rollout/r1 writes the server of the cells"]

    await play.until(lambda: play.view("r2").phase is Phase.ENDED)
    (its_turn,) = [e.at for e in play.stage.journals["r2"].values() if e.what == "started"]
    ended = play.view("r1").ended_at
    assert ended is not None
    assert ended <= its_turn <= play.stage.begun[len(CELLS)].at
    assert {cell.server_version for cell in play.stage.cells.values()} == {"1.31.3"}


async def test_it_goes_on_while_nothing_can_be_published(play: Play) -> None:
    play.stage.unpublished = "the store is down"
    await play.start()

    await play.until(lambda: len(play.visited()) == len(CELLS))
    assert play.stage.views == {}

    play.stage.unpublished = ""
    await play.until(lambda: "r1" in play.stage.views and play.view().phase is Phase.ENDED)
    assert play.view().outcome is Outcome.SUCCEEDED


@pytest.mark.timeout(200)
async def test_a_run_that_rolls_over_keeps_everything(engine: WorkflowEnvironment) -> None:
    client = await fresh_namespace(engine.client)
    async with small_fleet(client) as fleet:
        cells = await fleet.join(0, 0, 1)
        await fleet.start()
        view = await fleet.until("r1", Phase.ENDED)
        await fleet.rollouts.handle("r1").result()

        lengths = await assert_each_run_replays(client, ["rollout/r1"])
        assert len(lengths) > 1, "this engine suggests a new run early"
        assert {c: p.visits for c, p in view.cells.items()} == dict.fromkeys(cells, 1)
        assert [event.number for event in view.events] == list(range(1, len(view.events) + 1))
        assert {ring: p.baked for ring, p in view.rings.items()} == {0: True, 1: True}
        assert view.outcome is Outcome.SUCCEEDED
