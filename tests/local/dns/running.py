"""A real DNS server for tests, and a client that talks to it as any other would."""

import asyncio
import base64
import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import dns.asyncquery
import dns.exception
import dns.message
import dns.tsig
import dns.update
from dns.rcode import Rcode

from controlplane.local.dns.config import DnsConfig
from controlplane.local.dns.server import serving
from controlplane.local.ports import free_port

ZONE = "fleet.test"
KEY_NAME = "controlplane-update"
TIMEOUT = 60.0

_AUTHORITATIVE = 0x04
"""The AA bit in the third byte of a message."""


@dataclass(frozen=True)
class Client:
    config: DnsConfig

    def update(self) -> dns.update.UpdateMessage:
        return dns.update.UpdateMessage(self.config.zone, keyring=self.config.read_key())

    async def send(
        self, message: dns.message.Message, *, over_tcp: bool = False
    ) -> dns.message.Message:
        exchange = dns.asyncquery.tcp if over_tcp else dns.asyncquery.udp
        return await exchange(message, self.config.host, TIMEOUT, self.config.port)

    async def ask(self, name: str, rdtype: str, *, over_tcp: bool = False) -> dns.message.Message:
        return await self.send(dns.message.make_query(name, rdtype), over_tcp=over_tcp)

    async def add(self, name: str, ttl: int, rdtype: str, data: str) -> Rcode:
        update = self.update()
        update.add(name, ttl, rdtype, data)
        return (await self.send(update)).rcode()

    async def serial(self) -> int:
        reply = await self.ask(self.config.zone, "SOA")
        serial: int = reply.answer[0][0].serial
        return serial

    async def is_up(self) -> bool:
        try:
            await dns.asyncquery.udp(
                dns.message.make_query(self.config.zone, "SOA"),
                self.config.host,
                0.2,
                self.config.port,
            )
        except (dns.exception.Timeout, OSError):
            return False
        return True


def new_config(folder: Path) -> DnsConfig:
    """Return the configuration of a server that keeps everything in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    key_file = folder / "key"
    key_file.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
    return DnsConfig(
        zone=ZONE,
        listen=f"127.0.0.1:{free_port()}",
        zone_file=str(folder / "zone"),
        key_name=KEY_NAME,
        key_file=str(key_file),
    )


def sibling(config: DnsConfig, folder: Path) -> DnsConfig:
    """Return the configuration of another server with the same key."""
    return replace(new_config(folder), key_file=config.key_file)


@contextlib.asynccontextmanager
async def running(config: DnsConfig) -> AsyncIterator[Client]:
    async with serving(config) as failure:
        yield Client(config)
        assert not failure.done()


class Relay(asyncio.DatagramProtocol):
    """A UDP hop before a server, which loses replies, or passes them on as a resolver would."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.lose = 0
        """How many replies yet."""
        self.requests = 0
        self.claims_authority = True
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None
        self._upstreams: list[asyncio.DatagramTransport] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Up to Python 3.11 asyncio's own datagram transport does not derive from this class.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        self.requests += 1
        self._forwarding = asyncio.ensure_future(self._forward(data, addr))

    async def _forward(self, data: bytes, client: tuple[str | int, ...]) -> None:
        upstream, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Upstream(self, client), remote_addr=self._server
        )
        self._upstreams.append(upstream)
        upstream.sendto(data)

    def reply(self, data: bytes, client: tuple[str | int, ...]) -> None:
        if not self.claims_authority:
            data = data[:2] + bytes([data[2] & ~_AUTHORITATIVE]) + data[3:]
        if self.lose > 0:
            self.lose -= 1
        elif self._transport is not None:
            self._transport.sendto(data, client)

    def close(self) -> None:
        for transport in (self._transport, *self._upstreams):
            if transport is not None:
                transport.close()


class _Upstream(asyncio.DatagramProtocol):
    def __init__(self, relay: Relay, client: tuple[str | int, ...]) -> None:
        self._relay = relay
        self._client = client

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:  # noqa: ARG002
        self._relay.reply(data, self._client)


@contextlib.asynccontextmanager
async def relay(config: DnsConfig) -> AsyncIterator[tuple[Relay, str]]:
    """Yield a relay before the server, and its address."""
    port = free_port()
    _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Relay((config.host, config.port)), local_addr=("127.0.0.1", port)
    )
    try:
        yield protocol, f"127.0.0.1:{port}"
    finally:
        protocol.close()
