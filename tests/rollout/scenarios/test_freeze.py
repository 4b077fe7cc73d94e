"""Scenario 6: a freeze begins in the middle of a ring."""

from datetime import datetime

from cells.visits.types import VisitOutcome
from rollout.calendar import Calendar, Freeze
from rollout.gates import Reading, Verdict
from rollout.policy import RingPolicy, RollbackScope, RolloutPolicy
from rollout.ports import WatchedCells
from rollout.simulation.world import Course
from rollout.types import CellStatus, Outcome, Phase, WaitCode
from tests.rollout.rollouts import OLD, fleet, ring_of
from tests.rollout.scenarios.stage import DAY, HOUR, MINUTE, Play, playing

NINETY_MINUTES = 90 * MINUTE
FOUR_BY_TWO = RolloutPolicy(
    rings=(RingPolicy(0, ("1", "4"), HOUR, 2 * HOUR, tolerance="1"),),
    rollback=RollbackScope.BATCH,
    visit_takes=NINETY_MINUTES,
)
CELLS = ring_of(5)


def freeze(begins: datetime) -> Calendar:
    return Calendar(freezes=(Freeze("sale", "black Friday", begins, begins + 2 * DAY),))


def _two_of_four_under_way(play: Play) -> datetime:
    """Return when the batch of four began, of which two may be under way."""
    play.stage.courses |= {c.id: Course(NINETY_MINUTES, VisitOutcome.DONE) for c in CELLS}
    play.start(policy=FOUR_BY_TWO)
    play.until(lambda: len(play.visited()) == 3)
    return play.stage.begun[-1].at


def test_what_does_not_fit_in_before_a_freeze_does_not_start_and_resumes_by_itself() -> None:
    with playing(fleet(*CELLS)) as play:
        began = _two_of_four_under_way(play)

        # When a freeze begins an hour after those two are done, and a visit takes ninety minutes,
        begins = began + NINETY_MINUTES + HOUR
        play.stage.arrange(calendar=freeze(begins))
        play.until(lambda: WaitCode.CALENDAR in play.waits().values())

        # Then nobody starts before it, everybody can see until when, and the end has moved;
        until = begins + 2 * DAY
        waits = [wait for wait in play.view().waits if wait.code is WaitCode.CALENDAR]
        assert {wait.until for wait in waits} == {until}
        eta = play.view().eta_p50
        assert eta is not None
        assert eta > until
        play.pass_time(until - play.now - MINUTE)
        assert len(play.visited()) == 3

        # when it ends, the rollout goes on by itself.
        play.until(lambda: len(play.visited()) == 5)
        assert play.stage.begun[3].at - until < HOUR
        play.until(lambda: play.view().phase is Phase.ENDED)
        assert play.view().outcome is Outcome.SUCCEEDED


def test_when_a_freeze_begins_now_those_under_way_finish_and_a_regression_may_go_back() -> None:
    with playing(fleet(*CELLS)) as play:
        _two_of_four_under_way(play)

        # When a freeze begins at once, then those under way finish, and none starts;
        begins = play.now
        play.stage.arrange(calendar=freeze(begins))
        play.pass_time(DAY)
        statuses = [progress.status for progress in play.view().cells.values()]
        assert statuses.count(CellStatus.DONE) == 3
        assert len(play.visited()) == 3

        # when the release turns out bad in the freeze, the batch goes back in the freeze.
        play.stage.judge = _canaries_are_lost
        play.until(lambda: play.told("rolls back") != [] and not _has_release(play, 2))
        assert play.now < begins + 2 * DAY
        batch = play.visited()[1:3]
        assert {play.status(cell) for cell in batch} == {CellStatus.REVERTED}
        assert {play.stage.cells[cell].server_version for cell in batch} == {OLD}


def _has_release(play: Play, at_least: int) -> bool:
    statuses = [progress.status for progress in play.view().cells.values()]
    return statuses.count(CellStatus.DONE) + statuses.count(CellStatus.REVERTING) >= at_least


def _canaries_are_lost(watched: WatchedCells) -> tuple[Reading, ...]:
    lost = "3 canaries were lost"
    return (Reading("canary", watched.cells[0], Verdict.FAIL, watched.until - watched.since, lost),)
