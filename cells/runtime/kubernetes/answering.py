"""Whether a cell's Temporal service answers, and how long it did not."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import grpc
from temporalio.api.workflowservice.v1 import GetClusterInfoRequest, GetClusterInfoResponse

from cells.runtime.kubernetes.progress import Check, Failed

_ANSWER_SECONDS = 2.0
_PAUSE_SECONDS = 0.5
_METHOD = "/temporal.api.workflowservice.v1.WorkflowService/GetClusterInfo"


async def server_version(frontend: str) -> str:
    """Return what the server at `host:port` says it is; nothing when it does not answer."""
    async with grpc.aio.insecure_channel(frontend) as channel:
        ask = channel.unary_unary(
            _METHOD,
            request_serializer=GetClusterInfoRequest.SerializeToString,
            response_deserializer=GetClusterInfoResponse.FromString,
        )
        try:
            answer = await ask(GetClusterInfoRequest(), timeout=_ANSWER_SECONDS)
        except grpc.aio.AioRpcError:
            return ""
        return str(answer.server_version)


async def answers_in(frontend: str, version: str, patience: timedelta, check: Check) -> None:
    """Return once the server answers in this version."""
    until = asyncio.get_running_loop().time() + patience.total_seconds()
    said = ""
    while asyncio.get_running_loop().time() < until:
        await check()
        said = await server_version(frontend)
        if said == version:
            return
        await asyncio.sleep(_PAUSE_SECONDS)
    raise Failed(
        f"every pod is ready, and the Temporal service at {frontend} "
        + (f"says it is {said}, not {version}" if said else "does not answer")
    )


@dataclass
class Outage:
    """The longest time for which a server that had answered did not."""

    longest: timedelta = timedelta(0)


@contextlib.asynccontextmanager
async def observed(frontend: str) -> AsyncIterator[Outage]:
    """Ask the server all the time until the block ends."""
    outage = Outage()
    asking = asyncio.create_task(_ask(frontend, outage))
    try:
        yield outage
    finally:
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking


async def _ask(frontend: str, outage: Outage) -> None:
    clock = asyncio.get_running_loop()
    silent_since: float | None = None
    while True:
        asked = clock.time()
        if await server_version(frontend):
            silent_since = None
        else:
            silent_since = asked if silent_since is None else silent_since
            silence = timedelta(seconds=clock.time() - silent_since)
            outage.longest = max(outage.longest, silence)
        await asyncio.sleep(_PAUSE_SECONDS)
