"""The server seen by a client on the wire."""

import asyncio
import contextlib
import itertools
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rrset
import dns.tsig
import dns.update
import pytest
from dns.rcode import Rcode

from controlplane.local.dns.config import DnsConfig
from controlplane.local.dns.responder import LARGEST_UDP
from controlplane.local.dns.zone import NEGATIVE_TTL_SECONDS
from tests.eventually import eventually
from tests.local.dns.running import KEY_NAME, TIMEOUT, ZONE, Client, new_config, running


@pytest.fixture
def config(tmp_path: Path) -> DnsConfig:
    return new_config(tmp_path)


@pytest.fixture
async def client(config: DnsConfig) -> AsyncIterator[Client]:
    async with running(config) as made:
        yield made


@pytest.mark.parametrize("over_tcp", [False, True])
async def test_a_signed_update_is_answered_by_the_next_query(
    client: Client, over_tcp: bool
) -> None:
    update = client.update()
    update.add("orders.acme1", 15, "CNAME", "c1.cell")
    before = await client.serial()

    assert (await client.send(update, over_tcp=over_tcp)).rcode() == Rcode.NOERROR

    reply = await client.ask("orders.acme1.fleet.test", "CNAME", over_tcp=over_tcp)
    assert reply.flags & dns.flags.AA
    assert [rrset.to_text() for rrset in reply.answer] == [
        "orders.acme1.fleet.test. 15 IN CNAME c1.cell.fleet.test."
    ]
    assert await client.serial() == before + 1


async def test_an_unsigned_update_is_refused(client: Client) -> None:
    update = dns.update.UpdateMessage(ZONE)
    update.add("orders.acme1", 15, "A", "192.0.2.1")

    assert (await client.send(update)).rcode() == Rcode.REFUSED
    assert (await client.ask("orders.acme1.fleet.test", "A")).rcode() == Rcode.NXDOMAIN


@pytest.mark.parametrize(
    ("name", "secret", "algorithm", "complaint"),
    [
        ("stranger", "c2VjcmV0", dns.tsig.HMAC_SHA256, dns.tsig.PeerBadKey),
        (KEY_NAME, "c2VjcmV0", dns.tsig.HMAC_SHA256, dns.tsig.PeerBadSignature),
        (KEY_NAME, "c2VjcmV0", dns.tsig.HMAC_SHA512, dns.tsig.PeerBadKey),
    ],
)
async def test_a_wrong_key_is_told_what_is_wrong_with_it(
    client: Client,
    name: str,
    secret: str,
    algorithm: dns.name.Name,
    complaint: type[dns.tsig.PeerError],
) -> None:
    update = dns.update.UpdateMessage(ZONE, keyring=dns.tsig.Key(name, secret, algorithm))
    update.add("orders.acme1", 15, "A", "192.0.2.1")

    for over_tcp in (False, True):
        with pytest.raises(complaint):
            await client.send(update, over_tcp=over_tcp)
    assert (await client.ask("orders.acme1.fleet.test", "A")).rcode() == Rcode.NXDOMAIN


async def test_a_signature_of_another_time_is_refused_with_the_right_one(client: Client) -> None:
    update = client.update()
    update.add("orders.acme1", 15, "A", "192.0.2.1")
    update.to_wire()
    # Signed again, as of an hour ago.
    wire = signed_at(update, client.config.read_key(), int(time.time()) - 3600)

    reply = await exchange_raw(client, wire)

    parsed = dns.message.from_wire(reply, keyring=False)
    assert parsed.rcode() == Rcode.NOTAUTH
    assert parsed.tsig_error == Rcode.BADTIME
    assert parsed.tsig is not None
    assert abs(int.from_bytes(parsed.tsig[0].other) - time.time()) < 60
    with pytest.raises(dns.tsig.PeerBadTime):
        dns.message.from_wire(reply, keyring=client.config.read_key(), request_mac=update.mac)
    assert (await client.ask("orders.acme1.fleet.test", "A")).rcode() == Rcode.NXDOMAIN


async def test_an_answer_to_a_signed_query_is_signed(client: Client) -> None:
    query = dns.message.make_query(ZONE, "SOA")
    query.use_tsig(client.config.read_key())

    assert (await client.send(query)).had_tsig


