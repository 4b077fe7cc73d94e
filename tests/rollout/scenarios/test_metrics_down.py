"""Scenario 5: the source of metrics is down for six hours, or lies."""

from datetime import datetime, timedelta

import pytest
from temporalio.exceptions import ApplicationError

from rollout.gates import Gate, GateKind, Reading, Verdict
from rollout.policy import RingPolicy, RollbackScope, RolloutPolicy
from rollout.ports import WatchedCells
from rollout.types import CellStatus, ControlKind, Outcome, Phase
from tests.rollout.rollouts import fleet, ring_of
from tests.rollout.scenarios.stage import HOUR, Play, playing

ERRORS = Gate("errors", GateKind.PROMETHEUS, 'errors{cell="$cell"}', below=0.01)
CANARY = Gate("canary", GateKind.CANARY)
TEN_HOURS = RolloutPolicy(
    rings=(
        RingPolicy(0, ("1", "all"), HOUR, 10 * HOUR),
        RingPolicy(1, ("1", "all"), HOUR, 10 * HOUR),
    ),
    gates=(ERRORS, CANARY),
    rollback=RollbackScope.NONE,
)
CELLS = (*ring_of(1, 0, "a"), *ring_of(1, 1, "b"))


class Metrics:
    """The gates' answers: metrics that may be down, which nothing of is ever seen then."""

    down = ""
    """Why they cannot be had."""
    up_since: datetime | None = None
    canary = Verdict.PASS

    def judge(self, watched: WatchedCells) -> tuple[Reading, ...]:
        window = watched.until - watched.since
        if self.up_since is not None:
            window = min(window, max(watched.until - self.up_since, timedelta(0)))
        canary = Reading("canary", "", self.canary, window, "3 canaries were lost")
        if self.down:
            return (canary, Reading("errors", "", Verdict.NO_DATA, timedelta(0), self.down))
        return (canary, Reading("errors", "", Verdict.PASS, window))


def credit(play: Play, ring: int = 0) -> timedelta:
    bake = play.view().rings[ring].bake
    return bake.credit if bake is not None else timedelta(0)


def _bake_at_60_percent(play: Play, metrics: Metrics, why: str) -> timedelta:
    """Start, bake a while, and let the metrics go down; return the credit there is then."""
    play.stage.judge = metrics.judge
    play.start(policy=TEN_HOURS)
    play.until(lambda: credit(play) >= 6 * HOUR)
    metrics.down = why
    return credit(play)


def test_without_metrics_the_bake_stands_still_people_are_told_and_it_resumes_by_itself() -> None:
    with playing(fleet(*CELLS)) as play:
        # Given a bake that has more than half of its credit,
        metrics = Metrics()
        before = _bake_at_60_percent(play, metrics, "Prometheus answered 503")

        # When there are no metrics for six hours,
        play.pass_time(6 * HOUR)

        # Then nothing is earned, nobody is promoted, nothing goes back, and people are told once;
        assert credit(play) == before
        assert play.visited() == ["a0"]
        assert (play.view().phase, play.status("a0")) == (Phase.FORWARD, CellStatus.DONE)
        (told,) = play.told("no data")
        assert "Prometheus answered 503" in told
        (at,) = [e.at for e in play.stage.journals["r1"].values() if e.what == "no data"]
        bake = play.view().rings[0].bake
        assert bake is not None
        assert bake.without_data_since is not None
        assert at - bake.without_data_since < HOUR

        # when they are back, the bake goes on from where it stood.
        metrics.down, metrics.up_since = "", play.now
        began_again = metrics.up_since
        play.until(lambda: play.visited() == ["a0", "b0"])
        assert play.stage.begun[-1].at - began_again >= 10 * HOUR - before
        play.until(lambda: play.view().phase is Phase.ENDED)
        assert play.view().outcome is Outcome.SUCCEEDED


def test_a_person_may_answer_for_metrics_with_a_reason_and_an_end() -> None:
    with playing(fleet(*CELLS)) as play:
        metrics = Metrics()
        before = _bake_at_60_percent(play, metrics, "the newest sample is 2 h old")
        gate = ControlKind.COMPLETE_GATE
        now = play.now

        # Without an end or a reason nobody may;
        with pytest.raises(ApplicationError, match="an override needs an expiry"):
            play.control(gate, gate="errors")
        with pytest.raises(ApplicationError, match="needs a reason"):
            play.control(gate, gate="errors", until=now + HOUR, reason="", id="without")

        # for as long as somebody does, the bake goes on, and no longer.
        play.control(gate, gate="errors", until=now + 2 * HOUR, reason="seen by eye", id="with")
        play.pass_time(12 * HOUR)
        assert before < credit(play) <= before + 3 * HOUR
        assert play.told("gate counts again") == ["errors: the override has expired"]
        assert play.visited() == ["a0"]


def test_metrics_that_lie_do_not_hide_a_canary_that_fails() -> None:
    with playing(fleet(*CELLS)) as play:
        # Given metrics that are green, whatever happens,
        metrics = Metrics()
        play.stage.judge = metrics.judge
        play.start(policy=TEN_HOURS)
        play.until(lambda: credit(play) >= HOUR)

        # When canaries are lost, then the rollout halts, says so, and the credit is gone.
        metrics.canary = Verdict.FAIL
        play.until(lambda: play.view().phase is Phase.HALTED)
        assert "canary: 3 canaries were lost" in play.told("halted")[0]
        assert credit(play) == timedelta(0)
        play.pass_time(6 * HOUR)
        assert play.visited() == ["a0"]
