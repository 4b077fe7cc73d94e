"""The adapter against real servers, some of which lag, lie, lose packets or refuse."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError

from controlplane.errors import ErrorType
from controlplane.local.dns.config import DnsConfig
from controlplane.secrets.memory import MemorySecretStore
from controlplane.secrets.port import DNS_UPDATE_KEY
from provisioning.dns.exchange import Server
from provisioning.dns.rfc2136 import Rfc2136Dns
from provisioning.types import DnsFacts
from tests.eventually import eventually
from tests.local.dns.running import ZONE, Client, new_config, relay, running, sibling

TTL = timedelta(seconds=15)
UID = "5b1f"
NAME = "orders.acme1.fleet.test"
CELL = "aws-us-east-1-c1.cell.fleet.test"
IMPATIENT = timedelta(seconds=0.2)


@pytest.fixture
def config(tmp_path: Path) -> DnsConfig:
    return new_config(tmp_path / "first")


@pytest.fixture
async def server(config: DnsConfig) -> AsyncIterator[Client]:
    async with running(config) as client:
        yield client


def secrets_of(config: DnsConfig) -> MemorySecretStore:
    return MemorySecretStore({DNS_UPDATE_KEY: Path(config.key_file).read_bytes()})


def adapter(
    config: DnsConfig, *servers: str, patience: timedelta = timedelta(seconds=10)
) -> Rfc2136Dns:
    return Rfc2136Dns(ZONE, servers or (config.listen,), secrets_of(config), patience)


async def test_a_published_name_is_on_the_wire(server: Client) -> None:
    await adapter(server.config).publish(NAME, CELL, TTL, UID)

    reply = await server.ask(NAME, "CNAME")
    assert [rrset.to_text() for rrset in reply.answer] == [f"{NAME}. 15 IN CNAME {CELL}."]


async def test_publishing_what_is_so_leaves_the_zone_alone(server: Client) -> None:
    names = adapter(server.config)
    await names.publish(NAME, CELL, TTL, UID)
    await names.publish_address(CELL, "127.0.0.1", TTL)
    serial = await server.serial()

    await names.publish(NAME, CELL, TTL, UID)
    await names.publish_address(CELL, "127.0.0.1", TTL)

    assert await server.serial() == serial


async def test_a_name_leads_to_its_cell_s_address(server: Client) -> None:
    names = adapter(server.config)
    await names.publish_address(CELL, "127.0.0.1", TTL)
    await names.publish(NAME, CELL, TTL, UID)

    assert await names.resolve(NAME) == "127.0.0.1"
    assert await names.resolve(CELL) == "127.0.0.1"


async def test_a_cell_s_address_can_change(server: Client) -> None:
    names = adapter(server.config)
    await names.publish_address(CELL, "127.0.0.1", TTL)
    await names.publish_address(CELL, "127.0.0.2", TTL)

    assert await names.resolve(CELL) == "127.0.0.2"


async def test_an_ipv6_address_is_published_as_such(server: Client) -> None:
    await adapter(server.config).publish_address(CELL, "0:0::1", TTL)

    assert (await server.ask(CELL, "AAAA")).answer[0][0].to_text() == "::1"


async def test_a_name_that_leads_nowhere_is_named(server: Client) -> None:
    names = adapter(server.config)
    await names.publish(NAME, CELL, TTL, UID)

    with pytest.raises(LookupError, match=f"{NAME} has no address: .* know none for {CELL}"):
        await names.resolve(NAME)


async def test_a_name_taken_by_other_records_is_left_alone(server: Client) -> None:
    await server.add(f"{NAME}.", 60, "TXT", '"reserved for the fair"')

    with pytest.raises(
        ApplicationError, match=r"is taken: .* TXT .*reserved for the fair"
    ) as caught:
        await adapter(server.config).publish(NAME, CELL, TTL, UID)

    assert caught.value.type == ErrorType.REJECTED
    assert (await server.ask(NAME, "CNAME")).answer == []


async def test_an_alias_is_not_replaced_by_an_address(server: Client) -> None:
    names = adapter(server.config)
    await names.publish(CELL, "elsewhere.fleet.test", TTL, UID)

    with pytest.raises(ApplicationError, match=r"is taken: .* CNAME elsewhere"):
        await names.publish_address(CELL, "127.0.0.1", TTL)


async def test_withdrawing_leaves_other_records_alone(server: Client) -> None:
    await server.add(f"{NAME}.", 60, "TXT", '"mine"')

    await adapter(server.config).withdraw(NAME, UID)

    assert len((await server.ask(NAME, "TXT")).answer) == 1


async def test_withdrawing_leaves_nothing_of_the_name(server: Client) -> None:
    names = adapter(server.config)
    await names.publish(NAME, CELL, TTL, UID)
    assert (await server.ask(f"_uid.{NAME}", "TXT")).answer[0][0].to_text() == f'"{UID}"'

    await names.withdraw(NAME, UID)

    assert (await server.ask(f"_uid.{NAME}", "ANY")).answer == []
    assert (await server.ask(NAME, "ANY")).answer == []


async def test_an_alias_of_nobody_is_taken_over_and_can_be_withdrawn(server: Client) -> None:
    names = adapter(server.config)
    for name in (NAME, "pay.acme1.fleet.test"):
        await server.add(f"{name}.", 15, "CNAME", "old.fleet.test.")

    await names.withdraw("pay.acme1.fleet.test", UID)
    await names.publish(NAME, CELL, TTL, UID)
    await names.withdraw(NAME, "another")

    assert await names.observe("pay.acme1.fleet.test") is None
    assert await names.observe(NAME) == DnsFacts(NAME, CELL, TTL)


async def test_an_alias_removed_by_hand_is_published_again(server: Client) -> None:
    names = adapter(server.config)
    await names.publish(NAME, CELL, TTL, UID)
    removal = server.update()
    removal.delete(f"{NAME}.", "CNAME")
    await server.send(removal)
    assert await names.observe(NAME) is None

    published = await names.publish(NAME, CELL, TTL, UID)

    assert await names.observe(NAME) == published


async def test_names_outside_the_zone_are_refused(server: Client) -> None:
    for name in ("orders.example.com", "fleet.test", "orders.notfleet.test"):
        with pytest.raises(ValueError, match=r"is not a name under fleet\.test"):
            await adapter(server.config).publish(name, CELL, TTL, UID)


async def test_a_hundred_names_at_once_are_published_and_withdrawn(server: Client) -> None:
    names = adapter(server.config)
    wanted = [f"n{number}.acme1.fleet.test" for number in range(100)]

    await asyncio.gather(*(names.publish(name, CELL, TTL, UID) for name in wanted))
    assert await asyncio.gather(*map(names.observe, wanted)) == [
        DnsFacts(name, CELL, TTL) for name in wanted
    ]

    await asyncio.gather(*(names.withdraw(name, UID) for name in wanted))
    assert set(await asyncio.gather(*map(names.observe, wanted))) == {None}


async def test_a_restarted_server_knows_every_name(config: DnsConfig) -> None:
    async with running(config):
        published = await adapter(config).publish(NAME, CELL, TTL, UID)

    async with running(config):
        assert await adapter(config).observe(NAME) == published


async def test_a_wrong_key_is_named_and_not_shown(server: Client) -> None:
    other = MemorySecretStore({DNS_UPDATE_KEY: b"b3RoZXI="})
    names = Rfc2136Dns(ZONE, (server.config.listen,), other)

    with pytest.raises(ApplicationError, match="has another secret for the update key") as caught:
        await names.publish(NAME, CELL, TTL, UID)

    assert caught.value.type == ErrorType.REJECTED
    assert "b3RoZXI" not in str(caught.value)


async def test_a_missing_key_is_named(config: DnsConfig) -> None:
    with pytest.raises(RuntimeError, match="holds no 'dns/update-key'"):
        await Rfc2136Dns(ZONE, (config.listen,), MemorySecretStore()).publish(NAME, CELL, TTL, UID)


async def test_a_key_the_server_does_not_know_is_named(config: DnsConfig) -> None:
    async with running(replace(config, key_name="another-name")):
        with pytest.raises(ApplicationError, match="has no update key 'controlplane-update'"):
            await adapter(config).publish(NAME, CELL, TTL, UID)


async def test_a_server_without_the_zone_is_named(server: Client) -> None:
    names = Rfc2136Dns("other.test", (server.config.listen,), secrets_of(server.config))

    with pytest.raises(ApplicationError, match=r"answers NOTAUTH to an update of n\.other\.test"):
        await names.publish("n.other.test", CELL, TTL, UID)


async def test_a_server_that_lags_is_waited_for(server: Client, tmp_path: Path) -> None:
    second = sibling(server.config, tmp_path / "second")
    async with running(second) as late:
        names = adapter(server.config, server.config.listen, second.listen)
        publishing = asyncio.ensure_future(names.publish(NAME, CELL, TTL, UID))

        async def published_on_the_first() -> bool:
            return bool((await server.ask(NAME, "CNAME")).answer)

        await eventually(published_on_the_first)
        assert not publishing.done()
        await late.add(f"{NAME}.", 15, "CNAME", f"{CELL}.")

        assert await publishing == DnsFacts(NAME, CELL, TTL)


@pytest.mark.parametrize(
    ("records", "dissent"),
    [
        ([], "says NXDOMAIN"),
        ([("TXT", 15, '"x"')], "knows no CNAME of that name"),
        ([("CNAME", 99, f"{CELL}.")], f"says CNAME {CELL}. with TTL 99"),
        ([("CNAME", 15, "old.fleet.test.")], "says CNAME old.fleet.test. with TTL 15"),
    ],
)
async def test_a_server_that_says_otherwise_is_named(
    server: Client, tmp_path: Path, records: list[tuple[str, int, str]], dissent: str
) -> None:
    second = sibling(server.config, tmp_path / "second")
    async with running(second) as other:
        for rdtype, ttl, data in records:
            await other.add(f"{NAME}.", ttl, rdtype, data)
        names = adapter(server.config, server.config.listen, second.listen, patience=IMPATIENT)

        with pytest.raises(TimeoutError) as caught:
            await names.publish(NAME, CELL, TTL, UID)

        assert str(caught.value).endswith(f": {second.listen} {dissent}")
        assert await names.observe(NAME) is None


async def test_an_answer_without_authority_proves_nothing(server: Client) -> None:
    async with relay(server.config) as (hop, address):
        hop.claims_authority = False
        names = adapter(server.config, server.config.listen, address, patience=IMPATIENT)

        with pytest.raises(TimeoutError, match=f"{address} says CNAME .*, without authority"):
            await names.publish(NAME, CELL, TTL, UID)
        with pytest.raises(TimeoutError, match=f"{address} says NXDOMAIN, without authority"):
            await names.withdraw(NAME, UID)
        assert await adapter(server.config, address).observe(NAME) is None


async def test_withdrawal_waits_for_every_server(server: Client, tmp_path: Path) -> None:
    second = sibling(server.config, tmp_path / "second")
    async with running(second) as late:
        await late.add(f"{NAME}.", 15, "CNAME", f"{CELL}.")
        names = adapter(server.config, server.config.listen, second.listen, patience=IMPATIENT)

        with pytest.raises(TimeoutError, match=f"is withdrawn: {second.listen} says CNAME"):
            await names.withdraw(NAME, UID)


async def test_a_dead_server_is_named_and_does_not_hide_what_others_say(
    server: Client, tmp_path: Path
) -> None:
    dead = sibling(server.config, tmp_path / "second").listen
    await adapter(server.config).publish(NAME, CELL, TTL, UID)
    names = adapter(server.config, server.config.listen, dead, patience=IMPATIENT)

    assert await names.observe(NAME) == DnsFacts(NAME, CELL, TTL)
    with pytest.raises(TimeoutError, match=f"{dead} gives no answer: DNS server {dead} did not"):
        await names.publish(NAME, CELL, TTL, UID)


async def test_no_answer_at_all_is_no_observation(config: DnsConfig) -> None:
    with pytest.raises(TimeoutError, match=f"no DNS server answers: asked {config.listen}"):
        await adapter(config).observe(NAME)


@pytest.mark.parametrize("lost", [1, 2])
async def test_lost_replies_are_survived(server: Client, lost: int) -> None:
    async with relay(server.config) as (hop, address):
        names = adapter(server.config, address)
        hop.lose = lost

        assert await names.publish(NAME, CELL, TTL, UID) == DnsFacts(NAME, CELL, TTL)
        assert hop.requests > lost
        # The first try had been applied already: it was replaced by the same.
        assert await server.serial() == 2

        hop.lose = lost
        await names.withdraw(NAME, UID)
        hop.lose = lost
        assert await names.observe(NAME) is None


async def test_a_network_without_udp_is_survived_over_tcp(server: Client) -> None:
    proxy = await asyncio.start_server(
        lambda reader, writer: forward(reader, writer, server.config), "127.0.0.1", 0
    )
    async with proxy:
        port = proxy.sockets[0].getsockname()[1]

        published = await adapter(server.config, f"127.0.0.1:{port}").publish(NAME, CELL, TTL, UID)

    assert published == DnsFacts(NAME, CELL, TTL)


async def forward(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, config: DnsConfig
) -> None:
    """Pass one message on, and its reply back."""
    up_reader, up_writer = await asyncio.open_connection(config.host, config.port)
    for source, sink in ((reader, up_writer), (up_reader, writer)):
        length = await source.readexactly(2)
        sink.write(length + await source.readexactly(int.from_bytes(length)))
        await sink.drain()
    up_writer.close()
    writer.close()


@pytest.mark.parametrize("address", ["127.0.0.1", ":53", "127.0.0.1:dns"])
def test_an_address_without_ip_or_port_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="write ip:port"):
        Server.parse(address)


def test_an_ipv6_server_is_written_as_it_was_read() -> None:
    assert str(Server.parse("[::1]:53")) == "[::1]:53"
