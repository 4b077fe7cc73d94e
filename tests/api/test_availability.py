"""Failovers that nobody asks for, over HTTP: what was decided and why, and how that is steered."""

import json

import httpx
from pydantic import JsonValue, TypeAdapter

from controlplane.store.audit import AuditLog
from controlplane.store.availability import AvailabilityProjections
from controlplane.store.replication import ReplicationLinks
from provisioning.automatic.types import (
    AvailabilityPolicy,
    AvailabilityView,
    CellRecord,
    Verdict,
)
from tests.api.running import RunningApi, Tenant
from tests.store.replica_views import link
from tests.store.views import CELL

AVAILABILITY = "/fleet/v1/availability"
_VIEW = TypeAdapter(AvailabilityView)


async def publish(api: RunningApi) -> AvailabilityView:
    """Let the watch publish how it is, and return that."""
    # Above whatever another test has published.
    api.fleet.availability.state.revision += 10_000
    view = api.fleet.availability.published()
    await AvailabilityProjections(api.pool).publish_availability(view)
    return view


async def tell(tenant: Tenant, what: str, **body: JsonValue) -> httpx.Response:
    verb = "PATCH" if what == "/policy" else "POST"
    async with tenant.http() as http:
        return await http.request(verb, f"{AVAILABILITY}{what}", json={"reason": "because", **body})


async def test_what_was_decided_is_read_as_it_was_published(
    api: RunningApi, operator: Tenant
) -> None:
    view = await publish(api)

    async with operator.http() as http:
        answer = await http.get(AVAILABILITY)

    assert _VIEW.validate_json(answer.content) == view


async def test_it_is_paused_and_resumed_by_whom_and_why(api: RunningApi, operator: Tenant) -> None:
    await publish(api)

    paused = _VIEW.validate_json((await tell(operator, ":pause")).content)
    async with operator.http() as http:
        seen = _VIEW.validate_json((await http.get(AVAILABILITY)).content)
    resumed = _VIEW.validate_json((await tell(operator, ":resume")).content)

    assert paused.paused is not None
    assert (paused.paused.by, paused.paused.reason) == (operator.owner.email, "because")
    assert seen.paused == paused.paused
    assert resumed.paused is None
    entries = [each.entry for each in await AuditLog(api.pool).read(operator.account, limit=50)]
    asked = [e for e in entries if e.what == "fleet.availability.control"]
    assert [entry.details["request"] for entry in asked] == [
        {"reason": "because", "what": "pause"},
        {"reason": "because", "what": "resume"},
    ]


async def test_a_rule_is_changed_and_the_others_stay(api: RunningApi, operator: Tenant) -> None:
    before = (await publish(api)).policy

    changed = await tell(operator, "/policy", policy={"failback": False, "lost_for": "PT1M"})
    refused = await tell(operator, "/policy", policy={"lost_rounds": 1})
    unknown = await tell(operator, "/policy", policy={"lost_round": 5})
    back = await tell(
        operator,
        "/policy",
        policy=json.loads(TypeAdapter(AvailabilityPolicy).dump_json(before)),
    )

    after = _VIEW.validate_json(changed.content).policy
    assert (after.failback, after.lost_for.total_seconds()) == (False, 60)
    assert after.lost_rounds == before.lost_rounds
    assert refused.status_code == unknown.status_code == httpx.codes.BAD_REQUEST
    assert "lost_rounds is 1: at least 2" in refused.json()["message"]
    assert _VIEW.validate_json(back.content).policy == before


async def test_the_hold_of_a_cell_that_comes_and_goes_is_lifted(
    api: RunningApi, operator: Tenant
) -> None:
    record = api.fleet.availability.state.cells[CELL] = CellRecord(verdict=Verdict.HELD)
    await publish(api)

    lifted = await tell(operator, f"/cells/{CELL}:lift-hold")
    unknown = await tell(operator, "/cells/nowhere-c1:lift-hold")

    assert lifted.status_code == httpx.codes.OK
    assert record.verdict is not Verdict.HELD
    assert unknown.status_code == httpx.codes.NOT_FOUND


async def test_the_links_of_a_cell_are_told_in_both_directions(
    api: RunningApi, operator: Tenant
) -> None:
    there, back = link("synthetic-c0", "aws-us-west-2-c1"), link("aws-us-west-2-c1", "synthetic-c0")
    await ReplicationLinks(api.pool).publish_links("synthetic-c0", [there])
    await ReplicationLinks(api.pool).publish_links("aws-us-west-2-c1", [back])

    async with operator.http() as http:
        found = (await http.get("/fleet/v1/cells/synthetic-c0/links")).json()
        unknown = await http.get("/fleet/v1/cells/nowhere-c1/links")

    assert [(each["cell"], each["peer"]) for each in found] == [
        ("aws-us-west-2-c1", "synthetic-c0"),
        ("synthetic-c0", "aws-us-west-2-c1"),
    ]
    assert unknown.status_code == httpx.codes.NOT_FOUND
