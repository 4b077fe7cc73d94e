"""Several at the same time, and answers that are out of date."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from temporalio.exceptions import ApplicationError

from cells.providers.gcp.cloud import GcpCloud
from cells.providers.gcp.keeper import ROLES
from cells.providers.gcp.policies import Grant, Policy, change, granted
from controlplane.gcp.discovered import storage
from controlplane.secrets.gcp import GcpSecretStore
from provisioning.dns.cloud_dns import CloudDns
from provisioning.types import DnsFacts
from tests.clouds.gcp.cells import BLUEPRINT, NAME, PROJECT, built
from tests.clouds.gcp.faults import Kind
from tests.clouds.gcp.mirror import mirrored
from tests.clouds.gcp.stand_in import BUCKET, FLEET_ZONE, HOME, StandIn
from tests.eventually import eventually
from tests.local.dns.running import ZONE, Client, new_config, running

TTL = timedelta(seconds=15)
NAMES = ("orders.acme1.fleet.test", "aws-us-east-1-c1.cell.fleet.test")


@pytest.fixture
async def server(gcp: StandIn, tmp_path: Path) -> AsyncIterator[Client]:
    async with running(new_config(tmp_path / "dns")) as client, mirrored(gcp.world, client):
        yield client


def names_of(gcp: StandIn, server: Client) -> CloudDns:
    return CloudDns(ZONE, HOME, FLEET_ZONE, (server.config.listen,), gcp.google)


async def test_those_who_make_one_cell_s_project_at_once_make_one(gcp: StandIn) -> None:
    clouds = [GcpCloud(gcp.settings) for _ in range(3)]

    accounts = await asyncio.gather(*(cloud.ensure_account(BLUEPRINT) for cloud in clouds))

    assert len(set(accounts)) == 1
    assert len([made for made in gcp.world.made if made.startswith("project ")]) == 1
    assert len([made for made in gcp.world.made if made.startswith("service account ")]) == 1
    policy, keeper = gcp.world.projects[PROJECT].policy, f"serviceAccount:{accounts[0].acts_as}"
    assert {role: policy.gives(role, keeper) for role in ROLES} == dict.fromkeys(ROLES, 1)
    assert len(gcp.world.state_policy.bindings) == 1
    for cloud in clouds:
        await cloud.close()


async def test_those_who_ask_for_a_first_password_at_once_get_one_that_is_in_force(
    gcp: StandIn, cloud: GcpCloud
) -> None:
    foundation = built(gcp, await cloud.ensure_account(BLUEPRINT))

    logins = await asyncio.gather(*(cloud.database_login(foundation) for _ in range(4)))

    [login] = set(logins)
    assert gcp.world.projects[PROJECT].passwords == {NAME: {"postgres": login.password}}


async def test_a_password_that_another_wrote_meanwhile_is_what_is_in_force(
    gcp: StandIn, cloud: GcpCloud
) -> None:
    foundation = built(gcp, await cloud.ensure_account(BLUEPRINT))
    await cloud.database_login(foundation)
    project = gcp.world.projects[PROJECT]
    gcp.faults.add("sql.users.update", Kind.SLOW)
    asking = asyncio.create_task(cloud.database_login(foundation))

    async def being_set() -> bool:
        return gcp.front.calls["sql.users.update"] == 2

    await eventually(being_set)
    value = base64.b64encode(b'{"username": "postgres", "password": "theirs"}').decode()
    name = f"{foundation.database_secret}/versions/2"
    project.secrets[f"{NAME}-database"].append({"name": name, "state": "ENABLED", "data": value})

    login = await asking
    assert project.passwords == {NAME: {"postgres": login.password}}
    assert base64.b64decode(value).decode() == json.dumps(
        {"username": "postgres", "password": login.password}
    )


async def test_a_policy_that_another_changed_in_between_is_read_again_and_keeps_both(
    gcp: StandIn,
) -> None:
    theirs = {"role": "roles/viewer", "members": ["group:theirs@example.com"]}
    bucket = storage().buckets
    others = [theirs]

    async def read() -> Policy:
        return dict(await gcp.google.ask(lambda: bucket().getIamPolicy(bucket=BUCKET)))

    async def write(policy: Policy) -> None:
        if others:
            gcp.world.state_policy.write({"bindings": [others.pop()]})
        await gcp.google.ask(lambda: bucket().setIamPolicy(bucket=BUCKET, body=cast(Any, policy)))

    grant = Grant("roles/owner", gcp.world.us)
    await change("a policy", read, write, lambda policy: granted(policy, [grant]))

    assert gcp.world.state_policy.bindings == [theirs, grant.new_binding()]


async def test_a_token_that_is_not_taken_any_more_is_not_handed_out_again(
    gcp: StandIn, cloud: GcpCloud
) -> None:
    await cloud.ensure_account(BLUEPRINT)
    gcp.world.tokens.clear()

    with pytest.raises(ApplicationError, match="check the credentials of serviceAccount:"):
        await cloud.find_account(BLUEPRINT)

    assert await cloud.find_account(BLUEPRINT) is not None


async def test_of_a_secret_there_is_one_readable_version_whoever_wrote_last(gcp: StandIn) -> None:
    stores = [GcpSecretStore(gcp.google, HOME, "fleet") for _ in range(3)]

    await asyncio.gather(*(store.put("a/b", b"%d" % n) for n, store in enumerate(stores)))
    last = await stores[0].get("a/b")
    await stores[0].put("a/b", b"final")

    assert last in (b"0", b"1", b"2")
    [versions] = gcp.world.home.secrets.values()
    assert [each["state"] for each in versions].count("ENABLED") == 1
    assert await stores[2].get("a/b") == b"final"


async def test_stores_with_other_prefixes_do_not_see_each_other(gcp: StandIn) -> None:
    ours, theirs = (GcpSecretStore(gcp.google, HOME, prefix) for prefix in ("fleet", "fleet-2"))
    await ours.put("A b/é.x_y", b"1")
    await theirs.put("fleet", b"2")

    assert await ours.names("") == ["A b/é.x_y"]
    assert await ours.names("A ") == ["A b/é.x_y"]
    assert await theirs.names("") == ["fleet"]
    assert await theirs.get("A b/é.x_y") is None
    with pytest.raises(ValueError, match="keeps 65535"):
        await ours.put("big", b"x" * 65_536)
    with pytest.raises(ValueError, match="is empty or too long"):
        await ours.put("n" * 300, b"")


async def test_incarnations_that_publish_one_name_at_once_leave_it_to_one(
    gcp: StandIn, server: Client
) -> None:
    name, cell = NAMES
    uids = [f"u{n}" for n in range(4)]

    answers = await asyncio.gather(
        *(names_of(gcp, server).publish(name, cell, TTL, uid) for uid in uids),
        return_exceptions=True,
    )

    assert answers.count(DnsFacts(name, cell, TTL)) == 1
    losers = [answer for answer in answers if isinstance(answer, BaseException)]
    assert all("was published for incarnation" in str(loser) for loser in losers), losers
    winner = uids[answers.index(DnsFacts(name, cell, TTL))]
    notes = [each for each in gcp.world.home.zones[FLEET_ZONE]["rrsets"] if each["type"] == "TXT"]
    assert [note["rrdatas"] for note in notes] == [[f'"{winner}" "1"']]


async def test_a_taken_name_is_left_alone_and_an_address_replaced(
    gcp: StandIn, server: Client
) -> None:
    _, cell = NAMES
    names = names_of(gcp, server)
    await names.publish_address(cell, "127.0.0.1", TTL)
    await names.publish_address(cell, "127.0.0.2", TTL)

    assert await names.resolve(cell) == "127.0.0.2"
    with pytest.raises(ApplicationError, match=r"cannot become a CNAME record, .* A 127\.0\.0\.2"):
        await names.publish(cell, "elsewhere.fleet.test", TTL, "u1")
    await names.withdraw_address(cell)
    await names.withdraw_address(cell)
    with pytest.raises(LookupError, match="has no address"):
        await names.resolve(cell)


async def test_a_zone_that_is_not_there_is_named(gcp: StandIn, server: Client) -> None:
    names = CloudDns(ZONE, HOME, "nowhere", (server.config.listen,), gcp.google)

    with pytest.raises(ApplicationError, match="'nowhere' does not exist"):
        await names.publish(*NAMES, TTL, "u1")
