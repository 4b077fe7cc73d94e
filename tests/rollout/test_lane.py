"""The emergency lane: it is open for a time, and the ordinary rules hold afterwards."""

from dataclasses import replace
from datetime import timedelta

from cells.visits.types import VisitOutcome
from rollout.plan import view
from rollout.planning import lane
from rollout.policy import Lane, RingPolicy, RollbackScope
from rollout.types import ControlKind, Outcome, Phase
from tests.rollout.rollouts import (
    HOUR,
    NOW,
    QUICK,
    World,
    cell,
    ring_of,
    rollout,
    starts,
    world,
)

MINUTE = timedelta(minutes=1)
HURRIED = replace(
    QUICK,
    rings=tuple(
        RingPolicy(ring, ("1", "all"), HOUR, 2 * HOUR, emergency_bake=30 * MINUTE)
        for ring in range(2)
    ),
    emergency_for=6 * HOUR,
    rollback=RollbackScope.NONE,
)


def emergency(*in_rings: int) -> World:
    """Return an emergency that two people have agreed to."""
    cells = [cell(f"a{n}", ring) for n, ring in enumerate(in_rings)]
    made = world(*cells, state=rollout(HURRIED, lane=Lane.EMERGENCY))
    made.plan()
    for actor in ("bob", "cleo"):
        assert made.control(ControlKind.APPROVE, actor=actor, plan=made.state.plan_hash) is None
    return made


def test_who_declared_it_and_until_when_is_shown() -> None:
    made = emergency(0)

    shown = view(made.state, made.latest, made.fleet, made.now)

    assert shown.lane is Lane.EMERGENCY
    assert shown.emergency is not None
    assert (shown.emergency.actor, shown.emergency.reason) == ("ann", "monthly")
    assert (shown.emergency.since, shown.emergency.until) == (NOW, NOW + 6 * HOUR)
    assert shown.emergency.closed == ""


def test_a_rollout_that_is_through_in_time_is_an_emergency_all_along() -> None:
    made = emergency(0, 0, 1)

    made.run()

    assert made.state.outcome is Outcome.SUCCEEDED
    assert made.now - NOW < 6 * HOUR
    assert made.state.lane is Lane.EMERGENCY


def test_once_its_time_is_over_the_ordinary_rules_hold_for_bakes_under_way_and_to_come() -> None:
    made = emergency(0, 0, 1)
    made.run(until=lambda: made.state.rings[0].baked)
    made.run(until=lambda: 1 in made.state.rings and made.state.rings[1].bake is not None)
    baking = made.state.rings[1].bake
    assert baking is not None
    assert baking.needed == 30 * MINUTE

    made.now = NOW + 6 * HOUR
    made.plan()

    assert made.state.lane is Lane.NORMAL
    bake = made.state.rings[1].bake
    assert bake is not None
    assert bake.needed == (2 * HOUR if made.state.rings[1].bakes_ring else HOUR)
    (told,) = [e.message for e in made.state.events if e.what == "emergency lane closed"]
    assert "it was open until 2026-11-23 18:00 UTC: from now on the ordinary rules hold" in told
    assert "as an emergency lets them: 0" in told
    assert made.state.emergency is not None
    assert made.state.emergency.closed
    made.run()
    assert made.state.outcome is Outcome.SUCCEEDED
    last = made.state.rings[1].bake
    assert last is not None
    assert last.credit >= last.needed == 2 * HOUR


def test_a_batch_after_the_lane_was_closed_is_as_big_as_the_policy_says() -> None:
    policy = replace(
        HURRIED, rings=(RingPolicy(0, ("1",), HOUR, HOUR, "9", emergency_bake=30 * MINUTE),)
    )
    made = world(*ring_of(9), state=rollout(policy, lane=Lane.EMERGENCY))
    made.plan()
    for actor in ("bob", "cleo"):
        made.control(ControlKind.APPROVE, actor=actor, plan=made.state.plan_hash)
    made.run(until=lambda: len(made.started) == 2)
    assert [len(batch) for batch in made.started] == [1, 2]
    for name in made.under_way():
        made.end(name)
    made.now = NOW + 7 * HOUR

    made.run()

    assert [len(batch) for batch in made.started[2:]] == [1] * 6


def test_the_rollout_wakes_when_the_lane_closes() -> None:
    made = emergency(0)
    made.turn()

    assert made.turn().wake_at == NOW + 6 * HOUR


def test_a_first_cell_that_does_not_take_the_release_closes_the_lane() -> None:
    made = emergency(0, 0, 1)
    assert starts(made.turn()) == ["a0"]
    made.end("a0", VisitOutcome.UNDONE)

    made.turn()

    assert made.state.phase is Phase.HALTED
    assert made.state.lane is Lane.NORMAL
    assert made.state.emergency is not None
    assert made.state.emergency.closed == "the first cell, a0, did not take the release"
    assert lane.was_asked_for(made.state) is Lane.EMERGENCY


def test_a_later_cell_that_fails_leaves_the_lane_open() -> None:
    made = emergency(0, 0, 0)
    made.run(until=lambda: len(made.started) == 2)
    made.end(made.started[1][0], VisitOutcome.UNDONE)

    made.turn()

    assert made.state.lane is Lane.EMERGENCY


def test_nobody_else_has_a_lane() -> None:
    made = world(cell("a0"))

    made.run()

    assert made.state.emergency is None
