"""Cells that somebody changed by hand: shown, and treated as the policy says."""

from dataclasses import replace

import pytest

from rollout.policy import Drift
from rollout.types import CellStatus, Outcome, Phase, WaitCode
from tests.rollout.rollouts import (
    HOUR,
    OLD,
    QUICK,
    World,
    codes,
    ring_of,
    rollout,
    starts,
    wait,
    world,
)

HOW = "it runs server 1.30.9, and 1.30.2 was brought to it"


def drifting(drift: Drift, *names: str) -> World:
    """Return a fleet of three cells, some of them changed by hand, and a rollout that meets it."""
    cells = [
        replace(each, drift=HOW, server_version="1.30.9") if each.id in names else each
        for each in ring_of(3)
    ]
    return world(*cells, state=rollout(replace(QUICK, drift=drift, deferral_cap="50%")))


def by_hand(made: World, name: str, version: str = "1.31.0") -> None:
    how = f"it runs server {version}, and 1.31.2 was brought to it"
    made.cells[name] = replace(made.cells[name], server_version=version, drift=how)


def test_a_cell_that_drifted_is_let_alone_and_the_rollout_says_so() -> None:
    made = drifting(Drift.HOLD, "a0")

    plan = made.turn()

    assert starts(plan) == ["a1"]
    waiting = wait(plan, "a0")
    assert waiting.code is WaitCode.DRIFTED
    assert HOW in waiting.message
    assert "drift: repair" in waiting.message
    assert made.state.cells["a0"].status is CellStatus.DEFERRED
    (told,) = [event for event in made.state.events if event.what == "drifted"]
    assert (told.cell, told.message) == ("a0", HOW)
    assert made.state.drifted == {"a0": HOW}


@pytest.mark.parametrize("drift", [Drift.REPORT, Drift.REPAIR], ids=str)
def test_where_the_policy_says_so_the_release_comes_to_a_cell_that_drifted(drift: Drift) -> None:
    made = drifting(drift, "a0")

    plan = made.turn()

    assert starts(plan) == ["a0"]
    assert plan.starts[0].before == "1.30.9"
    assert made.state.drifted == {"a0": HOW}


def test_more_drift_than_may_be_deferred_blocks_the_ring() -> None:
    made = drifting(Drift.HOLD, "a0", "a1")

    plan = made.turn()

    assert starts(plan) == []
    assert "2 of ring 0's 3 cells are sick" in plan.blocked


def test_a_cell_that_is_what_it_should_be_again_goes_on_by_itself() -> None:
    made = drifting(Drift.HOLD, "a0")
    made.turn()
    made.cells["a0"] = replace(made.cells["a0"], drift="", server_version=OLD)

    made.run()

    assert made.state.outcome is Outcome.SUCCEEDED
    told = [event.what for event in made.state.events]
    assert told.count("drifted no more") == 1


def test_a_cell_that_has_the_release_and_is_changed_by_hand_is_no_evidence_for_it() -> None:
    made = world(*ring_of(3), state=rollout(replace(QUICK, drift=Drift.REPORT)))
    made.run(until=lambda: len(made.started) == 2)
    made.end("a1")
    by_hand(made, "a0")

    plan = made.turn()

    assert plan.watch == ("a1",)
    assert made.state.cells["a0"].status is CellStatus.DONE


def test_a_cell_that_lost_the_release_by_hand_gets_it_again_where_drift_is_repaired() -> None:
    made = world(*ring_of(2), state=rollout(replace(QUICK, drift=Drift.REPAIR)))
    made.run(until=lambda: made.state.rings[0].bakes_ring)
    by_hand(made, "a0")

    plan = made.turn()

    assert starts(plan) == ["a0"]
    made.cells["a0"] = replace(made.cells["a0"], drift="")
    made.end("a0")
    made.run()
    assert made.state.outcome is Outcome.SUCCEEDED
    assert made.state.cells["a0"].visits == 2


def test_a_cell_that_lost_the_release_by_hand_stays_behind_where_drift_is_held() -> None:
    made = world(*ring_of(5), state=rollout(replace(QUICK, drift=Drift.HOLD)))
    made.run(until=lambda: made.state.rings[0].bakes_ring)
    by_hand(made, "a0")

    plan = made.turn()

    assert starts(plan) == []
    assert codes(plan) == {"a0": WaitCode.DRIFTED}
    made.run(until=lambda: made.state.deferrals_since is not None)
    assert "somebody changed it by hand" in made.latest.blocked
    made.pass_time(made.state.policy.deferral_patience + HOUR)
    made.run()
    assert made.state.outcome is Outcome.SUCCEEDED_WITH_DEFERRALS


def test_what_is_visited_has_not_drifted_whatever_is_seen_of_it() -> None:
    made = world(*ring_of(2), state=rollout(replace(QUICK, drift=Drift.REPAIR)))
    made.turn()
    by_hand(made, "a0", "1.30.5")

    made.turn()

    assert made.state.cells["a0"].status is CellStatus.VISITING


def test_a_halted_rollout_marks_nothing_that_drifts() -> None:
    made = world(*ring_of(3), state=rollout(replace(QUICK, drift=Drift.REPAIR)))
    made.run(until=lambda: len(made.started) == 2)
    made.state.phase = Phase.HALTED
    by_hand(made, "a0")

    made.turn()

    assert made.state.cells["a0"].status is CellStatus.DONE
    assert "a0" in made.state.drifted
