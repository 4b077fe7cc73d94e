"""Scenario 8: cells fail side by side; no more are lost than tolerated, and one."""

from cells.visits.types import VisitOutcome
from rollout.policy import RingPolicy, RollbackScope, RolloutPolicy
from rollout.simulation.world import Course
from rollout.types import CellStatus, Outcome, Phase
from tests.rollout.rollouts import OLD, fleet, ring_of
from tests.rollout.scenarios.stage import DAY, HOUR, TAKES, playing

FIVE_AT_ONCE = RolloutPolicy(
    rings=(RingPolicy(0, ("1", "5", "all"), HOUR, 2 * HOUR, tolerance="1"),),
    rollback=RollbackScope.ALL,
)
FAILS = Course(TAKES, VisitOutcome.UNDONE)


def test_no_more_fail_than_tolerated_and_one_and_it_ends_as_failed() -> None:
    with playing(fleet(*ring_of(12))) as play:
        # Given a ring that may lose one cell, in which all but the first fail.
        first, *others = (cell.id for cell in ring_of(12))
        play.stage.courses |= dict.fromkeys(others, FAILS)

        # When five are to go at once,
        play.start(policy=FIVE_AT_ONCE)
        play.until(lambda: play.view().phase is Phase.ENDED)
        play.pass_time(2 * DAY)

        # Then two were at stake at once, no later batch began, and all is as it was.
        assert [batch.count("a") for batch in play.told("batch begins")] == [2, 6], "batches"
        assert len(play.visited()) == 1 + 2 + 1, "the first, two that failed, the first goes back"
        assert (play.visited()[0], play.visited()[-1]) == (first, first)
        statuses = [progress.status for progress in play.view().cells.values()]
        assert statuses.count(CellStatus.FAILED) == 2
        assert "2 of ring 0's cells failed, 1 may" in play.told("halted")[0]
        assert play.view().outcome is Outcome.FAILED
        assert {cell.server_version for cell in play.stage.cells.values()} == {OLD}


def test_a_rollout_with_a_tolerated_failure_does_not_end_as_succeeded() -> None:
    with playing(fleet(*ring_of(4))) as play:
        play.stage.courses["a2"] = FAILS

        play.start(policy=FIVE_AT_ONCE)
        play.until(lambda: play.view().phase is Phase.ENDED)

        assert play.view().outcome is Outcome.FAILED
        assert len([c for c in play.view().cells.values() if c.status is CellStatus.DONE]) == 3
