"""Requests framed as no SDK would: they reach their own namespace or none."""

import gzip
import zlib
from uuid import uuid4

import pytest
from temporalio.api.common.v1 import WorkflowType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from cells.ingress.http_filters import LARGEST_MESSAGE
from tests.cells.ingress.conftest import ORDERS, PAY
from tests.cells.ingress.small_cell import SmallCell, Tenant
from tests.cells.ingress.wire import grpc_frame, post

pytestmark = pytest.mark.usefixtures("pay")

METHOD = "StartWorkflowExecution"
GZIP = ("grpc-encoding", "gzip")
MIB = 1 << 20


def start(namespace: str, workflow: str) -> bytes:
    return StartWorkflowExecutionRequest(
        namespace=namespace,
        workflow_id=workflow,
        workflow_type=WorkflowType(name="Any"),
        task_queue=TaskQueue(name="nobody"),
        request_id=str(uuid4()),
    ).SerializeToString()


async def started_in(frontend: str, workflow: str) -> set[str]:
    """Return the namespaces in which the server has the workflow."""
    found = set()
    for namespace in (ORDERS, PAY):
        client = await Client.connect(frontend, namespace=namespace)
        try:
            await client.get_workflow_handle(workflow).describe()
        except RPCError as error:
            assert error.status == RPCStatusCode.NOT_FOUND  # noqa: PT017 - found is as good
        else:
            found.add(namespace)
    return found


@pytest.mark.parametrize("level", [1, 9])
@pytest.mark.parametrize("padding", [0, 200, 40_000, 300_000, 2 * MIB])
async def test_a_compressed_request_reaches_its_own_namespace(
    cell: SmallCell, either: Tenant, frontend: str, padding: int, level: int
) -> None:
    workflow = f"compressed-{uuid4()}"
    unknown_field = b"\xa2\x06" + _varint(padding) + bytes(padding)
    message = gzip.compress(start(ORDERS, workflow) + unknown_field, level)

    await post(cell, either, METHOD, grpc_frame(message, compressed=True), GZIP)

    assert await started_in(frontend, workflow) == {ORDERS}


async def test_an_uncompressed_request_may_say_that_it_could_be_compressed(
    cell: SmallCell, either: Tenant, frontend: str
) -> None:
    workflow = f"plain-{uuid4()}"

    await post(cell, either, METHOD, grpc_frame(start(ORDERS, workflow)), GZIP)

    assert await started_in(frontend, workflow) == {ORDERS}


@pytest.mark.parametrize(
    "trick",
    [
        "another",
        "another, compressed",
        "own frame, then another",
        "another, then own frame",
        "own frame, then another, compressed",
        "own gzip member, then another",
        "another gzip member, then own",
        "uncompressed, said to be",
        "compressed, said not to be",
        "two encodings, gzip last",
        "two encodings, gzip first",
        "content encoding",
        "content encoding of the frame",
        "tier",
    ],
)
async def test_no_framing_reaches_another_namespace(
    cell: SmallCell, either: Tenant, frontend: str, trick: str
) -> None:
    workflow = f"smuggled-{uuid4()}"
    a, b = start(ORDERS, workflow), start(PAY, workflow)
    packed_a, packed_b = gzip.compress(a), gzip.compress(b)
    frame_a, frame_b = grpc_frame(a), grpc_frame(b)
    zipped_b = grpc_frame(packed_b, compressed=True)
    identity = ("grpc-encoding", "identity")
    body, headers = {
        "another": (frame_b, []),
        "another, compressed": (zipped_b, [GZIP]),
        "own frame, then another": (frame_a + frame_b, []),
        "another, then own frame": (frame_b + frame_a, []),
        "own frame, then another, compressed": (frame_a + zipped_b, [GZIP]),
        "own gzip member, then another": (
            grpc_frame(packed_a + packed_b, compressed=True),
            [GZIP],
        ),
        "another gzip member, then own": (
            grpc_frame(packed_b + packed_a, compressed=True),
            [GZIP],
        ),
        "uncompressed, said to be": (grpc_frame(b, compressed=True), [GZIP]),
        "compressed, said not to be": (zipped_b, []),
        "two encodings, gzip last": (zipped_b, [identity, GZIP]),
        "two encodings, gzip first": (zipped_b, [GZIP, identity]),
        "content encoding": (packed_b, [("content-encoding", "gzip")]),
        "content encoding of the frame": (
            gzip.compress(frame_b),
            [("content-encoding", "gzip")],
        ),
        "tier": (packed_b, [("content-encoding", "gzip"), ("x-ingress-inflate", "1")]),
    }[trick]

    await post(cell, either, METHOD, body, *headers)

    assert PAY not in await started_in(frontend, workflow)


@pytest.mark.parametrize(
    "damage",
    ["cut short", "longer", "wrong size", "wrong frame size", "no gzip", "empty", "frame too long"],
)
async def test_a_damaged_request_goes_nowhere(
    cell: SmallCell, either: Tenant, frontend: str, damage: str
) -> None:
    workflow = f"damaged-{uuid4()}"
    message = start(ORDERS, workflow)
    packed = gzip.compress(message)
    body = {
        "cut short": grpc_frame(packed[:-12], compressed=True),
        "longer": grpc_frame(packed + b"\0" * 8, compressed=True),
        "wrong size": grpc_frame(packed[:-4] + b"\x01\0\0\0", compressed=True),
        "wrong frame size": b"\1\0\0\0\1" + packed,
        "no gzip": grpc_frame(message, compressed=True),
        "empty": grpc_frame(b"", compressed=True),
        "frame too long": grpc_frame(packed, compressed=True) + b"\0",
    }[damage]

    await post(cell, either, METHOD, body, GZIP)

    assert await started_in(frontend, workflow) == set()


def bomb(compressed_size: int, claimed: int) -> bytes:
    """Return a gzip stream of about this size that inflates a thousandfold, and its own claim."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    header = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    blocks = block * (compressed_size // len(block))
    return header + blocks + b"\x03\0" + b"\0" * 4 + claimed.to_bytes(4, "little")


@pytest.mark.parametrize("claimed", [0, LARGEST_MESSAGE])
@pytest.mark.parametrize("compressed_size", [15_000, 120_000, MIB - 5_000, 4 * MIB - 5_000])
async def test_a_bomb_that_hides_its_size_is_inflated_to_32_mib_at_most(
    cell: SmallCell, either: Tenant, compressed_size: int, claimed: int
) -> None:
    inflated = await inflated_by(cell, either, bomb(compressed_size, claimed))

    assert LARGEST_MESSAGE < inflated < 33 * MIB


async def test_a_bomb_that_tells_its_size_is_not_inflated(cell: SmallCell, either: Tenant) -> None:
    for claimed in (LARGEST_MESSAGE + 1, 2**32 - 1):
        assert await inflated_by(cell, either, bomb(15_000, claimed)) == 0


async def inflated_by(cell: SmallCell, tenant: Tenant, message: bytes) -> int:
    """Return how many bytes Envoy inflates on account of the message."""
    statistic = "request.total_uncompressed_bytes"
    before = await cell.envoy_statistic(statistic)
    await post(cell, tenant, METHOD, grpc_frame(message, compressed=True), GZIP)
    return await cell.envoy_statistic(statistic) - before


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])
