"""The way back: what goes, in which order, and when nothing does."""

from dataclasses import replace

import pytest

from cells.release import Release, SchemaStep
from cells.visits.types import VisitOutcome
from rollout.calendar import Calendar, Freeze
from rollout.gates import Verdict
from rollout.policy import RingPolicy, RollbackScope, RolloutPolicy
from rollout.types import CellStatus, ControlKind, Outcome, Phase, Replicas, WaitCode
from tests.rollout.rollouts import (
    HOUR,
    NOW,
    OLD,
    QUICK,
    World,
    cell,
    codes,
    ring_of,
    rollout,
    starts,
    wait,
    world,
)

BAKED = replace(QUICK, rings=(RingPolicy(0, ("1", "all"), HOUR, HOUR, tolerance="9"),))


def all_done(policy: RolloutPolicy = BAKED, **rest: object) -> World:
    """Return a world in which the cells 0a, a0 to a5 (region a) and b0 have been brought, in two
    batches, and bake."""
    cells = (cell("0a"), *ring_of(6), cell("b0"))
    made = world(*cells, **{"state": rollout(policy), **rest})
    made.run(until=lambda: statuses(made, CellStatus.DONE) == set(made.cells))
    return made


def the_bake_fails(made: World) -> None:
    made.judge = lambda _: Verdict.FAIL
    made.pass_time(HOUR / 2)
    made.turn()
    assert made.state.phase is Phase.HALTED
    made.turn()


def statuses(made: World, status: CellStatus) -> set[str]:
    return {name for name, progress in made.state.cells.items() if progress.status is status}


def goes_back(made: World) -> None:
    for _ in range(20):
        made.turn()
        for name in made.under_way():
            made.end(name)


@pytest.mark.parametrize(
    ("scope", "reverted", "phase", "outcome"),
    [
        (RollbackScope.NONE, 0, Phase.HALTED, None),
        (RollbackScope.CELL, 0, Phase.HALTED, None),
        (RollbackScope.BATCH, 7, Phase.HALTED, None),
        (RollbackScope.RING, 8, Phase.HALTED, None),
        (RollbackScope.ALL, 8, Phase.ENDED, Outcome.FAILED),
    ],
)
def test_what_goes_back_by_itself_is_the_policys_choice(
    scope: RollbackScope, reverted: int, phase: Phase, outcome: Outcome | None
) -> None:
    made = all_done(replace(BAKED, rollback=scope))
    the_bake_fails(made)

    goes_back(made)

    back = statuses(made, CellStatus.REVERTED)
    assert len(back) == reverted
    assert {made.cells[name].server_version for name in back} <= {OLD}
    assert (made.state.phase, made.state.outcome) == (phase, outcome)


def test_what_is_under_way_finishes_before_anything_goes_back() -> None:
    policy = replace(
        QUICK,
        rings=(RingPolicy(0, ("1", "all"), HOUR, HOUR, tolerance="1"),),
        rollback=RollbackScope.BATCH,
    )
    made = world(cell("0a"), *ring_of(4), state=rollout(policy))
    made.run(until=lambda: len(made.started) == 2)
    made.end("a0", VisitOutcome.UNDONE)
    made.turn()
    made.end("a1")
    made.turn()
    assert made.under_way() == ["a2"]
    made.end("a2", VisitOutcome.UNDONE)

    assert made.turn().halt
    made.turn()

    assert starts(made.turn()) == ["a1"]
    assert made.state.phase is Phase.ROLLING_BACK


def test_back_is_faster_than_forward_and_leaves_half_of_each_region_serving() -> None:
    made = all_done(replace(BAKED, rollback=RollbackScope.ALL))
    the_bake_fails(made)

    plan = made.turn()

    assert sorted(starts(plan)) == ["0a", "a0", "a1", "a2", "b0"]
    assert codes(plan) == dict.fromkeys(("a3", "a4", "a5"), WaitCode.REGION_CAP)
    assert all(start.hops == (OLD,) for start in plan.starts)


def test_back_goes_in_a_freeze_and_not_against_an_incident_that_forbids_it() -> None:
    made = all_done(replace(BAKED, rollback=RollbackScope.ALL))
    made.rest["calendar"] = Calendar(freezes=(Freeze("f", "sale", NOW, NOW + 99 * HOUR),))
    the_bake_fails(made)

    assert made.turn().starts


