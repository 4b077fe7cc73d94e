"""Why a cell is where it is in a rollout, in words."""

from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import TypeAdapter
from temporalio.exceptions import ApplicationError

from controlplane.api.explanations import explain
from controlplane.api.rollout_types import CellExplanation
from rollout.bake import begin
from rollout.calendar import Calendar, Freeze
from rollout.people import Hold
from rollout.types import CellStatus, Outcome, Phase, RingProgress, RolloutView
from tests.api.running import Tenant
from tests.api.test_releases import created, named
from tests.api.test_rollouts import ROLLOUTS, began
from tests.store.rollout_views import OTHER_CELL, event, rollout_view
from tests.store.views import CELL, NOW, cell_view

HOUR = timedelta(hours=1)
FROZEN = Calendar(freezes=(Freeze("christmas", "nobody is here", NOW - HOUR, NOW + HOUR),))


def why(
    view: RolloutView, cell: str = OTHER_CELL, calendar: Calendar | None = None
) -> CellExplanation:
    present = cell_view(cell, region="aws-us-west-2")
    return explain(view, cell, present, calendar or Calendar(), HOUR, (event(1),), NOW)


def test_a_cell_that_waits_is_told_what_for_and_until_when() -> None:
    told = why(rollout_view())

    assert told.words == (
        f"{OTHER_CELL} is waiting in rollout r1 of release server-1.31.2.",
        "It waits: ring 1 bakes, until 2026-01-02 04:04 UTC.",
        "Failures that ring 1 may have: 0 of 0 left.",
    )
    assert (told.status, told.ring, told.batch, told.in_batch) == (CellStatus.WAITING, 1, 1, False)
    assert told.history == (event(1),)


def test_everything_that_keeps_it_is_told() -> None:
    view = replace(
        rollout_view(phase=Phase.HALTED, message="a canary died"),
        paused_by="olga: lunch",
        blocked="people have to look",
        holds={OTHER_CELL: Hold("otto", "a customer asked", NOW + HOUR)},
        confounded={"aws-us-west-2": "three cells vanished"},
        rings={1: RingProgress(bake=begin(2 * HOUR, NOW))},
    )

    assert why(view, calendar=FROZEN).words[1:] == (
        "The rollout cannot go on by itself: people have to look.",
        "The rollout is halted: a canary died.",
        "It is paused: olga: lunch.",
        "It waits: ring 1 bakes, until 2026-01-02 04:04 UTC.",
        "otto holds it, until 2026-01-02 04:04 UTC: a customer asked.",
        "The calendar: freeze 'christmas': nobody is here, until 2026-01-02 04:04 UTC.",
        "Nothing starts in aws-us-west-2: three cells vanished.",
        "Failures that ring 1 may have: 0 of 0 left.",
        "Ring 1 bakes: 0:00:00 of 2:00:00 green evidence, and nothing was seen yet.",
    )


def test_a_cell_that_is_done_waits_for_nothing() -> None:
    told = why(rollout_view(), CELL, FROZEN)

    assert told.words == (f"{CELL} is done in rollout r1 of release server-1.31.2.",)
    assert told.in_batch


def test_of_a_rollout_that_has_ended_nothing_else_matters() -> None:
    view = replace(rollout_view(phase=Phase.ENDED), outcome=Outcome.ABORTED, paused_by="olga: x")

    assert why(view).words[1:] == ("The rollout has ended: aborted.",)


def test_a_cell_that_left_the_fleet_is_explained_all_the_same() -> None:
    told = explain(rollout_view(), CELL, None, FROZEN, HOUR, (), NOW)

    assert (told.status, told.calendar) == (CellStatus.DONE, "")


def test_a_cell_that_the_rollout_does_not_know_is_not_found() -> None:
    with pytest.raises(ApplicationError, match="rollout r1 does not know a cell 'c9'"):
        why(rollout_view(), "c9")


async def test_why_not_yet_is_answered_over_http(operator: Tenant) -> None:
    name = named()
    async with operator.http() as http:
        await created(http, name)
        await began(http, name)
        answer = await http.get(f"{ROLLOUTS}/{name}/cells/{CELL}")
        missing = await http.get(f"{ROLLOUTS}/{name}/cells/nothing")

    told = TypeAdapter(CellExplanation).validate_json(answer.content)
    assert (told.cell, told.ring) == (CELL, 1)
    assert told.waits
    assert any("It waits:" in sentence for sentence in told.words)
    assert missing.status_code == 404
