"""A load generator for gRPC that costs a few microseconds a call: frames, and nothing else.

A client made of gRPC's own library takes as long for a call as the server that is measured.
"""

import asyncio
import struct
import time
from dataclasses import dataclass, field

from tests.api import wire
from tests.api.running import Metadata

_WINDOW, _FRAME_SIZE = struct.pack(">HI", 4, 2**31 - 1), struct.pack(">HI", 5, 2**24 - 1)
_HEAD = struct.Struct(">HBBBI")
_REFILL = 2**29


@dataclass(frozen=True)
class Call:
    """A unary call, always the same."""

    method: str
    metadata: Metadata
    request: bytes


@dataclass
class Connection(asyncio.Protocol):
    """One HTTP/2 connection that makes a call over and over; a refused call ends the run."""

    call: Call
    endless: bool = False
    """Whether each answer is followed by the next call."""
    latencies: list[float] = field(default_factory=list)
    """Seconds, of the calls answered so far."""
    failure: str = ""
    _began: dict[int, float] = field(default_factory=dict)
    _answered: set[int] = field(default_factory=set)
    _next: int = 1
    _received: bytes = b""
    _unacknowledged: int = 0
    _waiter: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        settings = wire.NO_HEADER_TABLE + _WINDOW + _FRAME_SIZE
        window = wire.frame(wire.WINDOW_UPDATE, 0, 0, struct.pack(">I", 2**31 - 1 - 65535))
        transport.write(wire.PREFACE + wire.frame(wire.SETTINGS, 0, 0, settings) + window)
        headers = wire.header_block(self.call.method, self.call.metadata)
        body = struct.pack(">BI", 0, len(self.call.request)) + self.call.request
        self._frames = (
            (wire.frame_head(wire.HEADERS, wire.END_HEADERS, len(headers)), headers),
            (wire.frame_head(wire.DATA, wire.END_STREAM, len(body)), body),
        )

    def begin(self, calls: int, due: float | None = None) -> None:
        """Begin so many calls; their latency counts from `due`, or else from now."""
        began = due or time.perf_counter()
        out: list[bytes] = []
        for _ in range(calls):
            stream = struct.pack(">I", self._next)
            self._began[self._next] = began
            self._next += 2
            for head, payload in self._frames:
                out += (head, stream, payload)
        self._transport.write(b"".join(out))

    async def idle(self) -> None:
        """Return once every call is answered."""
        self._waiter = asyncio.get_running_loop().create_future()
        if self._began:
            await self._waiter

    def close(self) -> None:
        self.endless = False
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        data = self._received + data if self._received else data
        position, end, done = 0, len(data), 0
        while end - position >= 9:
            high, low, kind, flags, stream = _HEAD.unpack_from(data, position)
            after = position + 9 + (high << 8 | low)
            if after > end:
                break
            if kind == wire.DATA:
                self._unacknowledged += after - position - 9
                self._answered.add(stream)
            elif kind == wire.HEADERS and flags & wire.END_STREAM:
                self._end(stream)
                done += 1
            elif kind in (wire.RESET, wire.GOAWAY):
                self.failure = f"frame {kind}: {data[position:after]!r}"
            elif kind in (wire.PING, wire.SETTINGS) and not flags & wire.ACK:
                payload = data[position + 9 : after] if kind == wire.PING else b""
                self._transport.write(wire.frame(kind, wire.ACK, 0, payload))
            position = after
        self._received = data[position:]
        if self._unacknowledged > _REFILL:
            window = struct.pack(">I", self._unacknowledged)
            self._transport.write(wire.frame(wire.WINDOW_UPDATE, 0, 0, window))
            self._unacknowledged = 0
        if self.endless and done:
            self.begin(done)
        if self._waiter is not None and not self._began and not self._waiter.done():
            self._waiter.set_result(None)

    def connection_lost(self, _: Exception | None) -> None:
        if self.endless:
            self.failure = "the server closed the connection"

    def _end(self, stream: int) -> None:
        self.latencies.append(time.perf_counter() - self._began.pop(stream))
        if stream in self._answered:
            self._answered.discard(stream)
        else:
            self.failure = "a call was refused"


async def connect(port: int, call: Call) -> Connection:
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: Connection(call), "127.0.0.1", port
    )
    return connection
