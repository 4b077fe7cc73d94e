"""Releases over HTTP: made once, read for ever."""

import json
import secrets
from dataclasses import replace

import httpx
import pytest
from pydantic import JsonValue, TypeAdapter

from cells.release import Release, SchemaStep
from controlplane.api.rollout_types import ReleaseDetails, ReleasePage
from controlplane.store.audit import AuditLog
from tests.api.running import RunningApi, Tenant

RELEASES = "/fleet/v1/releases"
_DETAILS = TypeAdapter(ReleaseDetails)
_PAGE = TypeAdapter(ReleasePage)


def named() -> str:
    """Return a name that no other test uses: releases are for ever."""
    return f"r-{secrets.token_hex(4)}"


async def created(http: httpx.AsyncClient, name: str, **content: JsonValue) -> ReleaseDetails:
    answer = await http.post(RELEASES, json={"name": name, "server_version": "1.31.2", **content})
    assert answer.status_code == 200, answer.text
    return _DETAILS.validate_json(answer.content)


async def test_a_release_is_kept_as_it_was_declared(operator: Tenant) -> None:
    before, name = named(), named()
    async with operator.http() as http:
        await created(http, before)
        made = await created(
            http,
            name,
            ingress_version="7",
            configuration={"history.x": 1e10, "y": True, "z": "on", "n": 3},
            schema_steps=[{"store": "main", "version": "1.19"}],
            minimum_from="1.30.0",
            patch_of=before,
            artifacts={"temporal-server": "ab" * 32},
            description="better",
        )
        found = await http.get(f"{RELEASES}/{name}")

    expected = Release(
        name,
        "1.31.2",
        "7",
        {"history.x": 1e10, "y": True, "z": "on", "n": 3},
        (SchemaStep("main", "1.19"),),
        "1.30.0",
        patch_of=before,
        artifacts={"temporal-server": "ab" * 32},
        description="better",
    )
    assert made.release == expected
    assert made.digest == expected.digest
    assert made.created_by == operator.owner.email
    assert _DETAILS.validate_json(found.content) == made


async def test_the_same_release_again_is_the_same_and_another_one_needs_a_name(
    operator: Tenant,
) -> None:
    name = named()
    async with operator.http() as http:
        first = await created(http, name)
        assert await created(http, name) == first
        answer = await http.post(RELEASES, json={"name": name, "server_version": "1.32.0"})

    assert answer.status_code == 409
    other = replace(first.release, server_version="1.32.0")
    assert first.digest in answer.json()["message"]
    assert other.digest in answer.json()["message"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"name": "No"}, "'No' is not a release's name"),
        ({"server_version": "latest"}, "'latest' is not a server version"),
        ({"server_version": ""}, "changes nothing"),
        ({"patch_of": "nothing"}, "patch_of is 'nothing', and there is no such release"),
        ({"finalizes": "nothing"}, "finalizes is 'nothing', and there is no such release"),
        ({"artifacts": {"server": "sha256:1"}}, "'sha256:1', which is no SHA-256"),
        ({"sever_version": "1.31.2"}, "sever_version: Extra inputs are not permitted"),
        ({"configuration": {"a\0": 1}}, "holds the character NUL"),
        ({"configuration": {"a": "\ud800"}}, "holds half a pair"),
        ({"configuration": {"a": 10**30}}, "a whole number is"),
        ({"configuration": {"a": [1]}}, "configuration.a"),
    ],
    ids=lambda value: None if isinstance(value, str) else str(sorted(value)),
)
async def test_what_cannot_be_a_release_is_refused_with_the_value(
    operator: Tenant, content: dict[str, JsonValue], told: str
) -> None:
    async with operator.http() as http:
        # In ASCII, which can say half of a pair.
        body = json.dumps({"name": named(), "server_version": "1.31.2", **content})
        answer = await http.post(
            RELEASES, content=body, headers={"content-type": "application/json"}
        )

    assert answer.status_code == 400
    assert told in answer.json()["message"]


async def test_pages_go_from_the_newest_to_the_oldest(operator: Tenant) -> None:
    names, seen, token = [named() for _ in range(3)], list[str](), ""
    async with operator.http() as http:
        for name in names:
            await created(http, name)
        while len(seen) < len(names):
            answer = await http.get(RELEASES, params={"page_size": 1, "page_token": token})
            page = _PAGE.validate_json(answer.content)
            seen += [kept.release.name for kept in page.releases]
            token = page.next_page_token
        foreign = await http.get(RELEASES, params={"page_token": "bm9uc2Vuc2U="})

    assert seen == names[::-1]
    assert foreign.status_code == 400


async def test_a_release_that_is_not_there_is_not_found(operator: Tenant) -> None:
    async with operator.http() as http:
        answer = await http.get(f"{RELEASES}/nothing")

    assert answer.status_code == 404
    assert "`controlplane release list`" in answer.json()["message"]


async def test_who_made_a_release_is_in_the_audit_log(api: RunningApi, operator: Tenant) -> None:
    name = named()
    async with operator.http() as http:
        await created(http, name)

    (record,) = await AuditLog(api.pool).read(operator.account, limit=10)
    assert (record.entry.what, record.entry.status) == ("fleet.releases.create", "OK")
    assert record.entry.details["request"] == {"name": name, "server_version": "1.31.2"}
