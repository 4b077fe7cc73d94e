"""The Cloud Ops API over gRPC."""

from collections.abc import Mapping
from typing import TypeAlias

import grpc
from google.protobuf.message import Message
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest, GetSystemInfoResponse

from controlplane.api.authentication import CALLER
from controlplane.api.calls import SERVICE, Rpc, unimplemented
from controlplane.api.refusals import Refusal

MethodHandler: TypeAlias = "grpc.RpcMethodHandler[Message, Message]"
Context = grpc.aio.ServicerContext[Message, Message]


class CloudService(grpc.GenericRpcHandler):
    """Answers for the whole service, methods that our generated code does not know included."""

    def __init__(self, rpcs: Mapping[str, Rpc]) -> None:
        self._methods = {name: _method(rpc) for name, rpc in rpcs.items()}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "MethodHandler | None":
        service, _, name = handler_call_details.method.removeprefix("/").partition("/")
        if service != SERVICE.full_name:
            return None
        return self._methods.get(name) or _refusing(unimplemented(name))


def workflow_service() -> grpc.GenericRpcHandler:
    """Return as much of Temporal's own service as its SDKs need to connect."""

    async def get_system_info(_: Message, __: Context) -> Message:
        return GetSystemInfoResponse()

    return grpc.method_handlers_generic_handler(
        "temporal.api.workflowservice.v1.WorkflowService",
        {
            "GetSystemInfo": grpc.unary_unary_rpc_method_handler(
                get_system_info,
                request_deserializer=GetSystemInfoRequest.FromString,
                response_serializer=_serialize,
            )
        },
    )


def _method(rpc: Rpc) -> "MethodHandler":
    async def answer(request: Message, context: Context) -> Message:
        answer = await rpc.answer(CALLER.get(), request)
        if isinstance(answer, Refusal):
            await context.abort(answer.code, answer.message)
        return answer

    return grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=rpc.request_class.FromString,
        response_serializer=_serialize,
    )


def _refusing(refusal: Refusal) -> "MethodHandler":
    async def refuse(_: Message, context: Context) -> Message:
        await context.abort(refusal.code, refusal.message)

    return grpc.unary_unary_rpc_method_handler(refuse)


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()
