"""Waiting for processes we start: asked again and again, they have no way to call us."""

import asyncio
from collections.abc import Awaitable, Callable

import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc
from temporalio.api.workflowservice.v1 import GetClusterInfoRequest, GetClusterInfoResponse

WORKFLOW_SERVICE = "temporal.api.workflowservice.v1.WorkflowService"

_EVERY_SECONDS = 0.1
_ANSWER_SECONDS = 2.0


async def until(
    probe: Callable[[], Awaitable[bool]], what: str, within: float, every: float = _EVERY_SECONDS
) -> None:
    """Return once `probe` is true; raise TimeoutError naming `what` after `within` seconds."""
    deadline = asyncio.get_running_loop().time() + within
    while not await probe():
        if asyncio.get_running_loop().time() > deadline:
            raise TimeoutError(f"{what}: not so after {within:g} s")
        await asyncio.sleep(every)


async def is_serving(address: str, service: str = "") -> bool:
    """Tell whether gRPC health at `address` reports the service as SERVING."""
    if not await _listens(address):
        return False
    async with grpc.aio.insecure_channel(address) as channel:
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=service), timeout=_ANSWER_SECONDS
            )
        except grpc.aio.AioRpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def answered_version(frontend: str) -> str | None:
    """Return the version that the Temporal server says it has, or None when it does not answer."""
    if not await _listens(frontend):
        return None
    async with grpc.aio.insecure_channel(frontend) as channel:
        ask = channel.unary_unary(
            f"/{WORKFLOW_SERVICE}/GetClusterInfo",
            request_serializer=GetClusterInfoRequest.SerializeToString,
            response_deserializer=GetClusterInfoResponse.FromString,
        )
        try:
            info = await ask(GetClusterInfoRequest(), timeout=_ANSWER_SECONDS)
        except grpc.aio.AioRpcError:
            return None
    return str(info.server_version)


async def _listens(address: str) -> bool:
    """Tell whether anybody is there: a question that costs far less than a gRPC channel."""
    host, _, port = address.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    return True


async def answers_http(url: str) -> bool:
    """Tell whether a GET of the URL is answered with success."""
    async with httpx.AsyncClient(timeout=_ANSWER_SECONDS, trust_env=False) as client:
        try:
            return (await client.get(url)).is_success
        except httpx.HTTPError:
            return False
