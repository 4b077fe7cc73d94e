"""The life of a rollout, where no scenario tells it."""

from collections.abc import Iterator
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
def play() -> Iterator[Play]:
    servers = (OLD, NEW, "1.31.3")
    with playing(fleet(*CELLS, servers=servers)) as play:
        yield play


def test_what_has_begun_is_not_begun_again_and_is_not_another(play: Play) -> None:
    play.start()
    asked = StartRollout("r1", RELEASE, QUICK, "ann", "monthly")

    again = play.begin(asked)
    assert (again.id, again.release) == ("r1", RELEASE.name)
    with pytest.raises(ApplicationError, match="choose another id"):
        play.begin(replace(asked, release=NEWER))

    play.until(lambda: play.view().phase is Phase.ENDED)
    assert len(play.told("started")) == 1
    assert sorted(play.visited()) == sorted(cell.id for cell in CELLS)


def test_a_wish_that_is_repeated_is_done_once(play: Play) -> None:
    play.start()
    pause = Control("p1", ControlKind.PAUSE, "bob", "lunch")

    first = play.ask(pause)
    again = play.ask(pause)
    assert first.paused_by == again.paused_by == "bob: lunch"
    play.ask(replace(pause, id="p2", kind=ControlKind.RESUME))
    late = play.ask(pause)

    assert late.paused_by == ""
    play.at_once(lambda: play.told("resume") != [])
    assert play.told("pause") == ["lunch"]


def test_nothing_starts_while_the_fleet_cannot_be_seen_and_then_it_goes_on(
    play: Play,
) -> None:
    play.start()
    play.until(lambda: play.visited() == ["a0"])
    play.stage.blind = "the store is down"

    play.pass_time(3 * HOUR)

    assert play.visited() == ["a0"]
    assert "the store is down" in play.view().blocked
    assert [told for told in play.told("blocked") if "the store is down" in told]
    play.stage.blind = ""
    play.until(lambda: len(play.visited()) == 2, within=5 * MINUTE)
    play.until(lambda: play.view().phase is Phase.ENDED)
    assert play.view().outcome is Outcome.SUCCEEDED


def test_nothing_starts_on_an_old_look(play: Play) -> None:
    play.start()
    play.until(lambda: play.view().cells["a0"].status is CellStatus.DONE)

    # While the first cell bakes the next one falls sick, and nobody tells.
    play.stage.change("a1", ready=False, why_not_ready="it does not answer")

    play.pass_time(6 * HOUR)
    assert "a1" not in play.visited()


@pytest.mark.parametrize("ending", [ControlKind.ABORT, ControlKind.SUPERSEDE, None], ids=str)
def test_leases_are_given_back_however_it_ends(play: Play, ending: ControlKind | None) -> None:
    play.start()
    play.until(lambda: play.visited() == ["a0"])
    assert {lease.cell for lease in play.stage.book.all()} == {"component/server", "a0"}

    if ending is not None:
        play.control(ending)
    play.until(lambda: play.view().phase is Phase.ENDED)

    play.at_once(lambda: play.stage.book.all() == [])


def test_rollouts_that_write_the_same_component_take_turns(play: Play) -> None:
    play.start()
    play.start(NEWER, id="r2")

    play.pass_time(HOUR)
    assert play.view("r2").phase is Phase.QUEUED
    assert play.told("queued", "r2") == ["rollout/r1 writes the server of the cells"]

    play.until(lambda: play.view("r2").phase is Phase.ENDED)
    (its_turn,) = [e.at for e in play.stage.journals["r2"].values() if e.what == "started"]
    ended = play.view("r1").ended_at
    assert ended is not None
    assert ended <= its_turn <= play.stage.begun[len(CELLS)].at
    assert {cell.server_version for cell in play.stage.cells.values()} == {"1.31.3"}


def test_it_goes_on_while_nothing_can_be_published(play: Play) -> None:
    play.stage.unpublished = "the store is down"
    play.start()

    play.until(lambda: len(play.visited()) == len(CELLS))
    assert play.stage.views == {}

    play.stage.unpublished = ""
    play.until(lambda: "r1" in play.stage.views and play.view().phase is Phase.ENDED)
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
