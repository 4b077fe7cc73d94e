"""One call of an RPC, whatever carried it here: answered or refused, and logged."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.cloud.cloudservice.v1 import service_pb2

from controlplane.api.handlers.table import Handler
from controlplane.api.refusals import Refusal, refusal_of
from controlplane.identity.types import Principal

SERVICE: ServiceDescriptor = service_pb2.DESCRIPTOR.services_by_name["CloudService"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rpc:
    """A method of the service, with its handler if there is one."""

    method: MethodDescriptor
    handler: Handler | None

    @property
    def request_class(self) -> type[Message]:
        return GetMessageClass(self.method.input_type)

    async def answer(self, caller: Principal, request: Message) -> Message | Refusal:
        began = time.perf_counter()
        answer = await self._answer(caller, request)
        _logger.info(
            self.method.name,
            extra={
                "account": caller.account.id,
                "key": caller.key.id,
                "code": answer.code.name if isinstance(answer, Refusal) else "OK",
                "milliseconds": round((time.perf_counter() - began) * 1000, 1),
            },
        )
        return answer

    async def _answer(self, caller: Principal, request: Message) -> Message | Refusal:
        if self.handler is None:
            return unimplemented(self.method.name)
        try:
            return await self.handler(caller, request)
        except Exception as error:  # noqa: BLE001 - each kind has its status code
            return refusal_of(error)


def all_rpcs(handlers: Mapping[str, Handler]) -> dict[str, Rpc]:
    """Return every method of the service that our generated code knows, by name."""
    return {
        name: Rpc(method, handlers.get(name)) for name, method in SERVICE.methods_by_name.items()
    }


def unimplemented(name: str) -> Refusal:
    return Refusal(
        grpc.StatusCode.UNIMPLEMENTED, f"{name} is not implemented by this control plane"
    )
