"""A bridge in front of a server of our own, which answers whatever a test wants to be answered."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from controlplane.local.bridge.config import BridgeConfig
from controlplane.local.bridge.server import ADMIN_SERVICE, STREAMED
from controlplane.local.ports import LOOPBACK, free_port
from controlplane.local.waiting import is_serving
from tests.eventually import eventually

CELL, PEER, OTHER_PEER = "here", "there", "elsewhere"

Context = grpc.aio.ServicerContext[bytes, bytes]
Answer = Callable[[bytes, Context], Awaitable[bytes]]


@dataclass
class Server(grpc.GenericRpcHandler):
    """The server behind the bridge."""

    answers: dict[str, Answer] = field(default_factory=dict)
    """By method."""
    streams: int = 0
    """How many are open."""
    metadata: dict[str, str | bytes] = field(default_factory=dict)
    """What came with the latest call."""

    def service(
        self, call: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        method = call.method.removeprefix(f"/{ADMIN_SERVICE}/")
        if method == STREAMED:
            return grpc.stream_stream_rpc_method_handler(self._echo)
        if method not in self.answers:
            return None
        return grpc.unary_unary_rpc_method_handler(self._answering(self.answers[method]))

    def _answering(self, answer: Answer) -> Answer:
        async def answered(request: bytes, context: Context) -> bytes:
            self.metadata = dict(context.invocation_metadata() or ())
            return await answer(request, context)

        return answered

    async def _echo(self, requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
        self.metadata = dict(context.invocation_metadata() or ())
        self.streams += 1
        try:
            async for request in requests:
                if request == b"fail":
                    await context.abort(
                        grpc.StatusCode.DATA_LOSS, "lost", (("grpc-status-details-bin", b"why"),)
                    )
                yield request
        finally:
            self.streams -= 1


@dataclass(frozen=True)
class Bridged:
    """A running bridge."""

    config: BridgeConfig
    server: Server
    process: asyncio.subprocess.Process

    @contextlib.asynccontextmanager
    async def channel(self, peer: str = PEER) -> AsyncIterator[grpc.aio.Channel]:
        """Connect as a peer does."""
        unlimited = [("grpc.max_receive_message_length", -1)]
        async with grpc.aio.insecure_channel(self.config.listen[peer], unlimited) as channel:
            yield channel


@contextlib.asynccontextmanager
async def serving(server: Server, port: int) -> AsyncIterator[None]:
    """Run the server at the port."""
    running = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    running.add_generic_rpc_handlers((server,))
    running.add_insecure_port(f"{LOOPBACK}:{port}")
    await running.start()
    try:
        yield
    finally:
        await running.stop(grace=None)


@contextlib.asynccontextmanager
async def bridged(folder: Path) -> AsyncIterator[Bridged]:
    """Run a bridge, for two peers, as a process of its own; nothing is behind it yet."""
    config = BridgeConfig(
        CELL,
        f"{LOOPBACK}:{free_port()}",
        {peer: f"{LOOPBACK}:{free_port()}" for peer in (PEER, OTHER_PEER)},
    )
    file = folder / "bridge.json"
    file.write_text(config.to_json())
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "controlplane.local.bridge", str(file))
    )

    async def answers() -> bool:
        assert process.returncode is None
        return await is_serving(config.listen[OTHER_PEER])

    try:
        await eventually(answers)
        yield Bridged(config, Server(), process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        await process.wait()
