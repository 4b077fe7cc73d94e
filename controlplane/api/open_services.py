"""What anyone may call without an API key: health, and what SDKs ask for when they connect."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2
from temporalio.api.workflowservice.v1 import GetSystemInfoResponse

from controlplane.api.decoding import decoded
from controlplane.api.refusals import Refusal

Context = grpc.aio.ServicerContext[bytes, bytes]
Asked = TypeVar("Asked", bound=Message)


def open_services(servicer: health.aio.HealthServicer) -> tuple[grpc.GenericRpcHandler, ...]:
    """Return the services; `grpc_health` has its own way to register, which trusts every byte."""
    kind = health_pb2.HealthCheckRequest
    return (
        grpc.method_handlers_generic_handler(
            "grpc.health.v1.Health",
            {
                "Check": grpc.unary_unary_rpc_method_handler(_answering(kind, servicer.Check)),
                "Watch": grpc.unary_stream_rpc_method_handler(_following(kind, servicer.Watch)),
            },
        ),
        grpc.method_handlers_generic_handler(
            "temporal.api.workflowservice.v1.WorkflowService",
            {"GetSystemInfo": grpc.unary_unary_rpc_method_handler(_get_system_info)},
        ),
    )


async def _get_system_info(_: bytes, __: Context) -> bytes:
    return GetSystemInfoResponse().SerializeToString()


def _answering(
    kind: type[Asked], method: Callable[[Asked, Context], Awaitable[Message]]
) -> Callable[[bytes, Context], Awaitable[bytes]]:
    async def answer(body: bytes, context: Context) -> bytes:
        asked = decoded(kind, body)
        if isinstance(asked, Refusal):
            await context.abort(asked.code, asked.message)
        return (await method(asked, context)).SerializeToString()

    return answer


def _following(
    kind: type[Asked], method: Callable[[Asked, Context], AsyncIterator[Message]]
) -> Callable[[bytes, Context], AsyncIterator[bytes]]:
    async def follow(body: bytes, context: Context) -> AsyncIterator[bytes]:
        asked = decoded(kind, body)
        if isinstance(asked, Refusal):
            await context.abort(asked.code, asked.message)
        async for message in method(asked, context):
            yield message.SerializeToString()

    return follow
