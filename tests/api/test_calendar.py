"""The calendar over HTTP: whoever saw the last revision changes it, and incidents block at once."""

from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import JsonValue, TypeAdapter

from controlplane.api.operator_types import CalendarDetails
from controlplane.store.audit import AuditLog
from controlplane.store.calendars import Calendars
from rollout.calendar import Calendar
from tests.api.running import RunningApi, Tenant

CALENDAR = "/fleet/v1/calendar"
FREEZE: dict[str, JsonValue] = {
    "name": "christmas",
    "reason": "nobody is here",
    "since": "2026-12-20T00:00:00Z",
    "until": "2027-01-02T00:00:00Z",
}
WINDOW: dict[str, JsonValue] = {
    "name": "nights",
    "rrule": "FREQ=DAILY",
    "dtstart": "2026-01-01T22:00:00",
    "duration": "PT8H",
    "time_zone": "Europe/Berlin",
    "selector": "ring/2",
}
INCIDENT: dict[str, JsonValue] = {"name": "inc-1", "reason": "the database is on fire"}


@pytest.fixture(autouse=True)
async def empty(api: RunningApi) -> AsyncIterator[None]:
    """A calendar that says nothing, also for whoever comes next."""
    calendars = Calendars(api.pool)
    await calendars.change(lambda _: Calendar(), by="a test", reason="begins")
    yield
    await calendars.change(lambda _: Calendar(), by="a test", reason="is over")


def read(answer: httpx.Response) -> CalendarDetails:
    assert answer.status_code == 200, answer.text
    details = TypeAdapter(CalendarDetails).validate_json(answer.content)
    assert answer.headers["etag"] == f'"{details.revision}"'
    return details


async def test_a_calendar_is_changed_by_whoever_saw_its_last_revision(operator: Tenant) -> None:
    wanted = {"windows": [WINDOW], "freezes": [FREEZE], "reason": "as every year"}
    async with operator.http() as http:
        before = await http.get(CALENDAR)
        tag = {"if-match": before.headers["etag"]}
        after = read(await http.put(CALENDAR, json=wanted, headers=tag))
        late = await http.put(CALENDAR, json={"reason": "x"}, headers=tag)
        seen = read(await http.get(CALENDAR))
        cleared = read(await http.put(CALENDAR, json={"reason": "x", "revision": after.revision}))

    assert after.revision == read(before).revision + 1
    assert (after.changed_by, after.reason) == (operator.owner.email, "as every year")
    assert [window.name for window in after.calendar.windows] == ["nights"]
    assert [freeze.name for freeze in after.calendar.freezes] == ["christmas"]
    assert seen == after
    assert late.status_code == 400
    assert late.json()["status"] == "FAILED_PRECONDITION"
    assert f"the calendar is at revision {after.revision}, not at" in late.json()["message"]
    assert cleared.calendar == Calendar()


@pytest.mark.parametrize(
    ("wanted", "headers", "told"),
    [
        ({}, {}, "which calendar this changes is not said"),
        ({}, {"if-match": "W/latest"}, "If-Match is 'W/latest': send the ETag"),
        ({"revision": 1}, {"if-match": '"2"'}, "If-Match says revision 2, and the body says 1"),
        ({"freezes": [FREEZE, FREEZE]}, {"if-match": ""}, "freezes are named twice: christmas"),
        ({"windows": [{**WINDOW, "time_zone": "Mars/Base"}]}, {"if-match": ""}, "Mars/Base"),
        ({"windows": [{**WINDOW, "selector": "moon"}]}, {"if-match": ""}, "selector 'moon'"),
        ({"windows": [{**WINDOW, "rule": "x"}]}, {"if-match": ""}, "windows.0.rule"),
        ({"blockers": []}, {"if-match": ""}, "blockers: Extra inputs"),
    ],
    ids=[
        "no revision",
        "no tag",
        "two revisions",
        "twice",
        "zone",
        "selector",
        "unknown",
        "blockers",
    ],
)
async def test_a_calendar_that_cannot_be_is_refused_with_the_value(
    operator: Tenant, wanted: dict[str, JsonValue], headers: dict[str, str], told: str
) -> None:
    async with operator.http() as http:
        present = await http.get(CALENDAR)
        if headers.get("if-match") == "":
            headers = {"if-match": present.headers["etag"]}
        answer = await http.put(CALENDAR, json={"reason": "x", **wanted}, headers=headers)

    assert answer.status_code == 400
    assert told in answer.json()["message"]


async def test_an_incident_blocks_until_it_is_taken_away(operator: Tenant) -> None:
    async with operator.http() as http:
        blocked = read(await http.post(f"{CALENDAR}/blockers", json=INCIDENT))
        again = read(await http.post(f"{CALENDAR}/blockers", json=INCIDENT))
        other = await http.post(f"{CALENDAR}/blockers", json={**INCIDENT, "selector": "ring/1"})
        over = read(await http.delete(f"{CALENDAR}/blockers/inc-1"))
        gone = read(await http.delete(f"{CALENDAR}/blockers/inc-1"))

    (blocker,) = blocked.calendar.blockers
    assert (blocker.name, blocker.by) == ("inc-1", operator.owner.email)
    assert again == blocked
    assert other.status_code == 409
    assert f"as {operator.owner.email} said: the database is on fire" in other.json()["message"]
    assert over.calendar.blockers == ()
    assert gone == over


async def test_a_calendar_that_is_replaced_keeps_its_incidents(operator: Tenant) -> None:
    async with operator.http() as http:
        tag = (await http.post(f"{CALENDAR}/blockers", json=INCIDENT)).headers["etag"]
        after = read(
            await http.put(
                CALENDAR, json={"reason": "x", "freezes": [FREEZE]}, headers={"if-match": tag}
            )
        )

    assert [blocker.name for blocker in after.calendar.blockers] == ["inc-1"]


async def test_who_changed_the_calendar_and_what_it_said_before_is_recorded(
    api: RunningApi, operator: Tenant
) -> None:
    async with operator.http() as http:
        await http.post(f"{CALENDAR}/blockers", json=INCIDENT)
        await http.delete(f"{CALENDAR}/blockers/inc-1")

    entries = [r.entry for r in await AuditLog(api.pool).read(operator.account, limit=10)]
    assert [(entry.what, entry.status) for entry in entries] == [("fleet.calendar.block", "OK")] * 2
    assert [entry.details["request"] for entry in entries] == [INCIDENT, {"unblocked": "inc-1"}]
    before = entries[1].details["before"]
    assert isinstance(before, dict)
    assert "on fire" in str(before["blockers"])
