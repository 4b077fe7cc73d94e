"""Emptying cells over HTTP: begun once, followed, steered."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import uuid4

import httpx
import pytest
from pydantic import JsonValue, TypeAdapter

from cells.types import CellView
from controlplane.api.evacuation_types import EvacuationPage
from controlplane.store.audit import AuditLog
from controlplane.store.evacuation_projections import EvacuationProjections
from controlplane.store.projections import Projections
from provisioning.evacuation.policy import EvacuationKind, EvacuationPolicy, TierOrder
from provisioning.evacuation.types import EvacuationView, Outcome, Phase
from provisioning.types import FailoverMode
from tests.api.running import RunningApi, Tenant
from tests.store.views import cell_view

EVACUATIONS = "/fleet/v1/evacuations"
_VIEW = TypeAdapter(EvacuationView)
_PAGE = TypeAdapter(EvacuationPage)


@pytest.fixture
async def cell(api: RunningApi) -> AsyncIterator[CellView]:
    """A cell of this test's own, as are those whose ids begin with its."""
    view = cell_view(f"aws-us-east-1-{uuid4().hex[:8]}")
    await Projections(api.pool).publish_cell(view)
    yield view
    async with api.pool.connection() as connection:
        await connection.execute("DELETE FROM cells WHERE starts_with(id, %s)", (view.id,))


@asynccontextmanager
async def engine(api: RunningApi, **trouble: bool) -> AsyncIterator[None]:
    """Give the engine some trouble until the block ends."""
    for name, value in trouble.items():
        setattr(api.fleet.evacuations, name, value)
    try:
        yield
    finally:
        api.fleet.evacuations.silent = api.fleet.evacuations.reply_lost = False


async def start(tenant: Tenant, emptied: CellView, **asked: JsonValue) -> httpx.Response:
    body = {"cell": emptied.id, "kind": "evacuate", "reason": "its disk is slow", **asked}
    async with tenant.http() as http:
        return await http.post(EVACUATIONS, json=body)


async def began(tenant: Tenant, emptied: CellView, **asked: JsonValue) -> EvacuationView:
    answer = await start(tenant, emptied, **asked)
    assert answer.status_code == httpx.codes.OK, answer.text
    return _VIEW.validate_json(answer.content)


async def steer(tenant: Tenant, evacuation: str, kind: str, **asked: JsonValue) -> httpx.Response:
    async with tenant.http() as http:
        return await http.post(
            f"{EVACUATIONS}/{evacuation}:control", json={"kind": kind, "reason": "because", **asked}
        )


async def end(api: RunningApi, cell: CellView, outcome: Outcome = Outcome.SUCCEEDED) -> None:
    ended = api.fleet.evacuations.end(cell.id, outcome)
    await EvacuationProjections(api.pool).publish_evacuation(ended)


async def test_a_cell_is_emptied_by_the_rules_that_were_asked_for(
    api: RunningApi, operator: Tenant, cell: CellView
) -> None:
    view = await began(
        operator,
        cell,
        kind="drill",
        policy={"at_once": 2, "drill_soak": "PT90S", "order": "highest first"},
    )
    async with operator.http() as http:
        seen = await http.get(f"{EVACUATIONS}/{view.id}")

    assert (view.cell, view.kind, view.reason) == (
        cell.id,
        EvacuationKind.DRILL,
        "its disk is slow",
    )
    assert view.actor == operator.owner.email
    assert _VIEW.validate_json(seen.content) == view
    asked = api.fleet.evacuations.started[-1].policy
    assert (asked.at_once, asked.drill_soak.total_seconds()) == (2, 90)
    assert asked.order is TierOrder.HIGHEST_FIRST
    # What was not named is as a drill has it.
    assert (asked.mode, asked.attempts) == (FailoverMode.GRACEFUL, 1)
    assert asked.per_minute == EvacuationPolicy().per_minute


async def test_the_same_request_again_is_answered_with_the_same_evacuation(
    api: RunningApi, operator: Tenant, cell: CellView
) -> None:
    first = await began(operator, cell)
    begun = len(api.fleet.evacuations.started)

    again = await began(operator, cell)
    other = await start(operator, cell, kind="drain")

    assert first.id == f"{cell.id}-1"
    assert again == first
    assert len(api.fleet.evacuations.started) == begun
    assert other.status_code == httpx.codes.CONFLICT
    assert f"evacuation '{first.id}' already stands for another" in other.json()["message"]


async def test_a_cell_is_emptied_again_once_the_first_time_is_over(
    api: RunningApi, operator: Tenant, cell: CellView
) -> None:
    first = await began(operator, cell)
    await end(api, cell)

    second = await began(operator, cell)
    named = await start(operator, cell, id=first.id)

    assert second.id == f"{cell.id}-2"
    assert _VIEW.validate_json(named.content).phase is Phase.ENDED


