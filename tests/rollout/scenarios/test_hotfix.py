"""Scenario 3: a hotfix takes over from a rollout that is paused."""

from dataclasses import replace

import pytest
from temporalio.exceptions import ApplicationError

from cells.release import Release
from rollout.policy import Lane, RingPolicy, RolloutPolicy, Supersession
from rollout.types import CellStatus, ControlKind, Outcome, Phase, WaitCode
from tests.rollout.rollouts import NEW, OLD, RELEASE, fleet, ring_of
from tests.rollout.scenarios.stage import DAY, HOUR, Play, playing

FIXED = "1.31.3"
HOTFIX = Release("r-1.31-fixed", server_version=FIXED, patch_of=RELEASE.name)
SLOW = RolloutPolicy(
    rings=(
        RingPolicy(0, ("1", "all"), HOUR, DAY),
        RingPolicy(1, ("1", "all"), HOUR, DAY),
        RingPolicy(2, ("1", "3", "all"), HOUR, DAY, tolerance="2"),
    )
)
TAKES_OVER = replace(SLOW, supersession=Supersession.SUPERSEDE)
CELLS = (*ring_of(2, 0, "a"), *ring_of(2, 1, "b"), *ring_of(8, 2, "c"))


def test_a_hotfix_takes_over_from_a_paused_rollout() -> None:
    with playing(fleet(*CELLS, servers=(OLD, NEW, FIXED))) as play:
        # Given a rollout that is paused in its last ring, with three cells in flight,
        play.start(policy=SLOW)
        in_flight = _paused_with_three_in_flight(play)
        old_plan = play.view("r1").plan_hash
        done = {c for c, p in play.view("r1").cells.items() if p.status is CellStatus.DONE}
        assert (len(done), len(in_flight)) == (5, 3)

        # When the hotfix is released by the emergency lane,
        play.start(HOTFIX, TAKES_OVER, "r2", Lane.EMERGENCY)

        # Then what is in flight comes to its end, and the old rollout is superseded;
        play.until(lambda: play.view("r1").phase is Phase.ENDED)
        assert play.view("r1").outcome is Outcome.SUPERSEDED
        assert {play.status(cell, "r1") for cell in in_flight} == {CellStatus.DONE}

        # nobody moves before two people have approved, and the old plan is none to approve;
        play.until(lambda: WaitCode.APPROVAL in play.waits("r2").values())
        play.pass_time(12 * HOUR)
        assert play.visited("r2") == []
        with pytest.raises(ApplicationError, match="is not the present one"):
            _approve(play, "cleo", old_plan)
        _approve(play, "bob", play.view("r2").plan_hash)
        play.pass_time(HOUR)
        assert play.visited("r2") == []
        _approve(play, "cleo", play.view("r2").plan_hash)

        # the first cell goes alone and in ring 0, by the bakes of the emergency lane;
        play.until(lambda: play.view("r2").phase is Phase.ENDED, within=3 * DAY)
        assert play.view("r2").outcome is Outcome.SUCCEEDED
        assert play.visited("r2")[0] in ("a0", "a1")
        assert set(play.told("ring bakes", "r2")) == {
            f"ring {ring}: 0:30:00 of green evidence" for ring in range(3)
        }

        # and every cell comes straight to the hotfix, from either version; none goes back.
        versions = {cell.server_version for cell in play.stage.cells.values()}
        assert versions == {FIXED}
        assert {request.hops for request in play.requests("r2")} == {(FIXED,)}
        assert sorted(play.visited("r2")) == sorted(cell.id for cell in CELLS)
        assert {request.hops for request in play.requests("r1")} == {(NEW,)}


def _paused_with_three_in_flight(play: Play) -> list[str]:
    def in_flight() -> list[str]:
        cells = play.view("r1").cells.items()
        return [cell for cell, p in cells if p.status is CellStatus.VISITING]

    play.until(lambda: len(in_flight()) == 3, within=7 * DAY)
    play.control(ControlKind.PAUSE, "r1")
    return in_flight()


def _approve(play: Play, actor: str, plan: str) -> None:
    id = f"{actor}-{plan}"
    play.control(ControlKind.APPROVE, "r2", id=id, actor=actor, plan=plan)
