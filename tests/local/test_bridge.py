"""What a bridge passes on between two servers, and what it does not."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from controlplane.local.bridge.names import OWN_NAME
from controlplane.local.bridge.server import ADMIN_SERVICE, STREAMED
from tests.eventually import eventually
from tests.local.bridged import CELL, OTHER_PEER, PEER, Bridged, Context, bridged, serving

LARGE = 20 << 20
"""Bytes: five times what gRPC takes by default."""


@pytest.fixture
async def bridge(tmp_path: Path) -> AsyncIterator[Bridged]:
    """A bridge with a server behind it."""
    async with bridged(tmp_path) as bridge, serving(bridge.server, port_of(bridge)):
        yield bridge


def port_of(bridge: Bridged) -> int:
    return int(bridge.config.frontend.rpartition(":")[2])


def asked(channel: grpc.aio.Channel, method: str) -> grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]:
    return channel.unary_unary(f"/{ADMIN_SERVICE}/{method}")


def streamed(channel: grpc.aio.Channel) -> grpc.aio.StreamStreamMultiCallable[bytes, bytes]:
    return channel.stream_stream(f"/{ADMIN_SERVICE}/{STREAMED}")


async def echo(request: bytes, context: Context) -> bytes:  # noqa: ARG001 - as gRPC calls it
    return request


def name_field(number: int, name: str) -> bytes:
    """Return a message with a string in one field, as it travels."""
    return bytes([number << 3 | 2, len(name)]) + name.encode()


async def test_each_peer_hears_of_the_cell_by_its_id_and_of_itself_by_its_own_name(
    bridge: Bridged,
) -> None:
    heard: list[bytes] = []

    async def describe(request: bytes, context: Context) -> bytes:  # noqa: ARG001
        heard.append(request)
        return name_field(5, OWN_NAME)

    bridge.server.answers["DescribeCluster"] = describe
    for peer in (PEER, OTHER_PEER):
        async with bridge.channel(peer) as channel:
            assert await asked(channel, "DescribeCluster")(b"") == name_field(5, CELL)
            await asked(channel, "DescribeCluster")(name_field(1, OWN_NAME))
            await asked(channel, "DescribeCluster")(name_field(1, CELL))
    assert heard == [
        *(b"", name_field(1, PEER), name_field(1, OWN_NAME)),
        *(b"", name_field(1, OTHER_PEER), name_field(1, OWN_NAME)),
    ]


async def test_what_has_no_names_is_passed_on_byte_by_byte(bridge: Bridged) -> None:
    large = bytes(range(256)) * (LARGE // 256)
    bridge.server.answers["SyncWorkflowState"] = echo
    async with bridge.channel() as channel:
        assert await asked(channel, "SyncWorkflowState")(large) == large
        stream = streamed(channel)(large_twice(large))
        assert [part async for part in stream] == [large, large]


async def large_twice(large: bytes) -> AsyncIterator[bytes]:
    for _ in range(2):
        yield large


async def test_deadlines_and_metadata_arrive(bridge: Bridged) -> None:
    left: list[float | None] = []

    async def remember(request: bytes, context: Context) -> bytes:
        left.append(context.time_remaining())
        return request

    bridge.server.answers["DescribeMutableState"] = remember
    sent = (("temporal-client-shard-id", "7"), ("some-bin", b"\x00\xff"))
    async with bridge.channel() as channel:
        await asked(channel, "DescribeMutableState")(b"", timeout=500, metadata=sent)
        assert dict(sent).items() <= bridge.server.metadata.items()
        assert left[0] is not None
        assert 0 < left[0] < 600  # It is rounded up on its way.
        stream = streamed(channel)(metadata=sent)
        await stream.write(b"once")
        assert await stream.read() == b"once"
        assert dict(sent).items() <= bridge.server.metadata.items()
        stream.cancel()


async def test_a_refusal_arrives_with_its_details(bridge: Bridged) -> None:
    async def refuse(request: bytes, context: Context) -> bytes:  # noqa: ARG001
        details = (("grpc-status-details-bin", b"why"), ("hint", "later"))
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too much", details)

    bridge.server.answers["GetNamespace"] = refuse
    async with bridge.channel() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await asked(channel, "GetNamespace")(b"")
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert refused.value.details() == "too much"
        trailing = dict(refused.value.trailing_metadata() or ())
        assert trailing.items() >= {"grpc-status-details-bin": b"why", "hint": "later"}.items()

        stream = streamed(channel)()
        await stream.write(b"fail")
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await stream.read()
        assert failed.value.code() is grpc.StatusCode.DATA_LOSS
        trailing = dict(failed.value.trailing_metadata() or ())
        assert trailing["grpc-status-details-bin"] == b"why"


@pytest.mark.parametrize(
    "method",
    [
        f"/{ADMIN_SERVICE}/ListClusters",
        f"/{ADMIN_SERVICE}/DeleteWorkflowExecution",
        "/temporal.api.workflowservice.v1.WorkflowService/DescribeNamespace",
        "/temporal.api.operatorservice.v1.OperatorService/ListClusters",
    ],
)
async def test_what_servers_do_not_ask_of_each_other_is_refused(
    bridge: Bridged, method: str
) -> None:
    bridge.server.answers |= {method.rpartition("/")[2]: echo, method: echo}
    async with bridge.channel() as channel:
        ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(b"")
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert not bridge.server.metadata


async def test_a_stream_ends_on_both_sides_when_either_ends_it(bridge: Bridged) -> None:
    async def open_streams(number: int) -> None:
        async def so_many() -> bool:
            return bridge.server.streams == number

        await eventually(so_many)

    async with bridge.channel() as channel:
        stream = streamed(channel)()
        await stream.write(b"once")
        assert await stream.read() == b"once"
        await open_streams(1)
        stream.cancel()
        await open_streams(0)

        stream = streamed(channel)()
        await stream.write(b"once")
        assert await stream.read() == b"once"
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF
        await open_streams(0)


async def test_a_server_that_comes_back_is_found_again(tmp_path: Path) -> None:
    async with bridged(tmp_path) as bridge, bridge.channel() as channel:
        bridge.server.answers["DescribeMutableState"] = echo
        for _ in range(2):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await asked(channel, "GetNamespace")(b"")
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE

            async def answers() -> bool:
                with contextlib.suppress(grpc.aio.AioRpcError):
                    return await asked(channel, "DescribeMutableState")(b"hello") == b"hello"
                return False

            async with serving(bridge.server, port_of(bridge)):
                await eventually(answers)


async def test_a_bridge_that_is_told_to_end_does_so_with_streams_open(bridge: Bridged) -> None:
    async with bridge.channel() as channel:
        stream = streamed(channel)()
        await stream.write(b"once")
        assert await stream.read() == b"once"
        bridge.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            assert await bridge.process.wait() == 0
        with pytest.raises(grpc.aio.AioRpcError):
            await stream.read()