def test_pairs_hold_on_the_way_back_and_passive_sides_go_first() -> None:
    pairs = (Replicas("n", "a0", ("b0",)),)
    made = all_done(replace(BAKED, rollback=RollbackScope.ALL), replicas=pairs)
    the_bake_fails(made)

    plan = made.turn()

    assert "b0" in starts(plan)
    assert wait(plan, "a0").code is WaitCode.PASSIVE_FIRST
    assert wait(made.turn(), "a0").code is WaitCode.PAIR
    goes_back(made)
    assert statuses(made, CellStatus.REVERTED) == set(made.cells)


def test_a_cell_that_cannot_go_back_halts_the_way_back_until_a_person_says() -> None:
    made = all_done(replace(BAKED, rollback=RollbackScope.ALL))
    the_bake_fails(made)
    for name in starts(made.turn()):
        made.end(name, VisitOutcome.UNDONE if name == "a0" else VisitOutcome.DONE)

    for _ in range(3):
        assert not made.turn().starts

    assert made.state.phase is Phase.HALTED
    assert made.state.cells["a0"].status is CellStatus.DONE
    assert made.control(ControlKind.ROLL_BACK, scope=RollbackScope.ALL) is None
    goes_back(made)
    assert made.state.outcome is Outcome.FAILED
    assert statuses(made, CellStatus.REVERTED) == set(made.cells)


def test_a_cell_that_breaks_on_its_way_back_stops_the_way_back() -> None:
    made = all_done(replace(BAKED, rollback=RollbackScope.ALL))
    the_bake_fails(made)
    for name in starts(made.turn()):
        made.end(name, VisitOutcome.BROKEN if name == "a0" else VisitOutcome.DONE)

    assert not made.turn().starts
    assert made.state.phase is Phase.HALTED
    assert "a0" in made.state.message


def test_a_release_with_one_way_steps_halts_and_does_not_go_back() -> None:
    release = Release(
        "contract",
        server_version="1.31.2",
        schema_steps=(SchemaStep("main", "1.20", one_way=True),),
        finalizes="r-1.31",
    )
    policy = replace(BAKED, rollback=RollbackScope.ALL)
    there = [cell(name, server_version="1.31.2") for name in ("a0", "a1")]
    made = world(*there, state=rollout(policy, release))
    made.turn()
    made.end("a0")
    made.turn()
    the_bake_fails(made)

    assert made.state.rolling_back is RollbackScope.NONE
    refused = made.control(ControlKind.ROLL_BACK, scope=RollbackScope.ALL)
    assert refused is not None
    assert "one-way steps of r-1.31" in refused
    assert "Roll forward" in refused


def test_a_cell_that_came_by_two_minor_versions_keeps_the_release() -> None:
    cells = (cell("a0", server_version="1.29.1"), cell("a1"))
    made = world(*cells, state=rollout(BAKED), rest={"servers": ("1.29.1", OLD, "1.31.2")})
    made.turn()
    made.end("a0")
    made.turn()

    assert made.control(ControlKind.ABORT, scope=RollbackScope.ALL) is None
    goes_back(made)

    assert made.state.outcome is Outcome.ABORTED
    assert made.state.cells["a0"].status is CellStatus.DONE


def test_cells_that_had_the_release_before_keep_it() -> None:
    has_it = cell("a9", release=rollout().release.digest, server_version="1.31.2")
    made = world(cell("a0"), cell("a1"), has_it, state=rollout(BAKED))
    made.turn()
    made.end("a0")
    made.turn()
    assert made.control(ControlKind.ABORT, scope=RollbackScope.ALL) is None

    goes_back(made)

    assert statuses(made, CellStatus.REVERTED) == {"a0"}
    assert statuses(made, CellStatus.DONE) == {"a9"}


def test_a_ring_that_went_back_begins_anew_when_it_is_retried() -> None:
    made = all_done(replace(BAKED, rollback=RollbackScope.RING))
    the_bake_fails(made)
    goes_back(made)
    made.judge = lambda _: Verdict.PASS

    assert made.control(ControlKind.RETRY) is None

    assert len(made.turn().starts) == 1
    made.run()
    for name in made.under_way():
        made.end(name)
    assert made.state.outcome is Outcome.SUCCEEDED


def test_sick_cells_go_back_too_and_quarantined_ones_do_not() -> None:
    made = all_done(replace(BAKED, rollback=RollbackScope.ALL))
    made.cells["a0"] = replace(made.cells["a0"], ready=False)
    made.cells["a1"] = replace(made.cells["a1"], quarantine="a person is at it")
    the_bake_fails(made)

    goes_back(made)

    assert made.state.cells["a0"].status is CellStatus.REVERTED
    assert made.state.cells["a1"].status is CellStatus.DONE
    assert made.state.outcome is Outcome.FAILED
