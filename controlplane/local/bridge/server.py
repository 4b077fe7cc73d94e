"""A bridge's ports and its life: what a peer asks is passed on to the cell's server."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Iterable
from functools import partial
from typing import NoReturn

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from controlplane.local.bridge.config import BridgeConfig
from controlplane.local.bridge.names import Names

ADMIN_SERVICE = "temporal.server.api.adminservice.v1.AdminService"
STREAMED = "StreamWorkflowReplicationMessages"
PASSED_ON = frozenset(
    {
        "DescribeCluster",
        "DescribeMutableState",
        "GetDLQReplicationMessages",
        "GetNamespace",
        "GetNamespaceReplicationMessages",
        "GetReplicationMessages",
        "GetWorkflowExecutionRawHistory",
        "GetWorkflowExecutionRawHistoryV2",
        "ReapplyEvents",
        STREAMED,
        "SyncWorkflowState",
    }
)
"""What servers ask of each other. Whatever else there is might carry names that we do not know."""

_UNLIMITED = -1
_SERVER_OPTIONS = (
    ("grpc.max_receive_message_length", _UNLIMITED),
    ("grpc.max_send_message_length", _UNLIMITED),
    # Two bridges on one port would each get some of the calls.
    ("grpc.so_reuseport", 0),
    # Servers ping each other more often than gRPC's C core takes for polite.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 1_000),
    ("grpc.keepalive_permit_without_calls", 1),
)
_CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", _UNLIMITED),
    ("grpc.max_send_message_length", _UNLIMITED),
    # A server that was restarted is back in a second or two.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
# Of the connection, not of the call: either side of the bridge has its own.
_HOP_BY_HOP = {"user-agent", "te", "content-type"}
_RESERVED = (":", "grpc-")
_STATUS_DETAILS = "grpc-status-details-bin"

Metadata = tuple[tuple[str, str | bytes], ...]
Context = grpc.aio.ServicerContext[bytes, bytes]

logger = logging.getLogger(__name__)


async def run(config: BridgeConfig) -> None:
    """Serve every peer until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    channel = grpc.aio.insecure_channel(config.frontend, options=_CHANNEL_OPTIONS)
    servers = [
        _server(Names(config.cell, peer), channel, address)
        for peer, address in config.listen.items()
    ]
    try:
        # All ports are bound by now: who finds one of them serving finds the others, too.
        await asyncio.gather(*(server.start() for server in servers))
        logger.info("%s at %s, for %s", config.cell, config.frontend, config.listen)
        await stop.wait()
    finally:
        # Streams last for ever, and whoever pulls through them begins anew by itself.
        await asyncio.gather(*(server.stop(grace=None) for server in servers))
        await channel.close()


def _server(names: Names, channel: grpc.aio.Channel, address: str) -> grpc.aio.Server:
    server = grpc.aio.server(options=_SERVER_OPTIONS)
    server.add_generic_rpc_handlers((_Bridge(names, channel),))
    health_pb2_grpc.add_HealthServicer_to_server(_Health(), server)
    server.add_insecure_port(address)
    return server


class _Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # Generated, untyped.
    """Says that the bridge is there; of the server behind it, the server itself is asked."""

    async def Check(
        self,
        request: HealthCheckRequest,  # noqa: ARG002 - it has one service
        context: grpc.aio.ServicerContext[HealthCheckRequest, HealthCheckResponse],  # noqa: ARG002
    ) -> HealthCheckResponse:
        return HealthCheckResponse(status=HealthCheckResponse.SERVING)


class _Bridge(grpc.GenericRpcHandler):
    """Passes on what one peer asks. Messages stay bytes: those without names are not even read."""

    def __init__(self, names: Names, channel: grpc.aio.Channel) -> None:
        self._names = names
        self._channel = channel

    def service(
        self, call: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        service, _, method = call.method.removeprefix("/").partition("/")
        if service != ADMIN_SERVICE or method not in PASSED_ON:
            if not service.startswith("grpc."):
                logger.warning("refused %s of %s", call.method, self._names.peer)
            return None
        if method == STREAMED:
            return grpc.stream_stream_rpc_method_handler(self._stream)
        return grpc.unary_unary_rpc_method_handler(partial(self._answer, method))

    async def _answer(self, method: str, request: bytes, context: Context) -> bytes:
        ask: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(
            f"/{ADMIN_SERVICE}/{method}"
        )
        call = ask(
            self._names.request(method, request),
            timeout=context.time_remaining(),
            metadata=_passed_on(context.invocation_metadata()),
        )
        try:
            answer = await call
        except grpc.aio.AioRpcError as refusal:
            await _refuse(context, refusal)
        context.set_trailing_metadata(_passed_on(await call.trailing_metadata()))
        return self._names.response(method, answer)

    async def _stream(
        self, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[bytes]:
        begin: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = self._channel.stream_stream(
            f"/{ADMIN_SERVICE}/{STREAMED}"
        )
        call = begin(
            requests,
            timeout=context.time_remaining(),
            metadata=_passed_on(context.invocation_metadata()),
        )
        try:
            async for answer in call:
                yield answer
            context.set_trailing_metadata(_passed_on(await call.trailing_metadata()))
        except grpc.aio.AioRpcError as refusal:
            await _refuse(context, refusal)
        finally:
            call.cancel()


async def _refuse(context: Context, refusal: grpc.aio.AioRpcError) -> NoReturn:
    """End a call as the server ended it, with the details from which its peers read the reason."""
    await context.abort(
        refusal.code(), refusal.details() or "", _passed_on(refusal.trailing_metadata())
    )


def _passed_on(metadata: Iterable[tuple[str, str | bytes]] | None) -> Metadata:
    return tuple(
        (key, value)
        for key, value in metadata or ()
        if key not in _HOP_BY_HOP and (key == _STATUS_DETAILS or not key.startswith(_RESERVED))
    )
