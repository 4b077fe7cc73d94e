"""The DNS server's sockets and its life."""

import asyncio
import contextlib
import logging
import signal
import struct
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import cast

from controlplane.local.dns.config import DnsConfig
from controlplane.local.dns.responder import Responder
from controlplane.local.dns.storage import ZoneStorage

IDLE_SECONDS = 10.0
"""How long a TCP connection may be silent."""

Peer = tuple[str | int, ...]

logger = logging.getLogger(__name__)


def run(config: Path) -> None:
    """Serve the zone described in the file `config` until SIGTERM or SIGINT."""
    asyncio.run(_run(DnsConfig.from_file(config)))


@contextlib.asynccontextmanager
async def serving(config: DnsConfig) -> AsyncIterator["asyncio.Future[None]"]:
    """Serve the zone; the future fails when the server must not go on."""
    storage = ZoneStorage(Path(config.zone_file))
    try:
        zone = storage.load(config.origin, config.host)
        answering = _Answering(Responder(zone, storage, config.read_key()))
        loop = asyncio.get_running_loop()
        tcp = await asyncio.start_server(answering.accept, config.host, config.port)
        try:
            udp, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(answering), local_addr=(config.host, config.port)
            )
        except OSError:
            tcp.close()
            raise
        logger.info("serving %s at %s, serial %d", config.zone, config.listen, zone.serial)
        try:
            yield answering.failure
        finally:
            udp.close()
            tcp.close()
            await answering.stop()
    finally:
        storage.close()


async def _run(config: DnsConfig) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serving(config) as failure:
        failure.add_done_callback(lambda _: stop.set())
        await stop.wait()
        if failure.done():
            await failure


class _Answering:
    """The requests being answered, a task each: one that waits for the disk holds up no other."""

    def __init__(self, responder: Responder) -> None:
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._responder = responder
        self._tasks: set[asyncio.Task[None]] = set()

    def datagram(self, transport: asyncio.DatagramTransport, wire: bytes, peer: Peer) -> None:
        self._start(self._answer_datagram(transport, wire, peer))

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._start(self._converse(reader, writer))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.failure.cancel()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not self.failure.done():
            self.failure.set_exception(error)

    async def _answer_datagram(
        self, transport: asyncio.DatagramTransport, wire: bytes, peer: Peer
    ) -> None:
        reply = await self._responder.respond(wire, over_tcp=False)
        if reply is not None:
            transport.sendto(reply, peer)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (wire := await _read_message(reader)) is not None:
                reply = await self._responder.respond(wire, over_tcp=True)
                if reply is None:
                    return
                with contextlib.suppress(ConnectionError):
                    writer.write(struct.pack("!H", len(reply)) + reply)
                    await writer.drain()
        finally:
            writer.close()


async def _read_message(reader: asyncio.StreamReader) -> bytes | None:
    """Return the next message of a TCP connection; None when it ends, breaks or falls silent."""
    try:
        async with asyncio.timeout(IDLE_SECONDS):
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
        return None


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, answering: _Answering) -> None:
        self._answering = answering
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Up to Python 3.11 asyncio's own datagram transport does not derive from this class.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Peer) -> None:
        if self._transport is not None:
            self._answering.datagram(self._transport, data, addr)
