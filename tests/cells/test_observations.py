"""A cell's conditions by what was seen of it."""

from dataclasses import replace

import pytest

from cells.observations import is_ready, seen, unseen
from cells.types import CellCondition, CellState, ObservedCell
from cells.visits.types import EndedVisit, Visit, VisitOutcome, VisitPhase
from controlplane.resource import ConditionStatus
from tests.store.views import NOW, cell_view

SPEC = cell_view().spec
CELL = CellState("c1", SPEC, generation=4)
WANTED = SPEC.server_version
VISITED = replace(CELL, visit=Visit("v1", "r", "", VisitPhase.SERVER, "", NOW))
BROKEN = EndedVisit("v1", "r", VisitOutcome.BROKEN, "it smokes", 4, NOW)
DRIFT = f"it runs server 1.29.9, and {WANTED} was brought to it"


@pytest.mark.parametrize(
    ("observed", "ready", "in_sync", "message"),
    [
        (ObservedCell(WANTED), "AllPartsAnswer", "AsBrought", ""),
        (ObservedCell("1.29.9"), "Drifted", "Drifted", DRIFT),
        (ObservedCell(WANTED, ["no ingress"]), "PartsFailing", "AsBrought", "no ingress"),
        (ObservedCell("1.29.9", ["no ingress"]), "PartsFailing", "Drifted", f"no ingress; {DRIFT}"),
        (ObservedCell(None, ["no server"]), "PartsFailing", None, "no server"),
    ],
    ids=["well", "drifted", "sick", "sick and drifted", "silent"],
)
def test_what_was_seen_is_told_as_conditions(
    observed: ObservedCell, ready: str, in_sync: str | None, message: str
) -> None:
    conditions = seen(CELL, observed, SPEC, 4, NOW)

    assert conditions[CellCondition.READY].reason == ready
    assert conditions[CellCondition.READY].message == message
    assert is_ready(conditions) == (ready == "AllPartsAnswer")
    told = conditions.get(CellCondition.IN_SYNC)
    assert (told and told.reason) == in_sync


@pytest.mark.parametrize(
    ("state", "generation"), [(VISITED, 4), (CELL, 3)], ids=["visited", "changed meanwhile"]
)
def test_a_cell_that_is_being_changed_has_not_drifted(state: CellState, generation: int) -> None:
    conditions = seen(state, ObservedCell("1.29.9"), SPEC, generation, NOW)

    assert is_ready(conditions)
    assert CellCondition.IN_SYNC not in conditions


def test_what_a_broken_visit_left_is_nobodys_hand() -> None:
    left = replace(CELL, ended_visits=[BROKEN], software=None)

    conditions = seen(left, ObservedCell("1.29.9"), SPEC, 4, NOW)

    assert is_ready(conditions)
    assert conditions[CellCondition.IN_SYNC].status is ConditionStatus.UNKNOWN
    assert "it runs server 1.29.9" in conditions[CellCondition.IN_SYNC].message


def test_a_cell_that_could_not_be_looked_at_may_be_ready_or_not() -> None:
    before = replace(CELL, conditions=seen(CELL, ObservedCell(WANTED), SPEC, 4, NOW))

    conditions = unseen(before, 4, "no worker", NOW)

    ready = conditions[CellCondition.READY]
    assert (ready.status, ready.message) == (ConditionStatus.UNKNOWN, "no worker")
    assert conditions[CellCondition.IN_SYNC].status is ConditionStatus.TRUE
