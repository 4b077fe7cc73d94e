"""What people may ask of a running rollout, and what they are told when they may not."""

from dataclasses import replace
from datetime import timedelta

import pytest

from cells.visits.types import VisitOutcome
from rollout.gates import Evidence, Reading, Verdict
from rollout.people import GateOverride
from rollout.planning import controls
from rollout.policy import Lane, RingPolicy, RollbackScope
from rollout.types import CellStatus, Control, ControlKind, Outcome, Phase, WaitCode
from tests.rollout.rollouts import (
    HOUR,
    NOW,
    QUICK,
    World,
    cell,
    ring_of,
    rollout,
    starts,
    wait,
    world,
)

APPROVED = replace(QUICK, rings=(RingPolicy(0, ("1", "all"), HOUR, HOUR, approvals=2),))


def moving() -> World:
    """Return a rollout with a0 done, a1 under way, a2 failed and a3 waiting."""
    policy = replace(QUICK, rings=(RingPolicy(0, ("1", "all"), HOUR, HOUR, tolerance="1"),))
    made = world(*ring_of(4), state=rollout(policy))
    made.run(until=lambda: len(made.started) == 2)
    made.end("a2", VisitOutcome.UNDONE)
    made.turn()
    assert made.under_way() == ["a1"]
    return made


def halted() -> World:
    """Return a rollout that halted because a0 failed; a1 waits."""
    made = world(cell("a0"), cell("a1"))
    made.turn()
    made.end("a0", VisitOutcome.UNDONE)
    made.turn()
    assert made.state.phase is Phase.HALTED
    return made


