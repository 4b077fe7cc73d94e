"""Approvals: of this plan, in view of this evidence."""

from dataclasses import replace

import pytest

from cells.visits.types import VisitOutcome
from rollout.gates import Verdict
from rollout.plan import view
from rollout.planning.approvals import evidence_seen
from rollout.policy import RingPolicy, RollbackScope
from rollout.types import CellStatus, ControlKind, WaitCode
from tests.rollout.rollouts import (
    HOUR,
    QUICK,
    World,
    cell,
    ring_of,
    rollout,
    starts,
    wait,
    world,
)

AGREED = replace(
    QUICK,
    rings=(
        RingPolicy(0, ("1", "all"), HOUR, HOUR, tolerance="1"),
        RingPolicy(1, ("1",), HOUR, HOUR, approvals=1),
    ),
    rollback=RollbackScope.NONE,
)


def at_work() -> World:
    """Return a rollout whose ring 0 has begun, and whose ring 1 needs somebody to agree."""
    made = world(*ring_of(3), cell("b0", 1), state=rollout(AGREED))
    made.run(until=lambda: len(made.started) == 2)
    return made


def approve(made: World, evidence: str | None = None, actor: str = "bob") -> str | None:
    seen = evidence_seen(made.state).digest if evidence is None else evidence
    return made.control(ControlKind.APPROVE, actor=actor, plan=made.state.plan_hash, evidence=seen)


def actors(made: World) -> list[str]:
    ring = made.state.rings.get(1)
    return [] if ring is None else [each.actor for each in ring.approvals]


def told(made: World) -> list[str]:
    return [event.message for event in made.state.events if event.what == "approvals void"]


def test_the_view_tells_what_an_approval_is_given_in_view_of() -> None:
    made = at_work()
    made.end("a1")

    shown = view(made.state, made.latest, made.fleet, made.now)

    assert shown.evidence == evidence_seen(made.state)
    assert shown.evidence_digest == shown.evidence.digest


def test_an_approval_keeps_what_was_seen_and_counts_while_that_is_no_worse() -> None:
    made = at_work()
    assert approve(made) is None

    made.run(until=lambda: made.started[-1] == ("b0",))

    assert told(made) == []


def test_an_approval_in_view_of_other_evidence_is_refused_and_told_what_is_seen_now() -> None:
    made = at_work()
    before = evidence_seen(made.state).digest
    made.end("a1", VisitOutcome.UNDONE)

    refused = approve(made, before)

    assert refused is not None
    assert "the evidence is not what was looked at" in refused
    assert "now failed visits: 1" in refused
    assert approve(made) is None


def test_an_approval_that_names_no_evidence_is_given_in_view_of_the_present() -> None:
    made = at_work()

    assert approve(made, "") is None

    (approval,) = made.state.rings[1].approvals
    assert approval.evidence == evidence_seen(made.state)


def test_a_failure_that_comes_after_an_approval_makes_it_void() -> None:
    made = at_work()
    assert approve(made) is None
    made.end("a1", VisitOutcome.UNDONE)

    made.plan()

    assert actors(made) == []
    (message,) = told(made)
    assert "ring 1: the evidence has turned worse (failed visits: 1, and 0 then)" in message
    assert "since bob agreed: approve it anew" in message


@pytest.mark.parametrize("verdict", [Verdict.NO_DATA, Verdict.CONFOUNDED, Verdict.FAIL], ids=str)
def test_a_verdict_that_earns_nothing_makes_an_approval_void(verdict: Verdict) -> None:
    made = at_work()
    assert approve(made) is None
    bake = made.state.rings[0].bake
    assert bake is not None
    made.state.rings[0].bake = replace(bake, verdict=verdict)

    made.plan()

    assert actors(made) == []
    assert f"verdict: {verdict}, and nothing against it then" in told(made)[0]


def test_what_is_undecided_makes_no_approval_void() -> None:
    made = at_work()
    assert approve(made) is None
    bake = made.state.rings[0].bake
    assert bake is not None
    made.state.rings[0].bake = replace(bake, verdict=Verdict.INCONCLUSIVE)

    made.plan()

    assert actors(made) == ["bob"]


def test_a_gate_that_somebody_answers_for_since_makes_an_approval_void() -> None:
    made = at_work()
    assert approve(made) is None
    assert made.control(ControlKind.COMPLETE_GATE, gate="canary", until=made.now + HOUR) is None

    made.plan()

    assert "gates that people answer for: canary, and not then" in told(made)[0]


def test_evidence_that_turns_better_leaves_an_approval_as_it_is() -> None:
    made = at_work()
    made.end("a1", VisitOutcome.UNDONE)
    made.plan()
    assert approve(made) is None
    assert made.control(ControlKind.RETRY, cell="a1") is None
    made.state.cells["a1"] = replace(made.state.cells["a1"], failures=0)

    made.plan()

    assert actors(made) == ["bob"]


def test_a_ring_does_not_begin_on_an_approval_that_counts_no_more() -> None:
    made = at_work()
    assert approve(made) is None
    made.run(until=lambda: made.state.rings[0].baked)
    made.state.cells["a2"] = replace(made.state.cells["a2"], failures=1)

    plan = made.turn()

    assert starts(plan) == []
    assert wait(plan, "b0").code is WaitCode.APPROVAL
    assert made.state.cells["b0"].status is CellStatus.WAITING
