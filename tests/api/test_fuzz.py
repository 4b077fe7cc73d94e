"""10,000 calls as no client makes them, over real sockets."""

import asyncio
import gzip
import logging
import random
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.cloud.cloudservice.v1 import GetNamespaceRequest

from controlplane.api.calls import SERVICE
from tests.api.running import Metadata, RunningApi, bearer
from tests.api.wire import wire_client

CALLS = 10_000
TENANTS = 4
AT_ONCE = 64
SEED = 20260102

OURS = ("Unexpected <class", "something went wrong inside")
"""How answers begin that gRPC, or we, give when our code fails."""
EXPECTED = (
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.UNIMPLEMENTED,
)
WORDS = (
    "",
    "orders",
    "aws-us-east-1",
    "\0",
    "é" * 50,
    "a" * 5000,
    "' OR 1=1 --",
    "../..",
    "\u202e",
)
OPEN = (
    "/grpc.health.v1.Health/Check",
    "/temporal.api.workflowservice.v1.WorkflowService/GetSystemInfo",
)
"""What strangers may call."""


@dataclass(frozen=True)
class Fuzz:
    """Draws calls; the same seed draws the same ones."""

    draw: random.Random
    namespaces: tuple[str, ...]

    def call(self, token: str) -> tuple[str, Metadata, bytes]:
        method = self.draw.choice(SERVICE.methods)
        path = f"/{SERVICE.full_name}/{method.name}"
        message = self.message(method.input_type)
        body = struct.pack(">BI", 0, len(message)) + message
        metadata = bearer(token)
        match self.draw.randrange(12):
            case 0:
                body = body[: self.draw.randrange(len(body) + 1)]
            case 1:
                body = struct.pack(">BI", 0, self.draw.choice((2**31, 2**32 - 1, 9_000_000))) + body
            case 2:
                path = self.draw.choice((*OPEN, f"{path}x", "/", "//", "", "/é/\0", f"/{path}"))
            case 3:
                metadata = self.metadata(token)
            case 4:
                compressed = self.mutated(gzip.compress(message))
                body = struct.pack(">BI", 1, len(compressed)) + compressed
                metadata = (
                    *metadata,
                    ("grpc-encoding", self.draw.choice(("gzip", "deflate", "x"))),
                )
            case 5:
                noise = self.draw.randbytes(self.draw.randrange(200))
                body = struct.pack(">BI", 0, len(noise)) + noise
            case 6:
                body = self.draw.randbytes(self.draw.randrange(30))
            case 7 | 8:
                mutated = self.mutated(message)
                body = struct.pack(">BI", 0, len(mutated)) + mutated
            case _:
                pass  # A request that can be read, of any content.
        return path, metadata, body

    def message(self, kind: Descriptor) -> bytes:
        """Return a request with random content, and perhaps with fields that nobody knows."""
        message = GetMessageClass(kind)()
        self.fill(message, depth=0)
        written = message.SerializeToString()
        if self.draw.random() < 0.2:
            number = self.draw.randrange(100, 2**20) << 3 | 2
            extra = self.draw.randbytes(self.draw.randrange(50))
            written += _varint(number) + _varint(len(extra)) + extra
        return written

    def fill(self, message: Message, depth: int) -> None:
        kind: Descriptor = message.DESCRIPTOR  # type: ignore[assignment]  # Of upb: the same.
        for field in kind.fields:
            if depth > 4 or self.draw.random() < 0.4:
                continue
            held = field.message_type
            if held is not None and held.GetOptions().map_entry:
                self._fill_map(getattr(message, field.name), held)
            elif field.is_repeated:
                self._fill_list(getattr(message, field.name), field, depth)
            elif held is not None:
                getattr(message, field.name).SetInParent()
                self.fill(getattr(message, field.name), depth + 1)
            else:
                setattr(message, field.name, self.scalar(field))

    def _fill_map(self, entries: object, kind: Descriptor) -> None:
        value = kind.fields_by_name["value"]
        if value.message_type is None:
            for _ in range(self.draw.randrange(3)):
                entries[self.draw.choice(WORDS)] = self.scalar(value)  # type: ignore[index]

    def _fill_list(self, entries: object, field: FieldDescriptor, depth: int) -> None:
        for _ in range(self.draw.randrange(3)):
            if field.message_type is None:
                entries.append(self.scalar(field))  # type: ignore[attr-defined]
            else:
                self.fill(entries.add(), depth + 1)  # type: ignore[attr-defined]

    def scalar(self, field: FieldDescriptor) -> str | bytes | int | float | bool:
        match field.type:
            case FieldDescriptor.TYPE_STRING:
                return self.draw.choice((*WORDS, *self.namespaces))
            case FieldDescriptor.TYPE_BYTES:
                return self.draw.randbytes(self.draw.choice((0, 10, 2000)))
            case FieldDescriptor.TYPE_BOOL:
                return self.draw.random() < 0.5
            case FieldDescriptor.TYPE_DOUBLE:
                return self.draw.choice((0.0, -1.5, float("nan"), float("inf")))
            case FieldDescriptor.TYPE_INT64:
                return self.draw.choice((0, 1, -1, 2**63 - 1, -(2**63)))
            case _:
                return self.draw.choice((0, 1, 2, 7, -1, 2**31 - 1, -(2**31)))

    def mutated(self, message: bytes) -> bytes:
        """Return the bytes with some of them changed, doubled or missing: also wire types."""
        changed = bytearray(message or b"\x0a\x00")
        for _ in range(self.draw.randrange(1, 6)):
            at = self.draw.randrange(len(changed) + 1)
            match self.draw.randrange(3):
                case 0:
                    changed[at : at + 1] = self.draw.randbytes(1)
                case 1:
                    changed[at:at] = changed[at : at + 8]
                case _ if len(changed) > 1:
                    del changed[at : at + self.draw.randrange(1, 4)]
                case _:
                    pass
        return bytes(changed)

    def metadata(self, token: str) -> Metadata:
        half = token[: self.draw.randrange(len(token))]
        said = self.draw.choice(("", "Bearer", "Bearer ", f"Bearer {half}", token, f"Basic {token}",
                                 "Bearer \0", "Bearer a.b.c", "Bearer é", "x" * 5000))  # fmt: skip
        version = self.draw.choice(("", "v0.13.0", "v99999999999999.1", "2024-05-13-00", "é", "\0"))
        timeout = self.draw.choice(("1S", "0n", "-1S", "99999999H", "x"))
        return (
            ("authorization", said),
            ("temporal-cloud-api-version", version),
            ("grpc-timeout", timeout),
            ("some-bin", "!!not base64!!"),
        )[: self.draw.randrange(1, 5)]


