"""Visits on a real engine: how they go forward, how they come back, and what they tell."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.client import WorkflowExecutionStatus
from temporalio.testing import WorkflowEnvironment

from cells.release import Release, SchemaStep, Software
from cells.runtime.memory import Fault, MemoryCell, PlannedFault
from cells.types import CellView
from cells.visits.memory import Sickness
from cells.visits.types import VisitMoved, VisitOutcome, VisitPhase, VisitReport
from cells.visits.workflow import UNDO_ROUNDS
from controlplane.payloads import data_converter
from tests.engine import CELL, fresh_namespace
from tests.eventually import eventually
from tests.visits.visiting import (
    NEW,
    NEXT,
    OLD,
    PROMPT,
    Visits,
    a_visit,
    assert_everything_replays,
    assert_replays,
    release,
    visiting,
)


@pytest.fixture
async def visits(engine: WorkflowEnvironment) -> AsyncIterator[Visits]:
    client = await fresh_namespace(engine.client)
    async with visiting(client) as visits:
        yield visits
        await assert_everything_replays(client)


async def test_a_cell_comes_to_a_release_hop_by_hop(visits: Visits) -> None:
    wanted = replace(release(NEW), configuration={"limit": 7}, ingress_version="2")

    report = await visits.report(a_visit(NEXT, NEW, of=wanted))

    assert (report.outcome, report.message) == (VisitOutcome.DONE, f"it runs {NEW} and is well")
    assert report.software == Software(NEW, "2", {"limit": 7})
    assert report.gap == timedelta(milliseconds=20)
    assert [effect.after for effect in visits.runtime.effects] == [
        Software(NEXT),
        Software(NEW, "2", {"limit": 7}),
    ]
    assert visits.changes == [f"{NEXT} by 2", f"{NEW} by 2"]
    cell = await visits.cells.describe(CELL)
    assert (cell.visit, cell.quarantine) == (None, None)
    assert (cell.spec.server_version, cell.release) == (NEW, wanted.digest)
    assert cell.software == report.software
    (ended,) = cell.ended_visits
    assert (ended.id, ended.outcome, ended.generation) == ("v1", VisitOutcome.DONE, 2)


async def test_the_schema_comes_before_the_server(visits: Visits) -> None:
    visits.runtime.faults.append(PlannedFault(Fault.DOES_NOT_START, server_version=NEXT))
    wanted = replace(release(NEXT), schema_steps=(SchemaStep("main", "1.19"),))

    report = await visits.report(a_visit(NEXT, of=wanted))

    assert report.outcome == VisitOutcome.UNDONE
    assert visits.runtime.cells[CELL].schema == {"main": "1.19"}
    assert report.message.endswith("and well; the newer schema stays")


async def test_a_visit_is_few_activities(visits: Visits) -> None:
    await visits.report(a_visit(NEXT))

    assert await visits.activities("v1") == [
        "begin_visit",
        "inspect_cell",
        "deploy_software",
        "verify_cell",
        "end_visit",
    ]


async def test_configuration_alone_is_a_visit_too(visits: Visits) -> None:
    report = await visits.report(a_visit(of=Release("c7", configuration={"limit": 7})))

    assert (report.outcome, report.software) == (
        VisitOutcome.DONE,
        Software(OLD, configuration={"limit": 7}),
    )


async def test_hops_that_an_earlier_visit_made_are_not_made_again(visits: Visits) -> None:
    await visits.report(a_visit(NEXT))

    report = await visits.report(a_visit(NEXT, NEW, id="v2"))

    assert report.outcome == VisitOutcome.DONE
    assert visits.changes == [f"{NEXT} by 2", f"{NEW} by 4"]


async def test_a_cell_that_is_sick_or_has_obstacles_is_not_touched(visits: Visits) -> None:
    visits.sicken("it loses canaries", OLD)
    visits.runtime.found[CELL] = ["there is no room for the copy"]
    before = await visits.cells.describe(CELL)

    report = await visits.report(a_visit(NEXT))

    assert (report.outcome, report.generation) == (VisitOutcome.REFUSED, 0)
    assert report.message == (
        f"{CELL} is sick already: it loses canaries; there is no room for the copy"
    )
    assert visits.changes == []
    after = await visits.cells.describe(CELL)
    for fact in ("release", "software", "spec", "quarantine", "visit"):
        assert getattr(after, fact) == getattr(before, fact)


async def test_a_bad_moment_is_no_sickness(visits: Visits) -> None:
    bad = Sickness("it hiccups", server_version=OLD, lasts=timedelta(seconds=1))
    visits.examiner.sicknesses.append(bad)

    assert (await visits.report(a_visit(NEXT))).outcome == VisitOutcome.DONE
    assert visits.examiner.looks[CELL] > 3


async def test_no_hop_leads_over_a_minor_version(visits: Visits) -> None:
    report = await visits.report(a_visit(NEW))

    assert report.outcome == VisitOutcome.REFUSED
    assert "no legal way: one minor version at a time" in report.message
    assert visits.changes == []


async def test_a_server_that_does_not_come_up_is_undone(visits: Visits) -> None:
    visits.runtime.faults.append(PlannedFault(Fault.DOES_NOT_START, server_version=NEXT))

    report = await visits.report(a_visit(NEXT))

    assert (report.outcome, report.software) == (VisitOutcome.UNDONE, Software(OLD))
    assert report.message == (
        f"{NEXT} failed: {CELL} does not start with server {NEXT}. "
        f"The cell is back at {OLD} and well"
    )
    assert visits.changes == [f"{NEXT} by 2", f"{OLD} by 3"]
    assert report.generation == 3
    assert report.gap > timedelta(milliseconds=20), "it was away until the undo was through"
    cell = await visits.cells.describe(CELL)
    assert (cell.spec.server_version, cell.quarantine, cell.visit) == (OLD, None, None)


async def test_a_hop_that_makes_the_cell_sick_is_undone_and_none_before_it(
    visits: Visits,
) -> None:
    await visits.report(a_visit(of=Release("c7", configuration={"limit": 7}), id="v0"))
    visits.sicken("it loses canaries", NEW)

    report = await visits.report(a_visit(NEXT, NEW))

    stopped_at = Software(NEXT, configuration={"limit": 7})
    assert (report.outcome, report.software) == (VisitOutcome.UNDONE, stopped_at)
    assert f"{NEW} failed: it loses canaries" in report.message
    assert visits.changes == [f"{OLD} by 2", f"{NEXT} by 4", f"{NEW} by 4", f"{NEXT} by 5"]
    cell = await visits.cells.describe(CELL)
    assert cell.spec.server_version == NEXT
    assert cell.release == "", "a stop on the way is no release"


async def test_an_undone_first_hop_leaves_the_cell_the_release_it_had(visits: Visits) -> None:
    first = release(NEXT)
    await visits.report(a_visit(NEXT, of=first))
    visits.sicken("it loses canaries", NEW)

    report = await visits.report(a_visit(NEW, id="v2"))

    assert report.outcome == VisitOutcome.UNDONE
    assert (await visits.cells.describe(CELL)).release == first.digest


async def test_a_cell_may_take_its_time_to_become_well(visits: Visits) -> None:
    slow = Sickness("it warms up", server_version=NEXT, lasts=timedelta(milliseconds=300))
    visits.examiner.sicknesses.append(slow)

    assert (await visits.report(a_visit(NEXT))).outcome == VisitOutcome.DONE


async def test_a_sickness_under_load_is_found_where_there_is_load(visits: Visits) -> None:
    heavy = Sickness("it loses canaries", server_version=NEXT, under_load=True)
    visits.examiner.sicknesses.append(heavy)
    assert (await visits.report(a_visit(NEXT))).outcome == VisitOutcome.DONE

    visits.examiner.loaded.add(CELL)
    report = await visits.report(a_visit(NEW, id="v2"))

    assert report.outcome == VisitOutcome.REFUSED


async def test_a_failure_that_passes_is_outlasted(visits: Visits) -> None:
    for fault in (Fault.FAILS, Fault.DIES_HALFWAY, Fault.LOSES_REPLY):
        visits.runtime.faults.append(PlannedFault(fault, server_version=NEXT, times=1))
        report = await visits.report(a_visit(NEXT, id=f"to {NEXT}: {fault}"))
        assert report.outcome == VisitOutcome.DONE
        assert report.gap >= timedelta(seconds=1), "nobody saw it, so all of the try counts"
        back = await visits.report(a_visit(OLD, id=f"to {OLD}: {fault}"))
        assert back.outcome == VisitOutcome.DONE

    assert len(visits.changes) == 6, "each change was made once"


async def test_after_a_one_way_step_there_is_no_undo(visits: Visits) -> None:
    visits.sicken("it loses canaries", NEXT)
    steps = (SchemaStep("main", "1.20", one_way=True),)

    report = await visits.report(a_visit(NEXT, of=replace(release(NEXT), schema_steps=steps)))

    assert report.outcome == VisitOutcome.BROKEN
    assert "Nothing leads back from the schema main 1.20: roll forward only" in report.message
    assert visits.changes == [f"{NEXT} by 2"]
    cell = await visits.cells.describe(CELL)
    assert cell.quarantine is not None
    assert (cell.quarantine.reason, cell.quarantine.by) == (report.message, "visit v1")


async def test_a_cell_left_broken_is_visited_again_only_once_somebody_lifts_its_quarantine(
    visits: Visits,
) -> None:
    visits.sicken("it loses canaries", NEXT)
    late = Sickness("its disk is full", server_version=OLD, after=timedelta(milliseconds=300))
    visits.examiner.sicknesses.append(late)

    report = await visits.report(a_visit(NEXT))

    assert report.outcome == VisitOutcome.BROKEN
    assert f"{OLD} could not be brought back: its disk is full" in report.message
    assert visits.changes[-1] == f"{OLD} by 3"
    again = await visits.report(a_visit(NEXT, id="v2"))
    assert again.outcome == VisitOutcome.REFUSED
    assert again.message.startswith(f"{CELL} is quarantined by visit v1: {NEXT} failed")
    visits.examiner.sicknesses.clear()
    await visits.cells.lift_quarantine(CELL, by="sre")
    assert (await visits.report(a_visit(NEXT, id="v3"))).outcome == VisitOutcome.DONE


async def test_an_undo_is_tried_again_and_again_before_the_cell_is_given_up(
    engine_in_skipped_time: WorkflowEnvironment,
) -> None:
    async with visiting(engine_in_skipped_time.client) as visits:
        visits.runtime.faults.append(PlannedFault(Fault.DOES_NOT_START))

        report = await visits.report(a_visit(NEXT))

        assert report.outcome == VisitOutcome.BROKEN
        assert report.software is None
        assert report.generation == 2 + UNDO_ROUNDS, "each try fences the one before"
        assert "Bring the cell up by hand, then lift its quarantine" in report.message
        await assert_replays(engine_in_skipped_time.client, "v1")


async def test_the_cell_settles_between_two_hops(
    engine_in_skipped_time: WorkflowEnvironment,
) -> None:
    async with visiting(engine_in_skipped_time.client) as visits:
        slow = replace(PROMPT, settle=timedelta(minutes=10))

        report = await visits.report(replace(a_visit(NEXT, NEW), rules=slow))

        assert report.outcome == VisitOutcome.DONE
        assert timedelta(minutes=10) <= report.ended_at - report.began_at < timedelta(minutes=15)
        await assert_replays(engine_in_skipped_time.client, "v1")


async def test_a_visit_asked_to_stop_takes_no_further_hop(visits: Visits) -> None:
    slow = replace(a_visit(NEXT, NEW), rules=replace(PROMPT, settle=timedelta(hours=1)))
    handle = await visits.start(slow)
    await eventually(lambda: _shows(visits, "settling until"), within=30)

    await handle.cancel()
    report = await handle.result()

    assert (report.outcome, report.software) == (VisitOutcome.UNDONE, Software(NEXT))
    assert report.message == f"the visit was asked to stop. It runs {NEXT} and is well"
    assert visits.changes == [f"{NEXT} by 2"]
    assert (await handle.describe()).status == WorkflowExecutionStatus.COMPLETED


async def test_a_hop_under_way_is_undone_when_the_visit_is_asked_to_stop(visits: Visits) -> None:
    patient = replace(PROMPT, healthy_within=timedelta(hours=1))
    visits.sicken("it warms up", NEXT)
    handle = await visits.start(replace(a_visit(NEXT), rules=patient))
    await eventually(lambda: _is_in(visits, VisitPhase.VERIFY), within=30)

    await handle.cancel()
    report = await handle.result()

    assert (report.outcome, report.software) == (VisitOutcome.UNDONE, Software(OLD))
    assert f"{NEXT} failed: the visit was asked to stop" in report.message
    assert visits.changes == [f"{NEXT} by 2", f"{OLD} by 3"]


async def test_a_deployment_that_ends_before_it_hears_that_it_should_stop_is_undone(
    visits: Visits,
) -> None:
    cell = visits.runtime.cells[CELL] = MemoryCell(Software(OLD))
    patient = replace(PROMPT, healthy_within=timedelta(hours=1))
    visits.sicken("it warms up", NEXT)
    async with cell.held:  # So long the deployment waits.
        handle = await visits.start(replace(a_visit(NEXT), rules=patient))
        await eventually(lambda: _deploys(visits), within=30)
        await handle.cancel()
    report = await handle.result()

    assert report.outcome == VisitOutcome.UNDONE
    assert f"{NEXT} failed: the visit was asked to stop" in report.message
    assert visits.changes == [f"{NEXT} by 2", f"{OLD} by 3"]
    assert (await visits.activities("v1")).count("verify_cell") == 1, "that of the undo"


async def test_nothing_interrupts_an_undo(visits: Visits) -> None:
    patient = replace(PROMPT, verify_for=timedelta(seconds=1))
    visits.runtime.faults.append(PlannedFault(Fault.DOES_NOT_START, server_version=NEXT))
    handle = await visits.start(replace(a_visit(NEXT), rules=patient))
    await eventually(lambda: _is_in(visits, VisitPhase.UNDO), within=30)

    await handle.cancel()
    report = await handle.result()

    assert report.outcome == VisitOutcome.UNDONE
    assert visits.changes == [f"{NEXT} by 2", f"{OLD} by 3"]
    for event in (await handle.fetch_history()).events:
        assert not event.HasField("activity_task_cancel_requested_event_attributes")


async def test_a_visit_that_is_asked_to_stop_before_it_touches_anything_is_refused(
    visits: Visits,
) -> None:
    visits.sicken("it loses canaries", OLD)  # So that the preflight looks several times.
    handle = await visits.start(a_visit(NEXT))
    await eventually(lambda: _is_in(visits, VisitPhase.PREFLIGHT), within=30)

    await handle.cancel()
    report = await handle.result()

    assert report.outcome == VisitOutcome.REFUSED
    assert visits.changes == []
    cell = await visits.cells.describe(CELL)
    assert (cell.visit, cell.spec.server_version) == (None, OLD)


async def test_two_visits_of_a_cell_do_not_overlap(visits: Visits) -> None:
    slow = replace(a_visit(NEXT, NEW), rules=replace(PROMPT, settle=timedelta(hours=1)))
    first = await visits.start(slow)
    await eventually(lambda: _shows(visits, "settling until"), within=30)

    second = await visits.report(a_visit(NEW, id="v2"))

    assert second.outcome == VisitOutcome.REFUSED
    assert f"is being brought to r-{NEW} by visit v1" in second.message
    await first.cancel()
    assert (await first.result()).outcome == VisitOutcome.UNDONE


async def test_whoever_asked_for_a_visit_is_told_how_it_ended(visits: Visits) -> None:
    asker = await visits.temporal.start_workflow("Asker", id="rollout/r", task_queue="nobody's")

    report = await visits.report(replace(a_visit(NEXT), report_to="rollout/r"))

    (told,) = [
        event.workflow_execution_signaled_event_attributes
        for event in (await asker.fetch_history()).events
        if event.HasField("workflow_execution_signaled_event_attributes")
    ]
    assert told.signal_name == "visit_ended"
    assert await data_converter.decode(told.input.payloads, [VisitReport]) == [report]
    (ended,) = (await visits.cells.describe(CELL)).ended_visits
    assert ended.message == report.message
    await asker.terminate()


async def test_a_visit_ends_although_nobody_waits_for_its_report(visits: Visits) -> None:
    report = await visits.report(replace(a_visit(NEXT), report_to="rollout/gone"))

    assert report.outcome == VisitOutcome.DONE


async def test_a_cell_that_does_not_exist_is_not_visited(visits: Visits) -> None:
    report = await visits.report(replace(a_visit(NEXT), cell="aws-us-east-1-c9"))

    assert (report.outcome, report.message) == (
        VisitOutcome.REFUSED,
        "there is no cell aws-us-east-1-c9",
    )


async def test_a_late_writer_of_a_visit_that_was_undone_changes_nothing(visits: Visits) -> None:
    visits.sicken("it loses canaries", NEXT)
    report = await visits.report(a_visit(NEXT))
    spec = (await visits.cells.describe(CELL)).spec
    before = visits.changes

    with pytest.raises(Exception, match=r"StaleGeneration: .* 2 comes too late"):
        await visits.runtime.deploy(CELL, spec, Software(NEXT), 2)
    await visits.cells.visit_moved(CELL, VisitMoved("v1", VisitPhase.SERVER))

    assert report.generation == 3
    assert visits.changes == before
    assert (await visits.cells.describe(CELL)).visit is None


async def _shows(visits: Visits, message: str) -> bool:
    visit = (await visits.cells.describe(CELL)).visit
    return visit is not None and message in visit.message


async def _is_in(visits: Visits, phase: VisitPhase) -> bool:
    cell: CellView = await visits.cells.describe(CELL)
    return cell.visit is not None and cell.visit.phase == phase


async def _deploys(visits: Visits) -> bool:
    return "deploy_software" in await visits.activities("v1")
