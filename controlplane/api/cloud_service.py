"""The Cloud Ops API over gRPC."""

from collections.abc import Mapping
from typing import TypeAlias

import grpc

from controlplane.api.authentication import CALLER
from controlplane.api.calls import SERVICE, Rpc, unimplemented
from controlplane.api.decoding import decoded
from controlplane.api.refusals import Refusal

MethodHandler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"
Context = grpc.aio.ServicerContext[bytes, bytes]


class CloudService(grpc.GenericRpcHandler):
    """Answers for the whole service, methods that our generated code does not know included."""

    def __init__(self, rpcs: Mapping[str, Rpc]) -> None:
        self._methods = {name: _method(rpc) for name, rpc in rpcs.items()}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "MethodHandler | None":
        service, _, name = handler_call_details.method.removeprefix("/").partition("/")
        if service != SERVICE.full_name:
            return None
        return self._methods.get(name) or _refusing(unimplemented(name))


def _method(rpc: Rpc) -> "MethodHandler":
    kind = rpc.request_class

    async def answer(body: bytes, context: Context) -> bytes:
        asked = decoded(kind, body)
        answer = asked if isinstance(asked, Refusal) else await rpc.answer(CALLER.get(), asked)
        if isinstance(answer, Refusal):
            await context.abort(answer.code, answer.message, tuple(answer.trailers))
        return answer.SerializeToString()

    return grpc.unary_unary_rpc_method_handler(answer)


def _refusing(refusal: Refusal) -> "MethodHandler":
    async def refuse(_: bytes, context: Context) -> bytes:
        await context.abort(refusal.code, refusal.message)

    return grpc.unary_unary_rpc_method_handler(refuse)
