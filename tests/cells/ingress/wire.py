"""Requests as bytes: what an SDK would never send, and what it sends without its retries."""

import asyncio
import contextlib
import ssl
import struct
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import grpc

from tests.cells.ingress.authorities import Credential
from tests.cells.ingress.handshakes import tls_context
from tests.cells.ingress.small_cell import SmallCell, Tenant

SERVICE = "/temporal.api.workflowservice.v1.WorkflowService/"
HEALTH = "/grpc.health.v1.Health/Check"


@dataclass(frozen=True)
class Answer:
    """A gRPC status, and the response's bytes if there is one."""

    code: grpc.StatusCode
    details: str = ""
    body: bytes = b""


class RawChannel:
    """A gRPC connection that sends any bytes to any path, once."""

    def __init__(self, channel: grpc.aio.Channel, always: Sequence[tuple[str, str]] = ()) -> None:
        self._channel = channel
        self._always = always

    async def call(
        self, path: str, body: bytes, metadata: Sequence[tuple[str, str]] = ()
    ) -> Answer:
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(path)
        try:
            response = await method(body, timeout=60, metadata=(*self._always, *metadata))
        except grpc.aio.AioRpcError as error:
            return Answer(error.code(), error.details() or "")
        return Answer(grpc.StatusCode.OK, body=response)


@contextlib.asynccontextmanager
async def raw_channel(cell: SmallCell, tenant: Tenant) -> AsyncIterator[RawChannel]:
    """Connect to the ingress as the tenant, by its API key if it uses one."""
    credential = None if tenant.token else tenant.credential
    async with keyed_channel(cell, tenant, tenant.token, credential=credential) as channel:
        yield channel


@contextlib.asynccontextmanager
async def keyed_channel(
    cell: SmallCell, tenant: Tenant, token: str, *, credential: Credential | None = None
) -> AsyncIterator[RawChannel]:
    """Connect to the tenant's endpoint with a token in each request, unless it is empty."""
    credentials = grpc.ssl_channel_credentials(
        cell.fleet.pem.encode(),
        None if credential is None else credential.private_key.encode(),
        None if credential is None else credential.certificate.encode(),
    )
    options = [("grpc.ssl_target_name_override", tenant.server_name)]
    always = [("authorization", f"Bearer {token}")] if token else []
    async with grpc.aio.secure_channel(cell.ingress.listen, credentials, options) as channel:
        yield RawChannel(channel, always)


async def post(
    cell: SmallCell, tenant: Tenant, method: str, body: bytes, *headers: tuple[str, str]
) -> None:
    """Send one HTTP/2 request with exactly this body, and return when it has ended."""
    host, _, port = cell.ingress.listen.rpartition(":")
    context = tls_context(cell, None if tenant.token else tenant.credential)
    if tenant.token:
        headers = (*headers, ("authorization", f"Bearer {tenant.token}"))
    reader, writer = await asyncio.open_connection(
        host, int(port), ssl=context, server_hostname=tenant.server_name
    )
    try:
        async with asyncio.timeout(60):
            with contextlib.suppress(ConnectionError):
                writer.write(PREFACE + _frame(_SETTINGS, 0, 0, b""))
                # Only what was acknowledged counts: the server's windows are 64 KiB until then.
                await _frame_of(reader, _SETTINGS)
                writer.write(_frame(_SETTINGS, _ACK, 0, b""))
                writer.write(_frame(_HEADERS, _END_HEADERS, 1, _headers(method, headers)))
                for start in range(0, len(body), _FRAME_BYTES):
                    last = start + _FRAME_BYTES >= len(body)
                    chunk = body[start : start + _FRAME_BYTES]
                    writer.write(_frame(_DATA, _END_STREAM if last else 0, 1, chunk))
                    await writer.drain()
            await _end_of_stream(reader)
    finally:
        writer.transport.abort()


def grpc_frame(message: bytes, *, compressed: bool = False) -> bytes:
    """Return the message as gRPC puts it into the body of a request."""
    return struct.pack(">BI", compressed, len(message)) + message


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _GOAWAY = 0, 1, 3, 4, 7
_ACK, _END_STREAM, _END_HEADERS = 1, 1, 4
_FRAME_BYTES = 16384


def _headers(method: str, extra: Sequence[tuple[str, str]]) -> bytes:
    headers = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "ingress"),
        (":path", SERVICE + method),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        *extra,
    ]
    return b"".join(b"\x00" + _text(name) + _text(value) for name, value in headers)


def _text(value: str) -> bytes:
    """Encode as HPACK does without Huffman's code (RFC 7541, 5.1 and 5.2)."""
    length = len(value)
    if length < 127:
        return bytes([length]) + value.encode()
    encoded, length = bytearray([127]), length - 127
    while length > 127:
        encoded.append(length & 127 | 128)
        length >>= 7
    return bytes([*encoded, length]) + value.encode()


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


async def _end_of_stream(reader: asyncio.StreamReader) -> None:
    """Read until the server has ended stream 1 or the connection."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
        while True:
            kind, flags, stream = await _next_frame(reader)
            ended = kind in (_DATA, _HEADERS) and flags & _END_STREAM
            if kind in (_RESET, _GOAWAY) or (stream == 1 and ended):
                return


async def _frame_of(reader: asyncio.StreamReader, wanted: int) -> None:
    while (await _next_frame(reader))[0] != wanted:
        pass


async def _next_frame(reader: asyncio.StreamReader) -> tuple[int, int, int]:
    """Return the next frame's type, flags and stream."""
    head = await reader.readexactly(9)
    kind, flags, stream = struct.unpack(">BBI", head[3:])
    await reader.readexactly(int.from_bytes(head[:3]))
    return kind, flags, stream
