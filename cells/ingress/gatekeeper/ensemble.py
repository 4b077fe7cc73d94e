"""What all gatekeepers of a cell enforce, told by any one of them.

A cell may have several ingresses side by side, each with a gatekeeper of its own, behind one
address. Whoever asks there whether something is enforced is asking about the cell.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from cells.ingress.gatekeeper.health import Health

_SERVING = HealthCheckResponse.SERVING
_NOT_SERVING = HealthCheckResponse.NOT_SERVING
_UNKNOWN = HealthCheckResponse.SERVICE_UNKNOWN

_ALONE = ("x-gatekeeper-alone", "true")
"""What a gatekeeper's question has that is about the one asked, and no other."""
_ANSWER_SECONDS = 1.0
_ASK_AGAIN_AFTER = 0.1

_Context = grpc.aio.ServicerContext[HealthCheckRequest, HealthCheckResponse]


@dataclass
class Companions:
    """All gatekeepers of a cell."""

    find: Callable[[], Awaitable[set[str]]]
    """Returns where each of them answers, `host:port`; raises OSError when that is not known."""
    _channels: dict[str, grpc.aio.Channel] = field(default_factory=dict)

    async def statuses(self, service: str) -> Sequence[int]:
        """Return what each says; NOT_SERVING stands for one that does not answer."""
        addresses = await self.find()
        for gone in self._channels.keys() - addresses:
            await self._channels.pop(gone).close()
        return await asyncio.gather(*(self._ask(address, service) for address in addresses))

    async def _ask(self, address: str, service: str) -> int:
        channel = self._channels.get(address)
        if channel is None:
            channel = self._channels[address] = grpc.aio.insecure_channel(address)
        stub = health_pb2_grpc.HealthStub(channel)
        request = HealthCheckRequest(service=service)
        try:
            answer = await stub.Check(request, timeout=_ANSWER_SECONDS, metadata=(_ALONE,))
        except grpc.aio.AioRpcError as error:
            unknown = error.code() is grpc.StatusCode.NOT_FOUND
            return int(_UNKNOWN if unknown else _NOT_SERVING)
        return int(answer.status)


async def addresses_of(name: str) -> set[str]:
    """Return everything that a name and port, `host:port`, lead to."""
    host, _, port = name.rpartition(":")
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return {
        f"[{address}]:{port}" if family == socket.AF_INET6 else f"{address}:{port}"
        for family, _, _, _, (address, *_) in found
    }


class EnsembleHealth(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # Generated, untyped.
    """The health service of one gatekeeper among several.

    SERVING is what all of them enforce, SERVICE_UNKNOWN what none does, NOT_SERVING what some do.
    The service `""` is the one asked, alone: it must not be taken away because another is.
    """

    def __init__(self, own: Health, companions: Companions) -> None:
        self._own = own
        self._companions = companions

    async def Check(self, request: HealthCheckRequest, context: _Context) -> HealthCheckResponse:
        if _is_about_one(request, context):
            return await self._own.Check(request, context)
        status = await self._together(request.service)
        if status == _UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"{request.service} is not enforced")
        return HealthCheckResponse(status=status)

    async def Watch(
        self, request: HealthCheckRequest, context: _Context
    ) -> AsyncIterator[HealthCheckResponse]:
        if _is_about_one(request, context):
            async for answer in self._own.Watch(request, context):
                yield answer
            return
        told = None
        while True:
            status = await self._together(request.service)
            if status != told:
                yield HealthCheckResponse(status=status)
                told = status
            await asyncio.sleep(_ASK_AGAIN_AFTER)

    async def _together(self, service: str) -> int:
        statuses: Sequence[int] = ()
        with contextlib.suppress(OSError):  # Whom to ask is not known: nothing is.
            statuses = await self._companions.statuses(service)
        return together(statuses)


def together(statuses: Sequence[int]) -> int:
    """Return what gatekeepers say as one. Pure."""
    told = set(statuses)
    return told.pop() if len(told) == 1 else _NOT_SERVING


def _is_about_one(request: HealthCheckRequest, context: _Context) -> bool:
    return request.service == "" or _ALONE in (context.invocation_metadata() or ())
