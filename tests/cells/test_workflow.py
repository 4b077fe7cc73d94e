"""Cells through their client: a real engine, a real worker, observed cells in memory."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from cells import workflow
from cells.release import Software
from cells.types import Capacity, CellView, ObservedCell, Release, Reserve
from cells.visits.types import BeginVisit, EndVisit, VisitOutcome
from cells.workflow import CellWorkflow
from tests.engine import CELL, Entities, cell_spec, working
from tests.eventually import eventually

ONE = Capacity(namespaces=1, actions_per_second=500)


async def test_a_registered_cell_becomes_ready_once_its_parts_answer(entities: Entities) -> None:
    await entities.cells.register(CELL, cell_spec())

    view = await _reported(entities, "AllPartsAnswer")

    assert view.server_version == "1.32.0"
    assert view.conditions["Ready"].status == "True"


async def test_a_failing_part_is_named(entities: Entities) -> None:
    entities.cell_parts.answer = lambda: ObservedCell("1.32.0", ["the ingress is down"])
    await entities.cells.register(CELL, cell_spec())

    view = await _reported(entities, "PartsFailing")

    assert view.conditions["Ready"].message == "the ingress is down"


async def test_a_cell_is_observed_again_by_its_own_timer(
    engine_in_skipped_time: WorkflowEnvironment,
) -> None:
    async with working(engine_in_skipped_time.client) as entities:
        await entities.cells.register(CELL, cell_spec())
        await _reported(entities, "AllPartsAnswer")
        entities.cell_parts.answer = lambda: ObservedCell(None, ["Temporal is down"])

        await engine_in_skipped_time.sleep(workflow.OBSERVE_EVERY * 2)

        view = await _reported(entities, "PartsFailing")
        assert view.server_version is None


async def test_registering_again_changes_the_spec_and_nothing_else(entities: Entities) -> None:
    await entities.cells.register(CELL, cell_spec())
    await entities.cells.reserve(CELL, Reserve("a.acme1", "uid-a", ONE))
    same = await entities.cells.register(CELL, cell_spec())
    assert same.generation == 1

    changed = await entities.cells.register(CELL, cell_spec(capacity=Capacity(7, 7000)))

    assert changed.generation == 2
    assert changed.allocated == ONE


async def test_capacity_is_never_given_twice(entities: Entities) -> None:
    await entities.cells.register(CELL, cell_spec(capacity=Capacity(5, 100_000)))

    answers = await asyncio.gather(
        *(entities.cells.reserve(CELL, Reserve(f"n{n}.acme1", f"uid-{n}", ONE)) for n in range(30)),
        return_exceptions=True,
    )

    refused = [answer for answer in answers if answer is not None]
    assert len(refused) == 25
    assert all(isinstance(e, ApplicationError) and e.type == "NoCapacity" for e in refused)
    assert "namespaces: 1 needed, 0 free" in str(refused[0])
    assert (await entities.cells.describe(CELL)).free.namespaces == 0


async def test_the_same_reservation_again_holds_once(entities: Entities) -> None:
    await entities.cells.register(CELL, cell_spec(capacity=Capacity(1, 500)))

    for _ in range(3):
        await entities.cells.reserve(CELL, Reserve("a.acme1", "uid-a", ONE))

    assert (await entities.cells.describe(CELL)).allocated == ONE


async def test_a_cordoned_cell_takes_nothing_new_and_keeps_what_it_has(entities: Entities) -> None:
    await entities.cells.register(CELL, cell_spec())
    await entities.cells.reserve(CELL, Reserve("a.acme1", "uid-a", ONE))
    await entities.cells.cordon(CELL, reason="leaking disk", by="sre")

    with pytest.raises(ApplicationError, match="cordoned: leaking disk"):
        await entities.cells.reserve(CELL, Reserve("b.acme1", "uid-b", ONE))

    assert (await entities.cells.uncordon(CELL)).allocated == ONE
    await entities.cells.reserve(CELL, Reserve("b.acme1", "uid-b", ONE))


async def test_an_unconfirmed_reservation_lapses_and_a_confirmed_one_stays(
    engine_in_skipped_time: WorkflowEnvironment,
) -> None:
    async with working(engine_in_skipped_time.client) as entities:
        await entities.cells.register(CELL, cell_spec())
        for name in ("kept", "lost"):
            await entities.cells.reserve(CELL, Reserve(f"{name}.acme1", f"uid-{name}", ONE))
        await entities.cells.handle(CELL).signal(
            CellWorkflow.confirm, Reserve("kept.acme1", "uid-kept", ONE)
        )

        await engine_in_skipped_time.sleep(workflow.RESERVATION_LIFETIME + timedelta(minutes=1))

        assert list(await entities.cells.allocations(CELL)) == ["kept.acme1"]


async def test_a_late_release_does_not_touch_the_successor(entities: Entities) -> None:
    await entities.cells.register(CELL, cell_spec())
    await entities.cells.reserve(CELL, Reserve("a.acme1", "uid-new", ONE))

    await entities.cells.handle(CELL).signal(CellWorkflow.release, Release("a.acme1", "uid-old"))
    assert list(await entities.cells.allocations(CELL)) == ["a.acme1"]

    await entities.cells.handle(CELL).signal(CellWorkflow.release, Release("a.acme1", "uid-new"))
    assert await entities.cells.allocations(CELL) == {}


async def test_reservations_survive_continue_as_new_under_load(entities: Entities) -> None:
    await entities.cells.register(CELL, cell_spec(capacity=Capacity(500, 1_000_000)))

    for batch in range(10):
        await asyncio.gather(
            *(
                entities.cells.reserve(CELL, Reserve(f"n{batch}-{n}.acme1", "uid", ONE))
                for n in range(12)
            )
        )

    run = await entities.cells.handle(CELL).describe()
    assert run.run_id != run.raw_description.workflow_execution_info.first_run_id
    assert len(await entities.cells.allocations(CELL)) == 120


async def test_a_cell_under_a_visit_takes_nothing_new_and_is_expected_in_no_version(
    entities: Entities,
) -> None:
    await entities.cells.register(CELL, cell_spec())
    await entities.cells.reserve(CELL, Reserve("a.acme1", "uid-a", ONE))
    entities.cell_parts.answer = lambda: ObservedCell("1.31.2")

    generation = await entities.cells.begin_visit(CELL, BeginVisit("v1", "r-1.31.2", "rollout/r"))

    assert generation == 2
    view = await _reported(entities, "AllPartsAnswer", since=generation)
    assert (view.server_version, view.allocated) == ("1.31.2", ONE)
    with pytest.raises(ApplicationError, match=r"is being brought to r-1\.31\.2"):
        await entities.cells.reserve(CELL, Reserve("b.acme1", "uid-b", ONE))

    left = EndVisit("v1", VisitOutcome.DONE, Software("1.31.2"), "digest", "it is well")
    ended = await entities.cells.end_visit(CELL, left)
    assert (ended.spec.server_version, ended.release) == ("1.31.2", "digest")
    await _reported(entities, "AllPartsAnswer", since=ended.generation)
    await entities.cells.reserve(CELL, Reserve("b.acme1", "uid-b", ONE))


async def test_a_version_that_nobody_brought_is_drift_once_the_visit_is_over(
    entities: Entities,
) -> None:
    await entities.cells.register(CELL, cell_spec())
    entities.cell_parts.answer = lambda: ObservedCell("1.31.2")
    await entities.cells.begin_visit(CELL, BeginVisit("v1", "r-1.31.2", ""))

    left = EndVisit("v1", VisitOutcome.UNDONE, Software("1.32.0"), "", "it was sick")
    ended = await entities.cells.end_visit(CELL, left)

    view = await _reported(entities, "Drifted", since=ended.generation)
    told = "it runs server 1.31.2, and 1.32.0 was brought to it"
    assert view.conditions["Ready"].message == view.conditions["InSync"].message == told
    assert (view.conditions["InSync"].status, view.conditions["InSync"].reason) == (
        "False",
        "Drifted",
    )


async def test_whatever_a_broken_visit_left_was_nobodys_hand(entities: Entities) -> None:
    await entities.cells.register(CELL, cell_spec())
    entities.cell_parts.answer = lambda: ObservedCell("1.31.2")
    await entities.cells.begin_visit(CELL, BeginVisit("v1", "r-1.31.2", ""))

    left = EndVisit("v1", VisitOutcome.BROKEN, None, "", "it was sick, and stayed so")
    ended = await entities.cells.end_visit(CELL, left)

    view = await _reported(entities, "AllPartsAnswer", since=ended.generation)
    assert (view.conditions["InSync"].status, view.conditions["InSync"].reason) == (
        "Unknown",
        "LeftBroken",
    )
    assert view.quarantine is not None


async def test_of_many_visits_that_begin_at_once_one_does(entities: Entities) -> None:
    await entities.cells.register(CELL, cell_spec())

    answers = await asyncio.gather(
        *(entities.cells.begin_visit(CELL, BeginVisit(f"v{n}", "r", "")) for n in range(8)),
        return_exceptions=True,
    )

    begun = [answer for answer in answers if isinstance(answer, int)]
    refused = [answer for answer in answers if isinstance(answer, ApplicationError)]
    assert (len(begun), len(refused)) == (1, 7)
    assert {error.type for error in refused} == {"FailedPrecondition"}
    (winner,) = [n for n, answer in enumerate(answers) if isinstance(answer, int)]
    again = BeginVisit(f"v{winner}", "r", "")
    assert await entities.cells.begin_visit(CELL, again) == begun[0]
    with pytest.raises(ApplicationError, match=f"by visit v{winner} since"):
        await entities.cells.begin_visit(CELL, BeginVisit("late", "r", ""))


async def test_generations_survive_continue_as_new(entities: Entities) -> None:
    await entities.cells.register(CELL, cell_spec())
    given = []
    for number in range(12):
        given.append(await entities.cells.begin_visit(CELL, BeginVisit(f"v{number}", "r", "")))
        given.append(await entities.cells.fence_visit(CELL, f"v{number}"))
        left = EndVisit(f"v{number}", VisitOutcome.UNDONE, Software("1.32.0"), "", "")
        await entities.cells.end_visit(CELL, left)
        assert await entities.cells.end_visit(CELL, left) is not None, "as often as one likes"

    async def rolled_over() -> bool:
        run = await entities.cells.handle(CELL).describe()
        return run.run_id != run.raw_description.workflow_execution_info.first_run_id

    await eventually(rolled_over)
    assert given == sorted(set(given))
    with pytest.raises(ApplicationError, match="ended as undone: it may write no more"):
        await entities.cells.fence_visit(CELL, "v11")
    with pytest.raises(ApplicationError, match=r"visit v11 of .* ended"):
        await entities.cells.begin_visit(CELL, BeginVisit("v11", "r", ""))


async def test_a_quarantined_cell_takes_neither_visits_nor_namespaces(entities: Entities) -> None:
    await entities.cells.register(CELL, cell_spec())
    await entities.cells.begin_visit(CELL, BeginVisit("v1", "r", ""))
    left = EndVisit("v1", VisitOutcome.BROKEN, None, "", "it came up neither way")
    assert (await entities.cells.end_visit(CELL, left)).quarantine is not None

    with pytest.raises(ApplicationError, match="quarantined by visit v1: it came up neither way"):
        await entities.cells.begin_visit(CELL, BeginVisit("v2", "r", ""))
    with pytest.raises(ApplicationError, match="is quarantined: it came up neither way"):
        await entities.cells.reserve(CELL, Reserve("a.acme1", "uid-a", ONE))

    for _ in range(2):
        assert (await entities.cells.lift_quarantine(CELL, by="sre")).quarantine is None
    await entities.cells.begin_visit(CELL, BeginVisit("v2", "r", ""))


async def test_a_cell_that_is_not_well_is_looked_at_often(
    engine_in_skipped_time: WorkflowEnvironment,
) -> None:
    looks = 0

    def sick() -> ObservedCell:
        nonlocal looks
        looks += 1
        return ObservedCell(None, ["Temporal is down"])

    async with working(engine_in_skipped_time.client) as entities:
        entities.cell_parts.answer = sick
        await entities.cells.register(CELL, cell_spec())
        await _reported(entities, "PartsFailing")

        await engine_in_skipped_time.sleep(timedelta(minutes=1))

        assert looks > 6, "it need not wait half a minute to count again"


async def test_published_views_follow_the_cell(entities: Entities) -> None:
    await entities.cells.register(CELL, cell_spec())
    await entities.cells.reserve(CELL, Reserve("a.acme1", "uid-a", ONE))

    async def published() -> bool:
        view = entities.cell_parts.views.get(CELL)
        return view is not None and view == await entities.cells.describe(CELL)

    await eventually(published)


async def _reported(entities: Entities, reason: str, *, since: int = 0) -> CellView:
    """Return the view that says so of that generation, or of a later one."""

    async def reported() -> bool:
        view = entities.cell_parts.views.get(CELL)
        ready = None if view is None else view.conditions.get("Ready")
        return ready is not None and (ready.reason == reason and ready.observed_generation >= since)

    await eventually(reported)
    return entities.cell_parts.views[CELL]


async def test_a_cell_is_retired_when_it_is_empty_and_its_id_is_never_used_again(
    entities: Entities,
) -> None:
    await entities.cells.register(CELL, cell_spec())
    await entities.cells.reserve(CELL, Reserve("a.acme1", "uid-a", ONE))
    with pytest.raises(ApplicationError, match=r"holds 1 namespaces, such as a\.acme1"):
        await entities.cells.retire(CELL, reason="too small", by="sre")

    await entities.cells.handle(CELL).signal(CellWorkflow.release, Release("a.acme1", "uid-a"))
    await entities.cells.retire(CELL, reason="too small", by="sre")
    await entities.cells.handle(CELL).result()

    assert entities.cell_parts.views[CELL].retired
    await entities.cells.retire(CELL, reason="asked twice", by="sre")
    with pytest.raises(ApplicationError, match="was retired: choose another id"):
        await entities.cells.register(CELL, cell_spec())