@pytest.mark.parametrize(
    ("kind", "rest", "told"),
    [
        (ControlKind.PAUSE, {"reason": ""}, "needs a reason"),
        (ControlKind.PAUSE, {"actor": ""}, "needs an actor"),
        (ControlKind.RESUME, {}, "neither paused nor halted"),
        (ControlKind.SKIP, {"cell": "nowhere"}, "no cell 'nowhere'"),
        (ControlKind.SKIP, {"cell": "a1"}, "under way"),
        (ControlKind.SKIP, {"cell": "a0"}, "roll it back instead"),
        (ControlKind.RETRY, {"cell": "a3"}, "nothing to retry"),
        (ControlKind.RETRY, {"cell": "nowhere"}, "no cell 'nowhere'"),
        (ControlKind.HOLD, {"cell": "a1"}, "under way"),
        (ControlKind.HOLD, {"cell": "a0"}, "has the release already"),
        (ControlKind.HOLD, {"cell": "a3", "until": NOW - HOUR}, "past"),
        (ControlKind.UNHOLD, {"cell": "a3"}, "not held"),
        (ControlKind.APPROVE, {"plan": "x"}, "nothing to approve"),
        (ControlKind.COMPLETE_GATE, {"gate": "halth"}, "one of health, canary"),
        (ControlKind.COMPLETE_GATE, {"gate": "health"}, "needs an expiry"),
        (ControlKind.COMPLETE_GATE, {"gate": "health", "until": NOW}, "past"),
        (
            ControlKind.COMPLETE_GATE,
            {"gate": "health", "until": NOW + timedelta(days=8)},
            "more than 7 days",
        ),
        (ControlKind.ROLL_BACK, {}, "say what goes back"),
        (ControlKind.ROLL_BACK, {"scope": RollbackScope.CELL}, "say which cell"),
        (ControlKind.ROLL_BACK, {"scope": RollbackScope.CELL, "cell": "a3"}, "it is waiting"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_refused_with_what_can(
    kind: ControlKind, rest: dict[str, object], told: str
) -> None:
    refused = moving().control(kind, **rest)

    assert refused is not None
    assert told in refused


def test_a_control_that_is_repeated_is_answered_and_done_once() -> None:
    made = moving()
    asked = Control("the-same", ControlKind.PAUSE, "bob", "lunch")
    controls.take(made.state, asked, made.now)
    made.control(ControlKind.RESUME)
    events = len(made.state.events)

    assert controls.refusal(made.state, asked, "", made.now) is None
    controls.take(made.state, asked, made.now)

    assert not made.state.paused_by
    assert len(made.state.events) == events


def test_whoever_asked_and_why_is_written_down() -> None:
    made = moving()
    made.control(ControlKind.SKIP, cell="a3", reason="it is being replaced")

    event = made.state.events[-1]
    assert (event.what, event.actor, event.cell) == ("skip", "bob", "a3")
    assert event.message == "it is being replaced"


def test_a_rollout_that_has_ended_is_told_nothing_more() -> None:
    made = world(cell("a0"))
    made.run()

    refused = made.control(ControlKind.PAUSE)

    assert refused is not None
    assert "has ended (succeeded)" in refused


# Approvals.


def test_who_started_a_rollout_does_not_approve_it_and_nobody_counts_twice() -> None:
    made = world(*ring_of(2), state=rollout(APPROVED))
    made.turn()
    plan = made.state.plan_hash

    assert "somebody else" in str(made.control(ControlKind.APPROVE, actor="ann", plan=plan))
    assert made.control(ControlKind.APPROVE, actor="bob", plan=plan) is None
    assert "already" in str(made.control(ControlKind.APPROVE, actor="bob", plan=plan))
    assert not made.turn().starts


def test_an_approval_of_another_plan_is_refused_with_the_present_one() -> None:
    made = world(*ring_of(2), state=rollout(APPROVED))
    made.turn()

    refused = made.control(ControlKind.APPROVE, plan="0123456789abcdef")

    assert refused is not None
    assert made.state.plan_hash in refused


def test_a_ring_that_needs_none_takes_no_approval() -> None:
    made = world(*ring_of(2), cell("b0", 1))
    made.turn()

    refused = made.control(ControlKind.APPROVE, plan=made.state.plan_hash)
    assert "ring 1 needs no approval" in str(refused)
    other = made.control(ControlKind.APPROVE, plan=made.state.plan_hash, ring=0)
    assert "ring 1 is the next" in str(other)


def test_the_emergency_lane_takes_two_people_to_open_and_is_quick_then() -> None:
    ring = RingPolicy(
        0, ("1", "1"), 9 * HOUR, 99 * HOUR, tolerance="99", emergency_bake=timedelta(minutes=30)
    )
    policy = replace(QUICK, rings=(ring,))
    made = world(*ring_of(8), state=rollout(policy, lane=Lane.EMERGENCY))
    assert wait(made.turn(), "a0").code is WaitCode.APPROVAL
    for actor in ("bob", "cleo"):
        made.control(ControlKind.APPROVE, actor=actor, plan=made.state.plan_hash)

    made.run()

    assert [len(batch) for batch in made.started] == [1, 2, 4, 1]
    assert made.now - NOW < 3 * HOUR


def test_the_emergency_lane_does_not_do_without_a_first_cell() -> None:
    made = world(cell("a0"), cell("b0", 1), state=rollout(lane=Lane.EMERGENCY))
    made.turn()

    assert "first cell" in str(made.control(ControlKind.SKIP, cell="a0"))


# Going on after a halt.


def test_a_halted_rollout_goes_on_once_what_failed_is_retried_or_skipped() -> None:
    for kind in (ControlKind.RETRY, ControlKind.SKIP):
        made = halted()
        refused = made.control(ControlKind.RESUME)
        assert refused is not None
        assert "retry, skip, roll back or abort" in refused

        assert made.control(kind, cell="a0") is None

        assert made.state.phase is Phase.FORWARD
        assert starts(made.turn()) == (["a0"] if kind is ControlKind.RETRY else ["a1"])


def test_a_halt_by_evidence_is_resumed_with_a_bake_that_begins_anew() -> None:
    made = world(cell("a0"), cell("a1"))
    made.turn()
    made.end("a0")
    made.turn()
    made.judge = lambda _: Verdict.FAIL
    made.pass_time(HOUR / 2)
    made.turn()
    assert "resume it instead" in str(made.control(ControlKind.RETRY))

    assert made.control(ControlKind.RESUME) is None

    made.judge = lambda _: Verdict.PASS
    assert wait(made.turn(), "a1").code is WaitCode.BAKE
    made.pass_time(HOUR)
    assert starts(made.turn()) == ["a1"]


def test_only_a_person_lets_a_release_go_on_after_a_cell_broke() -> None:
    made = world(cell("a0"), cell("a1"))
    made.turn()
    made.end("a0", VisitOutcome.BROKEN)
    made.turn()
    assert "a0 could be brought neither forward nor back" in str(made.control(ControlKind.RESUME))

    assert made.control(ControlKind.RETRY) is None

    assert wait(made.turn(), "a0").code is WaitCode.QUARANTINED
    made.cells["a0"] = replace(made.cells["a0"], quarantine="", ready=True)
    assert starts(made.turn()) == ["a0"] or made.started[-1] == ("a1",)


# Ending it.


def test_an_aborted_rollout_ends_when_nothing_is_under_way_and_leaves_what_is_done() -> None:
    made = moving()

    assert made.control(ControlKind.ABORT) is None

    assert not made.turn().starts
    assert made.state.phase is Phase.STOPPING
    made.end("a1")
    made.turn()
    assert made.state.outcome is Outcome.ABORTED
    assert made.state.cells["a0"].status is CellStatus.DONE


def test_an_aborted_rollout_goes_back_if_asked() -> None:
    made = moving()
    assert made.control(ControlKind.ABORT, scope=RollbackScope.ALL) is None
    assert not made.turn().starts
    made.end("a1")

    for _ in range(5):
        made.turn()
        for name in made.under_way():
            made.end(name)

    assert made.state.outcome is Outcome.ABORTED
    assert made.state.cells["a1"].status is CellStatus.REVERTED


def test_a_superseded_rollout_lets_what_is_under_way_finish() -> None:
    made = moving()
    assert made.control(ControlKind.SUPERSEDE, actor="rollout/r2") is None
    assert "stops already" in str(made.control(ControlKind.SUPERSEDE))

    assert not made.turn().starts
    made.end("a1")
    made.turn()

    assert made.state.outcome is Outcome.SUPERSEDED


def test_one_cell_can_be_taken_back_alone() -> None:
    made = moving()
    assert made.control(ControlKind.ROLL_BACK, scope=RollbackScope.CELL, cell="a0") is None
    made.end("a1")
    for _ in range(5):
        made.turn()
        for name in made.under_way():
            made.end(name)

    assert made.state.cells["a0"].status is CellStatus.REVERTED
    assert made.state.cells["a1"].status is CellStatus.DONE
    assert made.state.phase is Phase.HALTED
    assert made.control(ControlKind.RESUME) is None


# Overrides.


def test_a_gate_that_a_person_answers_for_passes_until_the_override_expires() -> None:
    made = moving()
    until = made.now + HOUR
    assert made.control(ControlKind.COMPLETE_GATE, gate="canary", until=until) is None
    seen = Evidence(
        made.now,
        made.now + HOUR / 2,
        (
            Reading("canary", "a0", Verdict.NO_DATA, timedelta(0)),
            Reading("health", "a0", Verdict.FAIL, timedelta(0)),
        ),
    )

    canary, health = controls.overridden(made.state, seen, made.now).readings

    assert (canary.verdict, canary.covers) == (Verdict.PASS, HOUR / 2)
    assert health.verdict is Verdict.FAIL
    assert controls.overridden(made.state, seen, until) == seen
    made.now = until
    made.turn()
    assert made.state.overrides == {}
    assert "gate counts again" in [event.what for event in made.state.events]


def test_an_override_names_who_answers() -> None:
    state = rollout()
    state.overrides["health"] = GateOverride("bob", "the probe is broken", NOW + HOUR)
    seen = Evidence(NOW, NOW, (Reading("health", "a0", Verdict.FAIL, timedelta(0)),))

    (reading,) = controls.overridden(state, seen, NOW).readings

    assert reading.message == "bob answers for it: the probe is broken"
