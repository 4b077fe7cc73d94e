"""gRPC calls as bytes: also those that no client would make."""

import asyncio
import contextlib
import re
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import unquote

from tests.api.running import Metadata

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
ACK, END_STREAM, END_HEADERS = 1, 1, 4
NO_HEADER_TABLE = struct.pack(">HI", 1, 0)
"""The setting with which the other side's headers are literals."""

_FRAME_BYTES = 16384
_CANCEL = struct.pack(">I", 8)
_LARGEST_MESSAGE = 8 * 1024 * 1024
"""What says that it is longer is refused before it is there."""
_STATUS = re.compile(rb"\x0bgrpc-status[\x01\x02](\d\d?)")
_MESSAGE = re.compile(rb"\x0cgrpc-message(.*)", re.DOTALL)


@dataclass(frozen=True)
class Outcome:
    status: int | None
    """Of gRPC; None if the server reset the stream or closed the connection."""
    message: str


class WireClient:
    """Makes one call after another, on a new connection when the server closed the last."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._next = 1

    async def call(self, path: str, metadata: Metadata, body: bytes) -> Outcome:
        """Send the body as it is; return how the server ended the call.

        A message that breaks off is abandoned, as by a client that dies: gRPC waits for the rest.
        """
        reader, writer = self._streams or await self._connect()
        stream, self._next = self._next, self._next + 2
        out = [frame(HEADERS, END_HEADERS, stream, header_block(path, metadata))]
        for start in range(0, max(len(body), 1), _FRAME_BYTES):
            last = start + _FRAME_BYTES >= len(body)
            chunk = body[start : start + _FRAME_BYTES]
            out.append(frame(DATA, END_STREAM if last else 0, stream, chunk))
        if _breaks_off(body):
            writer.write(b"".join(out) + frame(RESET, 0, stream, _CANCEL))
            return Outcome(None, "abandoned")
        try:
            async with asyncio.timeout(60):
                writer.write(b"".join(out))
                return await self._outcome(reader, writer, stream)
        except TimeoutError:
            raise AssertionError(f"{path} {metadata} {body[:200]!r} was not answered") from None
        except (asyncio.IncompleteReadError, ConnectionError):
            await self.close()
            return Outcome(None, "the server closed the connection")

    async def close(self) -> None:
        if self._streams is not None:
            _, writer = self._streams
            writer.transport.abort()
            self._streams = None
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._streams, self._next = (reader, writer), 1
        writer.write(PREFACE + frame(SETTINGS, 0, 0, NO_HEADER_TABLE))
        return reader, writer

    async def _outcome(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stream: int
    ) -> Outcome:
        while True:
            head = await reader.readexactly(9)
            kind, flags, of = struct.unpack(">BBI", head[3:])
            payload = await reader.readexactly(int.from_bytes(head[:3]))
            if kind in (PING, SETTINGS) and not flags & ACK:
                writer.write(frame(kind, ACK, 0, payload if kind == PING else b""))
            elif kind == DATA and payload:
                window = struct.pack(">I", len(payload))
                # Of the connection and of the stream: an answer may be larger than either.
                writer.write(frame(WINDOW_UPDATE, 0, 0, window))
                writer.write(frame(WINDOW_UPDATE, 0, of, window))
            elif kind == GOAWAY:
                await self.close()
                return Outcome(None, f"GOAWAY {payload!r}")
            elif of == stream and kind == RESET:
                return Outcome(None, "the server reset the stream")
            elif of == stream and kind == HEADERS and flags & END_STREAM:
                status, message = _STATUS.search(payload), _MESSAGE.search(payload)
                return Outcome(
                    None if status is None else int(status[1]),
                    "" if message is None else unquote(message[1].decode(errors="replace")),
                )


@contextlib.asynccontextmanager
async def wire_client(port: int) -> AsyncIterator[WireClient]:
    client = WireClient(port)
    try:
        yield client
    finally:
        await client.close()


def header_block(path: str, metadata: Metadata) -> bytes:
    """Return the headers of a call as HPACK literals that are not indexed."""
    headers = (
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        *metadata,
    )
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in headers)


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return one HTTP/2 frame."""
    return frame_head(kind, flags, len(payload)) + struct.pack(">I", stream) + payload


def frame_head(kind: int, flags: int, size: int) -> bytes:
    """Return what comes before the number of the stream."""
    return struct.pack(">I", size)[1:] + bytes([kind, flags])


def _breaks_off(body: bytes) -> bool:
    if len(body) < 5:
        return True
    size = int.from_bytes(body[1:5])
    return len(body) - 5 < size <= _LARGEST_MESSAGE


def _text(value: str) -> bytes:
    """Return a string without Huffman coding, its length as an integer with a prefix of 7 bits."""
    encoded = value.encode()
    size, prefix = len(encoded), b""
    if size < 127:
        prefix = bytes([size])
    else:
        size, prefix = size - 127, b"\x7f"
        while size >= 128:
            prefix, size = prefix + bytes([size % 128 + 128]), size // 128
        prefix += bytes([size])
    return prefix + encoded
