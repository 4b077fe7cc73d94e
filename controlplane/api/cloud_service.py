"""The Cloud Ops API over gRPC: its service descriptor joined with our handlers."""

import logging
import time
from collections.abc import Mapping
from typing import TypeAlias

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.cloud.cloudservice.v1 import service_pb2
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest, GetSystemInfoResponse

from controlplane.api.authentication import CALLER
from controlplane.api.handlers.table import Handler
from controlplane.api.refusals import Refusal, refusal_of

SERVICE = service_pb2.DESCRIPTOR.services_by_name["CloudService"]

_calls = logging.getLogger("controlplane.api.calls")

MethodHandler: TypeAlias = "grpc.RpcMethodHandler[Message, Message]"
Context = grpc.aio.ServicerContext[Message, Message]


class CloudService(grpc.GenericRpcHandler):
    """Answers for the whole service, methods that our generated code does not know included."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        methods = SERVICE.methods_by_name
        self._methods = {name: _method(methods[name], handlers[name]) for name in handlers}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "MethodHandler | None":
        service, _, name = handler_call_details.method.removeprefix("/").partition("/")
        if service != SERVICE.full_name:
            return None
        return self._methods.get(name) or _unimplemented(name)


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


def _method(method: MethodDescriptor, handler: Handler) -> "MethodHandler":
    async def answer(request: Message, context: Context) -> Message:
        caller, began = CALLER.get(), time.perf_counter()
        refusal: Refusal | None = None
        try:
            return await handler(caller, request)
        except Exception as error:  # noqa: BLE001 - each kind has its status code
            refusal = refusal_of(error)
            await context.abort(refusal.code, refusal.message)
        finally:
            _calls.info(
                method.name,
                extra={
                    "account": caller.account.id,
                    "key": caller.key.id,
                    "code": refusal.code.name if refusal else "OK",
                    "milliseconds": round((time.perf_counter() - began) * 1000, 1),
                },
            )

    return grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=GetMessageClass(method.input_type).FromString,
        response_serializer=_serialize,
    )


def _unimplemented(name: str) -> "MethodHandler":
    async def refuse(_: Message, context: Context) -> Message:
        await context.abort(
            grpc.StatusCode.UNIMPLEMENTED, f"{name} is not implemented by this control plane"
        )

    return grpc.unary_unary_rpc_method_handler(refuse)


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()
