"""Every call of the secret store and of DNS goes wrong once, in every way."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from controlplane.secrets.gcp import GcpSecretStore
from provisioning.dns.cloud_dns import CloudDns
from provisioning.types import DnsFacts
from tests.clouds.gcp.faults import Kind
from tests.clouds.gcp.insisting import Insisting, assert_said, let_each_go_wrong
from tests.clouds.gcp.mirror import mirrored
from tests.clouds.gcp.stand_in import FLEET_ZONE, HOME, StandIn
from tests.local.dns.running import ZONE, Client, new_config, running

TTL = timedelta(seconds=15)
NAME, EAST, WEST = "orders.acme1.fleet.test", "east.cell.fleet.test", "west.cell.fleet.test"


@pytest.fixture
async def server(gcp: StandIn, tmp_path: Path) -> AsyncIterator[Client]:
    async with running(new_config(tmp_path / "dns")) as client, mirrored(gcp.world, client):
        yield client


@pytest.mark.parametrize("kind", Kind)
async def test_a_secret_is_what_was_put_last_and_gone_when_it_was_deleted(
    gcp: StandIn, kind: Kind
) -> None:
    store = GcpSecretStore(gcp.google, HOME, "fleet")

    async def keep(name: str) -> list[Exception]:
        insisting = Insisting()
        insist = insisting.until_done
        for value in (b"first", b"second"):
            await insist(lambda value=value: store.put(name, value))  # type: ignore[misc]  # As typed.
        assert await insist(lambda: store.get(name)) == b"second"
        assert await insist(lambda: store.names("cells/")) == [name]
        [versions] = gcp.world.home.secrets.values()
        assert [version["state"] for version in versions].count("ENABLED") == 1
        await insist(lambda: store.delete(name))
        assert await insist(lambda: store.get(name)) is None
        assert gcp.world.home.secrets == {}
        return insisting.wrong

    assert await keep("cells/c1/database") == []
    calls = sorted(gcp.front.calls)
    assert len(calls) == 7
    let_each_go_wrong(gcp.faults, calls, kind)

    wrong = await keep("cells/c2/database")

    assert {call for call, _ in gcp.faults.fired} == set(calls)
    assert_said(kind, wrong)


@pytest.mark.parametrize("kind", Kind)
async def test_a_name_leads_where_it_was_published_to_last_and_nowhere_when_withdrawn(
    gcp: StandIn, server: Client, kind: Kind
) -> None:
    names = CloudDns(ZONE, HOME, FLEET_ZONE, (server.config.listen,), gcp.google)

    async def lead(uid: str) -> list[Exception]:
        insisting = Insisting()
        insist = insisting.until_done
        await insist(lambda: names.publish(NAME, EAST, TTL, uid))
        moved = await insist(lambda: names.publish(NAME, WEST, TTL, uid))
        assert moved == DnsFacts(NAME, WEST, TTL) == await names.observe(NAME)
        assert len(gcp.world.home.zones[FLEET_ZONE]["rrsets"]) == 2
        await insist(lambda: names.withdraw(NAME, uid))
        assert gcp.world.home.zones[FLEET_ZONE]["rrsets"] == []
        return insisting.wrong

    assert await lead("u1") == []
    calls = sorted(gcp.front.calls)
    assert calls == ["dns.changes.create", "dns.changes.get", "dns.resourceRecordSets.list"]
    let_each_go_wrong(gcp.faults, calls, kind)

    wrong = await lead("u2")

    assert {call for call, _ in gcp.faults.fired} == set(calls)
    assert_said(kind, wrong)
