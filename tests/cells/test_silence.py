"""Cells whose entity says nothing any more."""

from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.testing import WorkflowEnvironment

from cells import workflow
from cells.placement import explain_refusal, place
from cells.silence import SILENT_AFTER, as_known
from cells.types import NOTHING, CellCondition
from controlplane.resource import ConditionStatus
from tests.engine import CELL, cell_spec, working
from tests.eventually import eventually
from tests.store.views import NOW, REGION, cell_view


def test_a_cell_that_nobody_has_spoken_of_for_a_while_is_not_known_to_be_ready() -> None:
    said = replace(cell_view(), said_at=NOW)

    known = as_known(said, NOW + SILENT_AFTER)

    ready = known.conditions[CellCondition.READY]
    assert (ready.status, ready.reason) == (ConditionStatus.UNKNOWN, "EntitySilent")
    assert f"workflow cell/{CELL_OF_VIEW}" in ready.message
    assert ready.last_transition_time == NOW
    placement = place(REGION, NOTHING, [known])
    assert placement.cell is None
    assert "not ready: its entity has said nothing since 2026-01-02 03:04 UTC" in explain_refusal(
        placement
    )


CELL_OF_VIEW = cell_view().id


@pytest.mark.parametrize("age", [timedelta(0), SILENT_AFTER - timedelta(seconds=1)], ids=str)
def test_what_was_said_a_moment_ago_holds(age: timedelta) -> None:
    said = replace(cell_view(), said_at=NOW)

    assert as_known(said, NOW + age) == said


def test_a_view_that_does_not_tell_when_it_was_said_holds() -> None:
    assert as_known(cell_view(), NOW + 10 * SILENT_AFTER) == cell_view()


async def test_an_entity_goes_on_saying_that_nothing_is_new(
    engine_in_skipped_time: WorkflowEnvironment,
) -> None:
    async with working(engine_in_skipped_time.client) as entities:
        await entities.cells.register(CELL, cell_spec())
        views = entities.cell_parts.views

        async def ready() -> bool:
            return CELL in views and CellCondition.READY in views[CELL].conditions

        await eventually(ready)
        for _ in range(3):
            await engine_in_skipped_time.sleep(SILENT_AFTER)
            now = await engine_in_skipped_time.get_current_time()
            said_at = views[CELL].said_at
            assert said_at is not None
            assert now - said_at < SILENT_AFTER / 2
            assert as_known(views[CELL], now) == views[CELL]


def test_an_entity_speaks_often_enough() -> None:
    longest_look = workflow.OBSERVE_EVERY + workflow.OBSERVE_TIMEOUT * 3
    assert workflow.SAY_AT_LEAST_EVERY + 2 * longest_look < SILENT_AFTER
