"""Scenario 10: two minor versions at once, and a step after which nothing leads back."""

from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError

from cells.release import Release, SchemaStep
from cells.visits.types import VisitOutcome
from rollout.gates import Reading, Verdict
from rollout.policy import RollbackScope
from rollout.ports import WatchedCells
from rollout.simulation.world import Course
from rollout.types import CellStatus, ControlKind, Outcome, Phase, WaitCode
from tests.rollout.rollouts import NEW, OLD, QUICK, fleet, ring_of
from tests.rollout.scenarios.stage import DAY, HOUR, TAKES, playing

NEWEST = "1.32.0"
UPGRADE = Release("r-1.32", server_version=NEWEST, minimum_from=OLD)
FINALIZE = Release(
    "r-1.32-final",
    server_version=NEWEST,
    schema_steps=(SchemaStep("main", "1.20", one_way=True),),
    finalizes=UPGRADE.name,
)
SERVERS = (OLD, NEW, NEWEST)


def test_no_minor_version_is_jumped_and_a_hop_that_fails_stops_the_rollout() -> None:
    with playing(fleet(*ring_of(3), servers=SERVERS)) as play:
        # Given cells two minor versions behind, and one whose first hop fails,
        play.stage.courses["a1"] = Course(TAKES, VisitOutcome.UNDONE)

        play.start(UPGRADE)
        play.until(lambda: play.view().phase is Phase.HALTED)

        # Then every visit leads through the version between, and settles there for ten minutes,
        assert {request.hops for request in play.requests()} == {(NEW, NEWEST)}
        rules = {request.rules.settle for request in play.requests()}
        assert rules == {timedelta(minutes=10)}
        # and the cell that failed is where it was, without anybody going on.
        assert play.status("a1") is CellStatus.FAILED
        assert play.stage.cells["a1"].server_version == OLD
        play.pass_time(DAY)
        assert play.stage.cells["a2"].server_version == OLD


def test_nothing_is_finalized_while_a_cell_is_behind() -> None:
    cells = ring_of(3)
    with playing(fleet(*cells, servers=SERVERS)) as play:
        # Given a fleet in which one cell has not the version that is finalized,
        play.stage.change("a0", "a1", server_version=NEWEST)
        play.stage.change("a2", server_version=NEW)

        play.start(FINALIZE)
        play.until(lambda: set(play.waits().values()) == {WaitCode.FINALIZE})
        play.pass_time(DAY)

        # Then nothing starts, and everybody sees which cell it is;
        assert play.visited() == []
        assert f"a2 ({NEW})" in play.view().blocked

        # when that one is there, the rollout goes on by itself.
        play.stage.change("a2", server_version=NEWEST)
        play.until(lambda: play.view().phase is Phase.ENDED)
        assert play.view().outcome is Outcome.SUCCEEDED


def test_after_a_one_way_step_nothing_goes_back_and_the_way_forward_is_told() -> None:
    def lost(watched: WatchedCells) -> tuple[Reading, ...]:
        return (Reading("canary", watched.cells[0], Verdict.FAIL, HOUR, "canaries are lost"),)

    with playing(fleet(*ring_of(3), servers=SERVERS)) as play:
        play.stage.change("a0", "a1", "a2", server_version=NEWEST)
        # Given a rollout that takes the one-way step, and goes wrong after it,
        play.start(FINALIZE, replace(QUICK, rollback=RollbackScope.ALL))
        play.until(lambda: play.status("a0") is CellStatus.DONE)
        play.stage.judge = lost
        play.until(lambda: play.view().phase is Phase.HALTED)

        # When somebody wants it back, then it is refused, and told how to go on;
        with pytest.raises(ApplicationError, match=r"one-way steps of r-1.32, .* Roll forward"):
            play.control(ControlKind.ROLL_BACK, scope=RollbackScope.ALL)
        # and nothing goes back by itself.
        play.pass_time(6 * HOUR)
        assert play.visited() == ["a0"]
