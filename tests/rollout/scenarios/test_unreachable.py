"""Scenario 4: a cell cannot be reached: before its turn, under way, with others of its region."""

from datetime import timedelta

from cells.visits.types import VisitOutcome
from rollout.policy import RingPolicy, RolloutPolicy
from rollout.simulation.world import Course
from rollout.types import CellStatus, ControlKind, Outcome, Phase, Replicas, WaitCode
from tests.rollout.rollouts import RELEASE, fleet, ring_of
from tests.rollout.scenarios.stage import DAY, HOUR, playing

IN_TENS = RolloutPolicy(
    rings=(RingPolicy(0, ("1", "10"), HOUR, 2 * HOUR, tolerance="1"),),
    deferral_patience=7 * DAY,
)


def test_a_cell_that_is_away_before_its_turn_is_deferred_and_comes_through_the_same_gates() -> None:
    with playing(fleet(*ring_of(20))) as play:
        # Given a ring of twenty, of which one cannot be reached,
        play.stage.change("a7", ready=False, why_not_ready="it does not answer")

        # When the rollout goes through the others,
        play.start(policy=IN_TENS)
        play.until(lambda: len(play.visited()) == 19)
        play.pass_time(DAY)

        # Then that one is deferred and has cost nothing;
        assert play.status("a7") is CellStatus.DEFERRED
        assert play.why("a7").startswith("it is not ready: it does not answer")
        assert play.view().budgets[0] == "1 of 1 left, 0 under way"
        assert play.view().phase is Phase.FORWARD

        # when it is back, it comes by itself, and bakes like the others.
        play.stage.change("a7", ready=True, why_not_ready="")
        play.until(lambda: play.view().phase is Phase.ENDED)
        assert play.visited()[-1] == "a7"
        assert play.told("late cell baked") == ["ring 0"]
        assert play.view().outcome is Outcome.SUCCEEDED


def test_a_cell_that_is_lost_under_way_costs_budget_and_nobody_touches_it_or_its_partner() -> None:
    shared = (Replicas("n", "a3", ("a2",)),)
    with playing(fleet(*ring_of(20), replicas=shared)) as play:
        # Given a cell that is lost while it is upgraded, which its visit finds out in an hour,
        play.stage.courses["a2"] = Course(timedelta(hours=1), VisitOutcome.BROKEN)

        play.start(policy=IN_TENS)
        play.until(lambda: play.view().phase is Phase.HALTED)
        play.pass_time(DAY)

        # Then it is spent, people are told, and its partner stays as it is,
        assert play.status("a2") is CellStatus.BROKEN
        assert play.view().budgets[0].startswith("0 of 1 left")
        assert "a2 could be brought neither forward nor back" in play.told("halted")[0]
        assert play.stage.cells["a2"].release != RELEASE.digest
        assert "a3" not in play.visited()
        assert play.visited().count("a2") == 1

        # and keeps its lease even when the rollout is over: an operator sees to it first.
        play.control(ControlKind.ABORT)
        play.until(lambda: play.view().phase is Phase.ENDED)
        play.at_once(lambda: [lease.cell for lease in play.stage.book.all()] == ["a2"])


def test_three_cells_of_a_region_that_vanish_at_once_stop_that_region_alone() -> None:
    cells = (*ring_of(10, 0, "a"), *ring_of(10, 0, "b"))
    with playing(fleet(*cells)) as play:
        play.start(policy=IN_TENS)
        play.until(lambda: len(play.visited()) == 1)
        play.until(lambda: play.view().cells[play.visited()[0]].status is CellStatus.DONE)

        # When three cells of region a vanish at once,
        play.stage.change("a7", "a8", "a9", ready=False, why_not_ready="it does not answer")
        before = len([cell for cell in play.visited() if cell.startswith("a")])
        play.pass_time(DAY)

        # Then nothing starts there, and the other region goes on;
        visited = play.visited()
        assert len([cell for cell in visited if cell.startswith("a")]) == before
        assert [cell for cell in visited if cell.startswith("b")]
        assert set(play.view().confounded) == {"a"}
        waits = {c: code for c, code in play.waits().items() if c.startswith("a")}
        assert set(waits.values()) == {WaitCode.CONFOUNDED, WaitCode.SICK}
        assert play.view().budgets[0] == "1 of 1 left, 0 under way"

        # when they are back, the region goes on by itself.
        play.stage.change("a7", "a8", "a9", ready=True, why_not_ready="")
        play.until(lambda: play.view().phase is Phase.ENDED, within=3 * DAY)
        assert play.view().outcome is Outcome.SUCCEEDED