async def test_a_failed_prerequisite_changes_nothing(client: Client) -> None:
    await client.add("taken", 15, "A", "192.0.2.1")
    update = client.update()
    update.absent("taken")
    update.add("taken", 15, "A", "192.0.2.2")
    update.add("other", 15, "A", "192.0.2.2")

    assert (await client.send(update)).rcode() == Rcode.YXDOMAIN
    assert (await client.ask("other.fleet.test", "A")).rcode() == Rcode.NXDOMAIN


async def test_denials_may_be_remembered_for_seconds_only(client: Client) -> None:
    reply = await client.ask("nobody.fleet.test", "A")

    assert reply.rcode() == Rcode.NXDOMAIN
    assert reply.flags & dns.flags.AA
    (soa,) = reply.authority
    assert min(soa.ttl, soa[0].minimum) == NEGATIVE_TTL_SECONDS


async def test_other_zones_are_refused(client: Client) -> None:
    reply = await client.ask("example.com", "A")

    assert reply.rcode() == Rcode.REFUSED
    assert not reply.flags & dns.flags.AA


async def test_too_long_an_answer_is_cut_and_whole_over_tcp(client: Client) -> None:
    update = client.update()
    for number in range(30):
        update.add("long", 15, "TXT", f"{number:02}-{'x' * 60}")
    assert (await client.send(update, over_tcp=True)).rcode() == Rcode.NOERROR

    for payload, limit in ((None, 512), (1000, 1000), (4096, LARGEST_UDP)):
        query = dns.message.make_query("long.fleet.test", "TXT")
        if payload is not None:
            query.use_edns(0, payload=payload)
        wire = await exchange_raw(client, query.to_wire())
        assert len(wire) <= limit
        assert dns.message.from_wire(wire).flags & dns.flags.TC
        reply, fell_back = await dns.asyncquery.udp_with_fallback(
            query, client.config.host, TIMEOUT, client.config.port
        )
        assert fell_back
        assert len(reply.answer[0]) == 30


async def test_an_unknown_edns_version_is_named(client: Client) -> None:
    query = dns.message.make_query(ZONE, "SOA")
    query.use_edns(1)

    assert (await client.send(query)).rcode() == Rcode.BADVERS


@pytest.mark.parametrize(
    ("wire", "rcode"),
    [
        (b"", None),
        (b"short", None),
        (bytes.fromhex("1234 8000 0001 0000 0000 0000"), None),
        (bytes.fromhex("1234 0000 0001 0000 0000 0000"), Rcode.FORMERR),
        (bytes.fromhex("1234 0000 0000 0000 0000 0000"), Rcode.FORMERR),
        (bytes.fromhex("1234 2000 0000 0000 0000 0000"), Rcode.NOTIMP),
        (bytes.fromhex("1234 2800 0000 0000 0000 0000"), Rcode.REFUSED),
    ],
)
async def test_nonsense_is_answered_briefly_or_not_at_all(
    client: Client, wire: bytes, rcode: Rcode | None
) -> None:
    if rcode is None:
        # What is sent next is answered first.
        transport, replies = await raw_client(client)
        transport.sendto(wire)
        transport.sendto(dns.message.make_query(ZONE, "SOA", id=7).to_wire())
        async with asyncio.timeout(TIMEOUT):
            reply = await replies.get()
        assert reply[:2] == b"\x00\x07"
        transport.close()
    else:
        reply = await exchange_raw(client, wire)
        assert (reply[:2], Rcode(reply[3] & 0xF)) == (b"\x12\x34", rcode)


async def test_a_changed_byte_or_a_cut_smuggles_nothing_in_and_stops_nothing(
    client: Client,
) -> None:
    update = client.update()
    update.add("orders", 15, "A", "192.0.2.1")
    wire = update.to_wire()
    transport, _ = await raw_client(client)
    for position in range(len(wire)):
        transport.sendto(wire[:position] + bytes([wire[position] ^ 0xFF]) + wire[position + 1 :])
        transport.sendto(wire[:position])
        await asyncio.sleep(0)
    transport.close()

    # The message's number and the signature's TTL are not signed: changing them changes nothing.
    assert await client.serial() <= 2
    reply = await client.ask("orders.fleet.test", "A")
    assert reply.rcode() == Rcode.NXDOMAIN or [rrset.to_text() for rrset in reply.answer] == [
        "orders.fleet.test. 15 IN A 192.0.2.1"
    ]