async def test_a_reply_that_was_lost_is_given_to_who_asks_again(
    api: RunningApi, operator: Tenant, cell: CellView
) -> None:
    async with engine(api, reply_lost=True):
        lost = await start(operator, cell, id=f"{cell.id}-x")
    async with operator.http() as http:
        unseen = await http.get(f"{EVACUATIONS}/{cell.id}-x")

    found = await began(operator, cell, id=f"{cell.id}-x")

    assert lost.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert unseen.status_code == httpx.codes.NOT_FOUND
    assert found.phase is Phase.FAILING_OVER
    assert len(api.fleet.evacuations.states) >= 1


async def test_a_silent_engine_is_said_to_be_silent(
    api: RunningApi, operator: Tenant, cell: CellView
) -> None:
    async with engine(api, silent=True):
        answer = await start(operator, cell)

    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert (await began(operator, cell)).cell == cell.id


REFUSED: dict[str, tuple[dict[str, JsonValue], int, str]] = {
    "no cell": ({"cell": "nowhere-c1"}, 404, "cell 'nowhere-c1' not found"),
    "no reason": ({"reason": ""}, 400, "reason"),
    "an id": ({"id": "Not An Id"}, 400, "is not an evacuation's id"),
    "too many": ({"policy": {"at_once": 1000}}, 400, "policy: at_once is 1000: choose 1 to 100"),
    "a drill by force": (
        {"kind": "drill", "policy": {"mode": "forced"}},
        400,
        "a drill loses nothing",
    ),
    "misspelt": ({"policy": {"at_onse": 1}}, 400, "at_onse"),
    "another kind": ({"kind": "destroy"}, 400, "kind"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_cannot_be_is_refused_and_begins_nothing(
    api: RunningApi, operator: Tenant, cell: CellView, case: str
) -> None:
    asked, status, told = REFUSED[case]
    begun = len(api.fleet.evacuations.started)

    answer = await start(operator, cell, **asked)

    assert answer.status_code == status, answer.text
    assert told in answer.json()["message"]
    assert len(api.fleet.evacuations.started) == begun


async def test_an_evacuation_is_paused_resumed_and_aborted(
    api: RunningApi, operator: Tenant, cell: CellView
) -> None:
    view = await began(operator, cell)

    paused = await steer(operator, view.id, "pause", id="wish-1")
    again = await steer(operator, view.id, "pause", id="wish-1")
    resumed = await steer(operator, view.id, "resume")
    aborted = await steer(operator, view.id, "abort")
    twice = await steer(operator, view.id, "abort")
    async with operator.http() as http:
        seen = _VIEW.validate_json((await http.get(f"{EVACUATIONS}/{view.id}")).content)

    said = f"{operator.owner.email}: because"
    assert paused.json()["paused_by"] == again.json()["paused_by"] == said
    assert resumed.json()["paused_by"] == ""
    assert aborted.json()["phase"] == seen.phase == Phase.STOPPING
    assert twice.status_code == httpx.codes.BAD_REQUEST
    assert "comes to its end by itself" in twice.json()["message"]
    controls = [
        dict(each.entry.details)
        for each in await AuditLog(api.pool).read(operator.account, limit=100)
        if each.entry.what == "fleet.evacuations.control" and each.entry.status == "OK"
    ]
    assert controls[0]["before"] == {"phase": "failing over", "paused": ""}
    assert controls[0]["after"] == {"phase": "failing over", "paused": said}


async def test_one_that_never_was_cannot_be_steered(operator: Tenant) -> None:
    answer = await steer(operator, "never", "pause")

    assert answer.status_code == httpx.codes.NOT_FOUND
    assert "`controlplane evacuation list`" in answer.json()["message"]


async def test_evacuations_are_listed_cell_by_cell_newest_first(
    api: RunningApi, operator: Tenant, cell: CellView
) -> None:
    first = await began(operator, cell)
    await end(api, cell, Outcome.INCOMPLETE)
    second = await began(operator, cell)
    other = replace(cell, id=f"{cell.id}-other")
    await Projections(api.pool).publish_cell(other)
    await began(operator, other)

    async with operator.http() as http:
        asked = {"cell": cell.id, "page_size": "1"}
        newest = _PAGE.validate_json((await http.get(EVACUATIONS, params=asked)).content)
        asked["page_token"] = newest.next_page_token
        older = _PAGE.validate_json((await http.get(EVACUATIONS, params=asked)).content)

    assert [each.id for each in newest.evacuations] == [second.id]
    assert [(each.id, each.outcome) for each in older.evacuations] == [
        (first.id, Outcome.INCOMPLETE)
    ]
    assert older.next_page_token == ""
