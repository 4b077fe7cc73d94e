"""Cells whose visit died: freed by a person, and by nobody while it lives."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.client import WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from cells.types import CellView
from cells.visits.client import VisitClient
from cells.visits.types import VisitOutcome, VisitPhase, VisitReport
from controlplane.errors import ErrorType
from controlplane.payloads import data_converter
from tests.engine import CELL, fresh_namespace
from tests.eventually import eventually
from tests.visits.visiting import NEXT, OLD, PROMPT, Visits, a_visit, visiting

FOR_LONG = replace(PROMPT, healthy_within=timedelta(hours=1))


@pytest.fixture
async def visits(engine: WorkflowEnvironment) -> AsyncIterator[Visits]:
    async with visiting(await fresh_namespace(engine.client)) as visits:
        yield visits


async def test_a_visit_that_runs_is_not_taken_from_its_cell(visits: Visits) -> None:
    visits.sicken("it warms up", NEXT)
    handle = await visits.start(replace(a_visit(NEXT), rules=FOR_LONG))
    await eventually(lambda: is_in(visits, VisitPhase.VERIFY))

    with pytest.raises(ApplicationError, match=r"visit v1 of .* runs, in phase verify") as refusal:
        await release(visits)

    assert refusal.value.type == ErrorType.FAILED_PRECONDITION
    assert (await visits.cells.describe(CELL)).visit is not None
    await handle.terminate()


async def test_a_cell_that_a_dead_visit_may_have_changed_is_freed_and_quarantined(
    visits: Visits,
) -> None:
    asker = await an_asker(visits)
    visits.sicken("it warms up", NEXT)
    visit = replace(a_visit(NEXT), rules=FOR_LONG, report_to="rollout/r")
    handle = await visits.start(visit)
    await eventually(lambda: is_in(visits, VisitPhase.VERIFY))
    await handle.terminate("somebody's mistake")

    view = await release(visits)

    assert view.visit is None
    assert view.quarantine is not None
    assert "ann released the cell: it was terminated" in view.quarantine.reason
    assert "died in phase verify" in view.quarantine.reason
    (report,) = await told(asker)
    assert (report.visit, report.outcome) == ("v1", VisitOutcome.BROKEN)
    visits.examiner.sicknesses.clear()
    await visits.cells.lift_quarantine(CELL, by="ann")
    assert (await visits.report(a_visit(NEXT, id="v2"))).outcome is VisitOutcome.DONE


async def test_a_cell_that_a_dead_visit_had_not_touched_is_as_it_was(visits: Visits) -> None:
    asker = await an_asker(visits)
    visits.sicken("it is sick already", OLD)  # So that the preflight looks several times.
    handle = await visits.start(replace(a_visit(NEXT), report_to="rollout/r"))
    await eventually(lambda: is_in(visits, VisitPhase.PREFLIGHT))
    await handle.terminate()
    before = await visits.cells.describe(CELL)

    view = await release(visits)

    assert (view.visit, view.quarantine) == (None, None)
    assert (view.spec, view.release) == (before.spec, before.release)
    (report,) = await told(asker)
    assert report.outcome is VisitOutcome.REFUSED


async def test_released_again_a_cell_stays_as_it_is_and_who_waits_is_told_again(
    visits: Visits,
) -> None:
    asker = await an_asker(visits)
    visits.sicken("it warms up", NEXT)
    visit = replace(a_visit(NEXT), rules=FOR_LONG, report_to="rollout/r")
    handle = await visits.start(visit)
    await eventually(lambda: is_in(visits, VisitPhase.VERIFY))
    await handle.terminate()
    first = await release(visits)

    again = await release(visits)

    assert replace(again, said_at=first.said_at) == first
    reports = await told(asker)
    assert len(reports) == 2
    assert reports[0] == reports[1]


async def test_a_cell_without_a_visit_is_left_alone(visits: Visits) -> None:
    before = await visits.cells.describe(CELL)

    view = await release(visits)

    assert (view.generation, view.quarantine) == (before.generation, None)


async def release(visits: Visits) -> CellView:
    return await VisitClient(visits.cells).release(CELL, reason="it was terminated", by="ann")


async def is_in(visits: Visits, phase: VisitPhase) -> bool:
    visit = (await visits.cells.describe(CELL)).visit
    return visit is not None and visit.phase is phase


async def an_asker(visits: Visits) -> WorkflowHandle[object, object]:
    """Return a workflow that hears how the visit ended, and does nothing."""
    return await visits.temporal.start_workflow("Asker", id="rollout/r", task_queue="nobody's")


async def told(asker: WorkflowHandle[object, object]) -> list[VisitReport]:
    reports = []
    for event in (await asker.fetch_history()).events:
        if event.HasField("workflow_execution_signaled_event_attributes"):
            signal = event.workflow_execution_signaled_event_attributes
            assert signal.signal_name == "visit_ended"
            reports += await data_converter.decode(signal.input.payloads, [VisitReport])
    return reports