async def test_a_tcp_connection_carries_many_queries(client: Client) -> None:
    reader, writer = await asyncio.open_connection(client.config.host, client.config.port)
    for number in range(3):
        wire = dns.message.make_query(ZONE, "SOA", id=number).to_wire(prepend_length=True)
        writer.write(wire)
        length = int.from_bytes(await reader.readexactly(2))
        assert dns.message.from_wire(await reader.readexactly(length)).id == number
    writer.close()
    await writer.wait_closed()


async def test_a_second_server_on_the_same_files_is_refused(client: Client) -> None:
    elsewhere = replace(client.config, listen="127.0.0.1:0")

    with pytest.raises(RuntimeError, match="another DNS server is serving"):
        async with running(elsewhere):
            pass


async def test_a_server_whose_disk_is_full_answers_no_update_and_stops(config: DnsConfig) -> None:
    client = Client(config)
    answered = 0
    with server_process(config, largest_file=2000) as process:
        await eventually(client.is_up)
        with contextlib.suppress(dns.exception.Timeout):
            while answered < 1000:
                update = client.update()
                update.add(f"n{answered}", 15, "A", "192.0.2.1")
                await dns.asyncquery.udp(update, config.host, 1, config.port)
                answered += 1
        assert await asyncio.to_thread(process.wait, 10) == 1

    async with running(config):
        assert await client.serial() == 1 + answered
        assert answered > 0


async def test_what_was_answered_survives_sigkill(config: DnsConfig) -> None:
    client = Client(config)
    answered: list[str] = []

    async def add_until_death(process: "subprocess.Popen[bytes]", prefix: str) -> None:
        for number in itertools.count():
            if process.poll() is not None:
                return
            update = client.update()
            update.add(f"{prefix}{number}", 15, "A", "192.0.2.1")
            with contextlib.suppress(dns.exception.Timeout, OSError):
                await dns.asyncquery.udp(update, config.host, 1, config.port)
                answered.append(f"{prefix}{number}.fleet.test")

    for life in range(3):
        with server_process(config) as process:
            await eventually(client.is_up)
            adding = [
                asyncio.ensure_future(add_until_death(process, f"n{life}-{sender}-"))
                for sender in range(8)
            ]
            await eventually(partial(longer_than, answered, len(answered) + 50), every=0.001)
            process.kill()
            await asyncio.gather(*adding)
    async with running(config):
        for name in answered:
            assert (await client.ask(name, "A")).rcode() == Rcode.NOERROR, name


async def longer_than(values: list[str], length: int) -> bool:
    return len(values) > length


async def test_a_process_stops_on_sigterm(config: DnsConfig) -> None:
    with server_process(config) as process:
        await eventually(Client(config).is_up)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 10) == 0


async def test_concurrent_updates_all_count(client: Client) -> None:
    rcodes = await asyncio.gather(
        *(client.add(f"n{number}.acme1", 15, "CNAME", "c1.cell") for number in range(100))
    )

    assert set(rcodes) == {Rcode.NOERROR}
    assert await client.serial() == 101


@contextlib.contextmanager
def server_process(
    config: DnsConfig, largest_file: int = resource.RLIM_INFINITY
) -> Iterator["subprocess.Popen[bytes]"]:
    path = Path(config.zone_file).with_name("config.json")
    path.write_text(config.to_json())
    program = (
        "import sys; from pathlib import Path; from controlplane.local.dns.server import run; "
        "run(Path(sys.argv[1]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file,) * 2),
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def signed_at(message: dns.message.Message, key: dns.tsig.Key, moment: int) -> bytes:
    """Return the message with a right signature of another moment."""
    message.tsig = None
    unsigned = message.to_wire()
    message.use_tsig(key)
    template = message.tsig
    assert template is not None
    tsig, _ = dns.tsig.sign(unsigned, key, template[0], moment)
    message.tsig = dns.rrset.from_rdata(key.name, 0, tsig)
    message.want_tsig_sign = False
    return message.to_wire()


async def raw_client(
    client: Client,
) -> tuple[asyncio.DatagramTransport, "asyncio.Queue[bytes]"]:
    replies: asyncio.Queue[bytes] = asyncio.Queue()

    class Protocol(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002
            replies.put_nowait(data)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        Protocol, remote_addr=(client.config.host, client.config.port)
    )
    return transport, replies


async def exchange_raw(client: Client, wire: bytes) -> bytes:
    transport, replies = await raw_client(client)
    try:
        transport.sendto(wire)
        async with asyncio.timeout(TIMEOUT):
            return await replies.get()
    finally:
        transport.close()
