"""What the workflow of a rollout does by itself and at once: lanes, looks, holds."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from temporalio.exceptions import ApplicationError

from cells.release import Release
from cells.visits.types import VisitOutcome
from rollout.gates import Reading, Verdict
from rollout.memory import all_is_well
from rollout.policy import Lane, RingPolicy, RollbackScope
from rollout.ports import WatchedCells
from rollout.simulation.world import Course
from rollout.types import CellStatus, ControlKind, Phase, StartRollout
from tests.rollout.rollouts import NEW, OLD, QUICK, RELEASE, cell, fleet
from tests.rollout.scenarios.stage import DAY, HOUR, MINUTE, playing

LONG = replace(
    QUICK,
    rings=(RingPolicy(0, ("1", "all"), HOUR, 5 * DAY),),
    emergency_for=6 * HOUR,
    rollback=RollbackScope.NONE,
)
CELLS = (cell("a0"), cell("a1"))


class Gates:
    """Answers as it is told to, and remembers when it was asked."""

    def __init__(self, verdict: Verdict = Verdict.PASS) -> None:
        self.verdict = verdict
        self.asked: list[datetime] = []

    def judge(self, watched: WatchedCells) -> tuple[Reading, ...]:
        self.asked.append(watched.until)
        return tuple(
            replace(reading, verdict=self.verdict, message=str(self.verdict))
            for reading in all_is_well(watched)
        )


def test_an_emergency_is_over_by_itself_and_stays_what_was_asked_for() -> None:
    with playing(fleet(*CELLS)) as play:
        play.start(policy=LONG, lane=Lane.EMERGENCY)
        emergency = play.view().emergency
        assert emergency is not None
        assert (emergency.actor, emergency.reason, emergency.closed) == ("ann", "monthly", "")

        play.pass_time(emergency.until - play.now + MINUTE)

        assert play.view().lane is Lane.NORMAL
        (told,) = play.told("emergency lane closed")
        assert "from now on the ordinary rules hold" in told
        asked = StartRollout("r1", RELEASE, LONG, "ann", "monthly", Lane.EMERGENCY)
        assert play.begin(asked).id == "r1"
        with pytest.raises(ApplicationError, match="choose another id"):
            play.begin(replace(asked, lane=Lane.NORMAL))


def test_a_rollout_that_a_bake_has_halted_looks_rarely_and_at_once_when_it_is_steered() -> None:
    gates = Gates()
    with playing(fleet(*CELLS)) as play:
        play.stage.judge = gates.judge
        play.start(policy=LONG)
        play.until(lambda: play.view().rings[0].bakes_ring)
        gates.verdict = Verdict.FAIL
        play.until(lambda: play.view().phase is Phase.HALTED)
        play.pass_time(DAY)
        gates.asked.clear()

        play.pass_time(DAY)

        assert len(gates.asked) <= DAY / LONG.alert_without_data_after + 1
        gates.asked.clear()
        gates.verdict = Verdict.PASS
        play.pass_time(MINUTE)
        assert gates.asked == []
        play.control(ControlKind.PAUSE)
        play.pass_time(MINUTE)
        assert gates.asked != []


@pytest.mark.parametrize("lost_after", [HOUR, 3 * DAY], ids=["soon", "late"])
def test_people_hear_of_lost_evidence_in_a_quarter_of_an_hour(lost_after: timedelta) -> None:
    gates = Gates()
    with playing(fleet(*CELLS)) as play:
        play.stage.judge = gates.judge
        play.start(policy=LONG)
        play.until(lambda: play.view().rings[0].bakes_ring)
        play.pass_time(lost_after)
        gates.verdict = Verdict.NO_DATA

        play.pass_time(16 * MINUTE)

        assert len(play.told("no data")) == 1


def test_a_cell_that_would_stay_too_far_behind_is_not_held() -> None:
    release = Release("r-1.32", server_version="1.32.0")
    cells = (cell("a0", server_version=NEW), cell("a1"))
    with playing(fleet(*cells, servers=(OLD, NEW, "1.32.0"))) as play:
        play.start(release)
        play.until(lambda: play.status("a0") is CellStatus.VISITING)

        with pytest.raises(ApplicationError, match=r"2 minor versions behind 1\.32\.0"):
            play.control(ControlKind.HOLD, cell="a1")


def test_whoever_retries_has_the_fleet_looked_at_anew() -> None:
    with playing(fleet(*CELLS)) as play:
        play.stage.courses["a0"] = Course(MINUTE, VisitOutcome.BROKEN)
        tolerant = (RingPolicy(0, ("1", "all"), HOUR, HOUR, tolerance="1"),)
        play.start(policy=replace(QUICK, rings=tolerant))
        play.until(lambda: play.status("a0") is CellStatus.BROKEN)
        play.pass_time(MINUTE)
        del play.stage.courses["a0"]
        play.stage.change("a0", quarantine="", ready=True)

        play.control(ControlKind.RETRY, cell="a0")

        play.pass_time(MINUTE)
        assert play.status("a0") is CellStatus.VISITING
