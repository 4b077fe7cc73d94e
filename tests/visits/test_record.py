"""What a cell notes of visits."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cells.release import Software
from cells.types import CellState
from cells.visits import record
from cells.visits.types import BeginVisit, EndVisit, VisitMoved, VisitOutcome, VisitPhase
from tests.engine import CELL
from tests.visits.visiting import NEXT, OLD, spec_at

NOW = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)


def a_cell() -> CellState:
    return CellState(CELL, spec_at(OLD), release="of before", software=Software(OLD))


def begin(cell: CellState, visit: str = "v1") -> int:
    assert record.obstacle(cell, visit) == ""
    return record.begin(cell, BeginVisit(visit, f"r-{NEXT}", "rollout/r"), NOW)


def ended(
    outcome: VisitOutcome, software: Software | None = None, *, visit: str = "v1"
) -> EndVisit:
    return EndVisit(visit, outcome, software, "of now", "because")


def test_generations_rise_and_are_given_once_each() -> None:
    cell, given = a_cell(), []
    for number in range(3):
        given.append(begin(cell, f"v{number}"))
        assert begin(cell, f"v{number}") == given[-1], "asked again, answered as before"
        given.append(record.fence(cell))
        given.append(record.fence(cell))
        assert begin(cell, f"v{number}") == given[-1]
        record.end(cell, ended(VisitOutcome.DONE, visit=f"v{number}"), NOW)

    assert given == sorted(set(given))


def test_a_visit_that_is_under_way_keeps_others_off() -> None:
    cell = a_cell()
    begin(cell)

    assert record.obstacle(cell, "v2") == (
        f"{CELL} is being brought to r-{NEXT} by visit v1, asked for by rollout/r, since "
        "2026-11-22 05:00 in phase preflight: wait until that has ended"
    )
    assert record.cannot_go_on(cell, "v2") == f"visit v2 is not under way at {CELL}"
    assert record.cannot_end(cell, "v2") != ""
    assert not record.move(cell, VisitMoved("v2", VisitPhase.DONE), NOW)
    assert not record.end(cell, ended(VisitOutcome.DONE, visit="v2"), NOW)
    assert cell.visit is not None
    assert cell.visit.phase == VisitPhase.PREFLIGHT


def test_a_visit_that_ended_cannot_begin_again_and_may_end_again() -> None:
    cell = a_cell()
    begin(cell)
    record.end(cell, ended(VisitOutcome.UNDONE, Software(OLD)), NOW)
    before = replace(cell)

    assert record.obstacle(cell, "v1").startswith(f"visit v1 of {CELL} ended at 2026-11-22 05:00")
    assert "may write no more" in record.cannot_go_on(cell, "v1")
    assert record.cannot_end(cell, "v1") == ""
    assert not record.end(cell, ended(VisitOutcome.BROKEN), NOW)
    assert cell == before


def test_only_the_latest_visits_are_remembered() -> None:
    cell = a_cell()
    for number in range(record.ENDED_VISITS_KEPT + 3):
        begin(cell, f"v{number}")
        record.end(cell, ended(VisitOutcome.DONE, visit=f"v{number}"), NOW)

    assert [visit.id for visit in cell.ended_visits] == [
        f"v{number}" for number in range(3, record.ENDED_VISITS_KEPT + 3)
    ]


@pytest.mark.parametrize("outcome", VisitOutcome)
def test_what_a_visit_left_is_what_the_cell_is_from_then_on(outcome: VisitOutcome) -> None:
    cell = a_cell()
    begin(cell)
    generation = cell.generation
    record.end(cell, ended(outcome, Software(NEXT)), NOW)

    assert cell.visit is None
    assert cell.generation > generation, "it is looked at anew"
    if outcome == VisitOutcome.REFUSED:
        left = (OLD, "of before", Software(OLD))
    else:
        left = (NEXT, "of now", Software(NEXT))
    assert (cell.spec.server_version, cell.release, cell.software) == left
    assert (cell.quarantine is not None) == (outcome == VisitOutcome.BROKEN)


def test_a_cell_that_nobody_knows_keeps_the_version_it_should_have() -> None:
    cell = a_cell()
    begin(cell)
    record.end(cell, ended(VisitOutcome.BROKEN), NOW)

    assert (cell.spec.server_version, cell.software) == (OLD, None)
    assert record.obstacle(cell, "v2").startswith(
        f"{CELL} is quarantined by visit v1: because. Lift the quarantine"
    )
    cell.quarantine = None
    assert begin(cell, "v2") == cell.generation


def test_a_phase_is_shown_with_the_time_it_began() -> None:
    cell = a_cell()
    begin(cell)
    later = NOW + timedelta(minutes=1)

    assert record.move(cell, VisitMoved("v1", VisitPhase.SERVER, "1.30.2 to 1.31.2"), later)

    assert cell.visit is not None
    assert (cell.visit.phase, cell.visit.message, cell.visit.since) == (
        VisitPhase.SERVER,
        "1.30.2 to 1.31.2",
        later,
    )