async def test_nothing_that_is_sent_breaks_the_server(api: RunningApi) -> None:
    tenants = [await api.tenant() for _ in range(TENANTS)]
    namespaces = tuple([await tenant.create("orders") for tenant in tenants])
    fuzz = Fuzz(random.Random(SEED), namespaces)  # noqa: S311 - the same calls every time
    calls = iter([fuzz.call(tenants[number % TENANTS].token) for number in range(CALLS)])
    outcomes: Counter[int | None] = Counter()

    async def send() -> None:
        async with wire_client(api.ports.grpc) as client:
            for path, metadata, body in calls:
                outcome = await client.call(path, metadata, body)
                assert not outcome.message.startswith(OURS), (path, metadata, body, outcome)
                outcomes[outcome.status] += 1

    with errors_logged() as errors:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(send())

    assert not errors, errors[0]
    assert outcomes.total() == CALLS
    # The calls came through to every part of us.
    assert {code.value[0] for code in EXPECTED} <= outcomes.keys(), outcomes
    for tenant, namespace in zip(tenants, namespaces, strict=True):
        request = GetNamespaceRequest(namespace=namespace)
        assert (await tenant.cloud.cloud_service.get_namespace(request)).HasField("namespace")


@contextmanager
def errors_logged() -> Iterator[list[str]]:
    """Collect what is logged as an error, or with a traceback."""
    lines: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.ERROR or record.exc_info:
                lines.append(self.format(record))

    collector = Collector()
    logging.getLogger().addHandler(collector)
    try:
        yield lines
    finally:
        logging.getLogger().removeHandler(collector)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
