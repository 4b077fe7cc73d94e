"""Gates: which can be asked, and which a person answers for."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rollout.bake import accrue, begin
from rollout.evidence.queries import REPLICATION_LAG, standard_gates
from rollout.gates import (
    Evidence,
    Gate,
    GateKind,
    Reading,
    Verdict,
    check_gate,
    default_gates,
    overridden,
)
from rollout.people import GateOverride

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ERRORS = Gate("errors", GateKind.PROMETHEUS, 'errors{cell="$cell"}', below=0.01)
COMPARED = Gate("compared", GateKind.COMPARISON, 'errors{cell="$cell"}')


@pytest.mark.parametrize("gate", [*standard_gates(True), REPLICATION_LAG], ids=lambda g: g.name)
def test_every_ready_made_gate_can_be_asked(gate: Gate) -> None:
    check_gate(gate)


def test_without_prometheus_the_gates_are_those_that_need_nothing() -> None:
    assert standard_gates(False) == default_gates()
    assert standard_gates(True)[: len(default_gates())] == default_gates()


def test_ready_made_gates_have_names_of_their_own() -> None:
    names = [gate.name for gate in standard_gates(True)]

    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("gate", "told"),
    [
        (replace(ERRORS, name=""), "needs a name"),
        (replace(ERRORS, query="sum(errors)"), r'a query with "\$cell" in it'),
        (replace(COMPARED, query=""), r'a query with "\$cell" in it'),
        (replace(ERRORS, below=None), "has no bound: set below, above, or both"),
        (replace(ERRORS, below=math.nan), "below is nan: write a number"),
        (replace(ERRORS, above=-math.inf), "above is -inf: write a number"),
        (replace(ERRORS, below=1, above=2), "above 2 and below 1: none is"),
        (replace(COMPARED, below=1), "has no bounds: set tolerance"),
        (replace(COMPARED, tolerance=0), "tolerance is 0"),
        (replace(COMPARED, tolerance=math.nan), "tolerance is nan"),
        (replace(COMPARED, floor=-1), "floor is -1"),
        (replace(ERRORS, minimum_samples=0), "minimum_samples is 0: at least 1"),
        (replace(ERRORS, fresh_within=timedelta(0)), "fresh_within is 0:00:00"),
        (replace(ERRORS, rings=(0, -1)), r"rings are \[0, -1\]"),
        (Gate("health", GateKind.HEALTH, below=1), "takes neither query nor bounds"),
        (Gate("lag", GateKind.REPLICATION_LAG, below=1), r'a query with "\$cell" in it'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_gate_that_cannot_be_asked_is_refused_with_the_reason(gate: Gate, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        check_gate(gate)


FAILED = Evidence(
    NOW - HOUR,
    NOW,
    (
        Reading("errors", "c1", Verdict.FAIL, timedelta(0), "is 0.2"),
        Reading("errors", "c2", Verdict.NO_DATA, timedelta(0), "nobody answers"),
        Reading("health", "", Verdict.PASS, HOUR),
    ),
)
ANSWER = GateOverride("ana@example.com", "the query is wrong", NOW + HOUR)


def test_a_gate_that_a_person_answers_for_passes_for_the_whole_window() -> None:
    answered = overridden(FAILED, {"errors": ANSWER}, NOW)

    assert {(r.verdict, r.covers) for r in answered.readings} == {(Verdict.PASS, HOUR)}
    assert answered.readings[0].message == "ana@example.com answers for it: the query is wrong"
    assert accrue(begin(HOUR, NOW - HOUR), answered).credit == HOUR


def test_an_answer_holds_until_its_time_and_for_its_gate_alone() -> None:
    assert overridden(FAILED, {"errors": ANSWER}, NOW + HOUR) == FAILED
    assert overridden(FAILED, {"latency": ANSWER}, NOW) == FAILED


def test_nobody_answers_for_gates_that_were_not_asked() -> None:
    nothing = Evidence(NOW - HOUR, NOW, ())

    assert accrue(begin(HOUR, NOW), overridden(nothing, {"errors": ANSWER}, NOW)).verdict is (
        Verdict.NO_DATA
    )
