"""Rollouts over HTTP: begun once, followed, steered."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from pydantic import JsonValue, TypeAdapter

from controlplane.api.rollout_types import DryRun, EventPage, PresentPlan, RolloutPage
from controlplane.identity.types import Role
from controlplane.store.audit import AuditLog
from controlplane.store.rollout_projections import RolloutProjections
from rollout.bake import Bake, PatchCredit
from rollout.policy import Lane, RollbackScope, default_policy
from rollout.simulation.types import Assumptions, Forecast
from rollout.types import Outcome, Phase, RingProgress, RolloutView
from tests.api.colleagues import colleague
from tests.api.running import RunningApi, Tenant
from tests.api.test_releases import created, named
from tests.store.views import NOW

ROLLOUTS = "/fleet/v1/rollouts"
DAY = timedelta(days=1)
_VIEW = TypeAdapter(RolloutView)
_DRY_RUN = TypeAdapter(DryRun)
_LIST = TypeAdapter(RolloutPage)
_PLAN = TypeAdapter(PresentPlan)
_EVENTS = TypeAdapter(EventPage)


async def began(http: httpx.AsyncClient, release: str, **asked: JsonValue) -> RolloutView:
    answer = await http.post(ROLLOUTS, json={"release": release, "reason": "it is time", **asked})
    assert answer.status_code == 200, answer.text
    return _VIEW.validate_json(answer.content)


@asynccontextmanager
async def engine(api: RunningApi, **trouble: bool | str) -> AsyncIterator[None]:
    """Give the engine some trouble until the block ends."""
    for name, value in trouble.items():
        setattr(api.fleet, name, value)
    try:
        yield
    finally:
        api.fleet.silent, api.fleet.reply_lost, api.fleet.refusal = False, False, ""


async def steer(
    http: httpx.AsyncClient, rollout: str, kind: str, **asked: JsonValue
) -> httpx.Response:
    body = {"kind": kind, "reason": "because", **asked}
    return await http.post(f"{ROLLOUTS}/{rollout}:control", json=body)


async def test_a_rollout_begins_with_what_was_asked_for(api: RunningApi, operator: Tenant) -> None:
    name = named()
    async with operator.http() as http:
        release = await created(http, name)
        view = await began(
            http,
            name,
            id=f"{name}-first",
            lane="emergency",
            policy={"rollback": "all", "rings": [{"ring": 0, "ring_bake": "PT2H"}]},
        )
        seen = await http.get(f"{ROLLOUTS}/{view.id}")

    assert (view.id, view.release, view.release_digest) == (f"{name}-first", name, release.digest)
    assert (view.actor, view.reason) == (operator.owner.email, "it is time")
    assert _VIEW.validate_json(seen.content) == view
    asked = api.fleet.started[-1]
    assert (asked.release, asked.lane) == (release.release, Lane.EMERGENCY)
    assert asked.policy.rollback is RollbackScope.ALL
    first, *others = default_policy().rings
    assert asked.policy.rings[0].ring_bake.total_seconds() == 7200
    assert asked.policy.rings[0].batches == first.batches
    assert asked.policy.rings[1:] == tuple(others)


async def test_the_same_request_again_is_answered_with_the_same_rollout(
    api: RunningApi, operator: Tenant
) -> None:
    name = named()
    async with operator.http() as http:
        await created(http, name)
        first = await began(http, name, id=name)
        begun = len(api.fleet.started)
        again = await began(http, name, id=name)
        other = await http.post(
            ROLLOUTS,
            json={"release": name, "id": name, "reason": "it is time", "lane": "emergency"},
        )

    assert again == first
    assert len(api.fleet.started) == begun
    assert other.status_code == 409
    assert f"rollout {name!r} already stands for another request" in other.json()["message"]


async def test_a_colleague_who_repeats_a_request_is_shown_the_first_ones_rollout(
    operator: Tenant,
) -> None:
    name = named()
    other = await colleague(operator, Role.ADMIN)
    async with operator.http() as http:
        await created(http, name)
        await began(http, name, id=name)
        answer = await http.post(
            ROLLOUTS,
            json={"release": name, "id": name, "reason": "it is time"},
            headers={"authorization": f"Bearer {other.token}"},
        )

    assert _VIEW.validate_json(answer.content).actor == operator.owner.email


async def test_a_request_whose_answer_was_lost_is_taken_up_again_by_whomever_as_it_was(
    api: RunningApi, operator: Tenant
) -> None:
    name = named()
    other = await colleague(operator, Role.ADMIN)
    body: JsonValue = {"release": name, "reason": "it is time"}
    async with operator.http() as http:
        await created(http, name)
        async with engine(api, reply_lost=True):
            lost = await http.post(ROLLOUTS, json=body)
        unseen = await http.get(f"{ROLLOUTS}/{name}")
    async with other.http() as http:
        again = await http.post(ROLLOUTS, json=body)

    assert lost.status_code == 503
    assert unseen.status_code == 404
    assert (again.status_code, again.json()["id"]) == (200, name)
    first, second = [each for each in api.fleet.started if each.id == name]
    assert second == first


async def test_a_refused_rollout_leaves_its_id_free(api: RunningApi, operator: Tenant) -> None:
    name = named()
    async with operator.http() as http:
        await created(http, name)
        async with engine(api, refusal="another rollout writes the servers"):
            refused = await http.post(
                ROLLOUTS, json={"release": name, "id": name, "reason": "it is time"}
            )
        view = await began(http, name, id=name, lane="emergency")

    assert refused.status_code == 400
    assert "another rollout writes the servers" in refused.json()["message"]
    assert view.lane is Lane.EMERGENCY


async def test_without_an_id_a_rollout_is_called_after_its_release(
    api: RunningApi, operator: Tenant
) -> None:
    name = named()
    async with operator.http() as http:
        await created(http, name)
        first = await began(http, name)
        assert (await began(http, name)).id == first.id == name
        ended = api.fleet.end(name, Outcome.ABORTED)
        await RolloutProjections(api.pool).publish_rollout(ended)
        second = await began(http, name)

    assert second.id == f"{name}-2"


@pytest.mark.parametrize(
    ("asked", "status", "told"),
    [
        ({"release": "nothing"}, 404, "release 'nothing' not found"),
        ({"reason": " "}, 400, "a rollout needs a reason"),
        ({"id": "No/Way"}, 400, "'No/Way' is not a rollout's id"),
        ({"lane": "fast"}, 400, "body.lane"),
        ({"policy": {"rings": [{"ring": 1, "tolerance": "some"}]}}, 400, "tolerance is 'some'"),
        (
            {"policy": {"rings": [{"ring": 1}, {"ring": 1}]}},
            400,
            "ring 1 is named twice: name each ring once",
        ),
        ({"policy": {"rings": [{"ring": 1, "bake": "PT1H"}]}}, 400, "rings.0.bake"),
        ({"policy": {"rings": [{"ring": 1, "ring_bake": "P400D"}]}}, 400, "366 days"),
        ({"policy": {"gates": []}}, 400, "a policy without gates never earns credit"),
        (
            {"policy": {"gates": [{"name": "errors", "kind": "prometheus", "query": "up"}]}},
            400,
            "gate 'errors'",
        ),
        ({"policy": {"visit": {"settle": -1}}}, 400, "policy.visit.settle"),
    ],
    ids=lambda value: None if isinstance(value, dict) else str(value),
)
@pytest.mark.parametrize("path", [ROLLOUTS, f"{ROLLOUTS}:plan", f"{ROLLOUTS}:simulate"])
async def test_what_cannot_be_a_rollout_is_refused_with_the_value(
    operator: Tenant, path: str, asked: dict[str, JsonValue], status: int, told: str
) -> None:
    if "reason" in asked and path != ROLLOUTS:
        status, told = 200, ""
    name = named()
    async with operator.http() as http:
        await created(http, name)
        answer = await http.post(path, json={"release": name, "reason": "it is time", **asked})

    assert answer.status_code == status, answer.text
    assert told in answer.text


async def test_a_rollout_that_has_not_changed_is_not_sent_again(operator: Tenant) -> None:
    name = named()
    path = f"{ROLLOUTS}/{name}"
    async with operator.http() as http:
        await created(http, name)
        await began(http, name)
        first = await http.get(path)
        tag = {"if-none-match": first.headers["etag"]}
        again = await http.get(path, headers=tag)
        await steer(http, name, "pause")
        changed = await http.get(path, headers=tag)

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert changed.status_code == 200
    assert changed.headers["etag"] == f'"{_VIEW.validate_json(changed.content).revision}"'


async def test_lists_show_the_newest_first(operator: Tenant) -> None:
    names = [named(), named()]
    async with operator.http() as http:
        for name in names:
            await created(http, name)
            await began(http, name)
        answer = await http.get(ROLLOUTS, params={"page_size": 1})
        first = _LIST.validate_json(answer.content)
        token = first.next_page_token
        second = _LIST.validate_json(
            (await http.get(ROLLOUTS, params={"page_size": 1, "page_token": token})).content
        )

    listed = [*first.rollouts, *second.rollouts]
    assert [each.id for each in listed] == names[::-1]
    assert (listed[0].phase, listed[0].reason) == (Phase.FORWARD, "it is time")
    assert sum(listed[0].cells.values()) == 3


async def test_a_person_steers_a_rollout_and_is_named(api: RunningApi, operator: Tenant) -> None:
    name = named()
    async with operator.http() as http:
        await created(http, name)
        await began(http, name)
        paused = await steer(http, name, "pause", reason="lunch", id="lunch-1")
        again = await steer(http, name, "pause", reason="lunch", id="lunch-1")
        seen = _VIEW.validate_json((await http.get(f"{ROLLOUTS}/{name}")).content)
        resumed = await steer(http, name, "resume")

    assert operator.owner.email in _VIEW.validate_json(paused.content).paused_by
    assert again.status_code == 200
    assert seen.paused_by == _VIEW.validate_json(again.content).paused_by
    assert _VIEW.validate_json(resumed.content).paused_by == ""
    entries = [r.entry for r in await AuditLog(api.pool).read(operator.account, limit=100)]
    calls = [entry for entry in entries if entry.what == "fleet.rollouts.control"]
    assert [entry.status for entry in calls] == ["OK"] * 3
    assert calls[0].details["request"] == {
        "kind": "pause",
        "reason": "lunch",
        "id": "lunch-1",
        "rollout": name,
    }
    after = calls[0].details["after"]
    assert isinstance(after, dict)
    assert "lunch" in str(after["paused"])


async def test_a_control_that_the_rollout_refuses_is_told_why(
    api: RunningApi, operator: Tenant
) -> None:
    name = named()
    async with operator.http() as http:
        await created(http, name)
        await began(http, name)
        api.fleet.end(name, Outcome.ABORTED)
        ended = await steer(http, name, "pause")
        missing = await steer(http, "nothing", "pause")
        superseded = await steer(http, name, "supersede")
        far = await steer(http, name, "hold", until="9999-12-31T23:59:59-12:00")

    assert (ended.status_code, missing.status_code) == (400, 404)
    assert "has ended" in ended.json()["message"]
    assert "superseded by another one" in superseded.json()["message"]
    assert "ten years from now at most" in far.json()["message"]


async def test_what_a_rollout_decided_is_read_from_the_audit_log_page_by_page(
    api: RunningApi, operator: Tenant
) -> None:
    name = named()
    async with operator.http() as http:
        await created(http, name)
        await began(http, name)
        await steer(http, name, "pause")
        answer = await http.get(f"{ROLLOUTS}/{name}/events", params={"page_size": 1})
        first = _EVENTS.validate_json(answer.content)
        following = {"page_token": first.next_page_token}
        rest = _EVENTS.validate_json(
            (await http.get(f"{ROLLOUTS}/{name}/events", params=following)).content
        )
        following = {"page_token": rest.next_page_token}
        none = _EVENTS.validate_json(
            (await http.get(f"{ROLLOUTS}/{name}/events", params=following)).content
        )
        await steer(http, name, "resume")
        more = _EVENTS.validate_json(
            (await http.get(f"{ROLLOUTS}/{name}/events", params=following)).content
        )

    assert first.more
    assert not rest.more
    numbers = [each.event.number for each in (*first.events, *rest.events, *more.events)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert first.events[0].event.what == "started"
    assert (none.events, none.next_page_token) == ((), rest.next_page_token)
    assert more.events
    verified = await AuditLog(api.pool).verify(operator.account)
    assert verified.reason == ""


async def test_the_present_plan_says_what_an_approval_is_bound_to(operator: Tenant) -> None:
    name = named()
    async with operator.http() as http:
        await created(http, name)
        view = await began(http, name)
        plan = _PLAN.validate_json((await http.get(f"{ROLLOUTS}/{name}/plan")).content)

    assert plan.plan_hash == view.plan_hash
    assert (plan.evidence_digest, plan.evidence) == (
        view.evidence_digest,
        "nothing speaks against it",
    )
    assert (plan.done, plan.cells) == (0, 3)
    assert plan.waits == view.waits


async def test_an_approval_in_view_of_other_evidence_is_refused_with_what_is_known_now(
    operator: Tenant,
) -> None:
    name = named()
    other = await colleague(operator, Role.ADMIN)
    async with operator.http() as http:
        await created(http, name)
        policy: JsonValue = {"rings": [{"ring": 1, "approvals": 1}]}
        view = await began(http, name, policy=policy)
    async with other.http() as http:
        plan = view.plan_hash
        refused = await steer(http, name, "approve", plan=plan, evidence="0123456789abcdef")
        agreed = await steer(http, name, "approve", plan=plan, evidence=view.evidence_digest)

    assert refused.status_code == 400
    assert "now nothing speaks against it" in refused.json()["message"]
    assert agreed.status_code == 200, agreed.text


async def test_an_emergency_tells_who_declared_it_and_until_when(operator: Tenant) -> None:
    name = named()
    async with operator.http() as http:
        await created(http, name)
        view = await began(http, name, lane="emergency", policy={"emergency_for": "PT2H"})

    assert view.emergency is not None
    assert (view.emergency.actor, view.emergency.reason) == (operator.owner.email, "it is time")
    assert view.emergency.until - view.emergency.since == timedelta(hours=2)


async def test_a_patch_is_given_what_the_release_that_it_corrects_has_baked(
    api: RunningApi, operator: Tenant
) -> None:
    corrected, patch, more = named(), named(), named()
    async with operator.http() as http:
        await created(http, corrected, server_version="1.31.2")
        view = await began(http, corrected)
        baked = Bake(DAY, NOW, NOW, credit=DAY)
        rings = {1: RingProgress(1, bake=baked, bakes_ring=True, baked=True)}
        await RolloutProjections(api.pool).publish_rollout(
            replace(view, rings=rings, revision=view.revision + 1)
        )
        await created(http, patch, server_version="1.31.3", patch_of=corrected)
        await created(http, more, server_version="1.32.0", patch_of=corrected)
        dry = await http.post(f"{ROLLOUTS}:plan", json={"release": patch})
        refused = await http.post(f"{ROLLOUTS}:plan", json={"release": more})
        await began(http, patch)

    planned = _DRY_RUN.validate_json(dry.content)
    known = PatchCredit(corrected, view.id, {1: DAY})
    assert planned.patch_credit == known
    assert planned.head_starts == {1: DAY}
    unlike = _DRY_RUN.validate_json(refused.content).patch_credit
    assert unlike is not None
    assert "another minor version" in unlike.refused
    assert api.fleet.started[-1].patch_credit == known


async def test_a_simulation_is_of_the_fleet_as_it_is(api: RunningApi, operator: Tenant) -> None:
    name = named()
    async with operator.http() as http:
        await created(http, name)
        answer = await http.post(
            f"{ROLLOUTS}:simulate",
            json={"release": name, "runs": 3, "seed": 7, "assumptions": {"failure_share": 0.1}},
        )

    assert TypeAdapter(Forecast).validate_json(answer.content).cells == 3
    simulated = api.fleet.simulated[-1]
    assert (simulated.runs, simulated.seed) == (3, 7)
    assert simulated.assumptions == Assumptions(failure_share=0.1)
    assert simulated.start.release.name == name
    assert name not in api.fleet.rollouts


async def test_an_engine_that_is_silent_is_unavailable(api: RunningApi, operator: Tenant) -> None:
    name = named()
    async with operator.http() as http:
        await created(http, name)
        await began(http, name)
        async with engine(api, silent=True):
            answers = [
                await steer(http, name, "pause"),
                await http.post(ROLLOUTS, json={"release": name, "id": "x", "reason": "y"}),
                await http.get(f"{ROLLOUTS}/{name}"),
            ]

    assert [answer.status_code for answer in answers] == [503, 503, 200]
