"""One call, whatever carried it here: admitted or refused, done, recorded, measured and logged."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import uuid4

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.cloud.cloudservice.v1 import CreateNamespaceRequest, service_pb2

from controlplane.api import limits
from controlplane.api.audit_trail import AuditTrail, Call
from controlplane.api.authentication import FORWARDED_FOR
from controlplane.api.changes import CHANGE
from controlplane.api.concurrency import OperationsAtOnce
from controlplane.api.handlers.table import Handler
from controlplane.api.metrics import CallMetrics
from controlplane.api.redaction import fields_of
from controlplane.api.refusals import Refusal, Refused, refusal_of
from controlplane.api.throttle import Throttle, rates, too_many
from controlplane.errors import invalid_argument
from controlplane.identity.limits import AccountLimitsReader
from controlplane.identity.permissions import authorize
from controlplane.identity.types import Principal
from controlplane.ids import namespace_id

SERVICE: ServiceDescriptor = service_pb2.DESCRIPTOR.services_by_name["CloudService"]

_OPERATION_ID = "async_operation_id"
_logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Calls:
    """The one way by which anything is asked of the control plane, after authentication.

    A call has to be within the rates of its account and its key's owner, and then be allowed
    (`identity.permissions`). What changes something has to be within the limit of operations at
    once, too, and is recorded in the audit log before it is answered, whatever the answer: while
    that cannot be written the answer is UNAVAILABLE, and the same request under the same operation
    id, sent again, is answered and recorded then. A process that dies between the change and its
    record leaves an operation that is not recorded, which another one finds (`late_records`). Only
    calls beyond a rate are not recorded: the rate is what protects the log.
    """

    limits: AccountLimitsReader
    operations: OperationsAtOnce
    trail: AuditTrail
    metrics: CallMetrics = field(default_factory=CallMetrics)
    throttle: Throttle = field(default_factory=Throttle)
    _changes: set[asyncio.Task[object]] = field(default_factory=set)

    async def admitted(self, caller: Principal, action: str, namespace: str | None) -> None:
        """Return if the caller may do this now; raise `throttled` or PermissionDenied if not."""
        await self._within_rates(caller)
        authorize(caller, action, namespace)

    async def read(self, call: Call, work: Callable[[], Awaitable[T]]) -> T | Refusal:
        """Return what `work` does, if the caller may see it."""

        async def answer() -> T | Refusal:
            try:
                await self.admitted(call.caller, call.action, call.namespace)
                return await work()
            except Exception as error:  # noqa: BLE001 - each kind has its status code
                return refusal_of(error)

        return await self._measured(call, answer())

    async def change(self, call: Call, work: Callable[[], Awaitable[T]]) -> T | Refusal:
        """Do `work` if the caller may, and record the call.

        It goes on to its end when its caller goes away: nothing is done by half.
        """
        task = asyncio.ensure_future(self._measured(call, self._recorded(call, work)))
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        return await asyncio.shield(task)

    async def finish(self) -> None:
        """Wait for the changes whose callers went away."""
        while self._changes:
            await asyncio.gather(*self._changes)

    async def _recorded(self, call: Call, work: Callable[[], Awaitable[T]]) -> T | Refusal:
        try:
            await self._within_rates(call.caller)
        except Exception as error:  # noqa: BLE001 - each kind has its status code
            return refusal_of(error)
        answer = await self._changed(call, work)
        try:
            await self.trail.record(call, answer, CHANGE.get())
        except Exception as error:  # noqa: BLE001 - whatever it is, the call is not recorded
            return _unrecorded(call, refusal_of(error))
        return answer

    async def _changed(self, call: Call, work: Callable[[], Awaitable[T]]) -> T | Refusal:
        try:
            authorize(call.caller, call.action, call.namespace)
            if not call.operation:
                return await work()
            if not limits.OPERATION_ID.fullmatch(call.operation):
                raise invalid_argument(
                    f"async_operation_id {call.operation[:200]!r} cannot be used: send up to 200 "
                    "printable ASCII characters without blanks, a UUID say, or leave it empty"
                )
            async with self.operations.admitted(call.caller.account.id, call.operation):
                return await work()
        except Exception as error:  # noqa: BLE001 - each kind has its status code
            return refusal_of(error)

    async def _within_rates(self, caller: Principal) -> None:
        account = caller.account.id
        exceeded = self.throttle.take(rates(caller, await self.limits.of(account)))
        if exceeded is not None:
            self.metrics.of(account).limited.labels(exceeded.name).inc()
            raise too_many(exceeded, self.throttle.wait(exceeded))

    async def _measured(self, call: Call, answering: Awaitable[T | Refusal]) -> T | Refusal:
        began = time.perf_counter()
        answer = await answering
        seconds = time.perf_counter() - began
        code = answer.code.name if isinstance(answer, Refusal) else "OK"
        of_account = self.metrics.of(call.caller.account.id)
        of_account.calls.labels(call.action, code).inc()
        of_account.seconds.labels(call.action).observe(seconds)
        _logger.info(
            call.action,
            extra={
                "account": call.caller.account.id,
                "key": call.caller.key.id,
                "code": code,
                "milliseconds": round(seconds * 1000, 1),
            },
        )
        return answer


def answered(answer: T | Refusal) -> T:
    """Return the answer; raise Refused if it is a refusal."""
    if isinstance(answer, Refusal):
        raise Refused(answer)
    return answer


@dataclass(frozen=True)
class Rpc:
    """A method of the service, with its handler if there is one."""

    method: MethodDescriptor
    handler: Handler | None
    calls: Calls

    @property
    def request_class(self) -> type[Message]:
        return GetMessageClass(self.method.input_type)

    async def answer(self, caller: Principal, request: Message) -> Message | Refusal:
        handler = self.handler
        if handler is None:
            return unimplemented(self.method.name)
        namespace = _namespace(caller, request)
        if not changes_something(self.method):
            call = Call(caller, self.method.name, namespace)
            return await self.calls.read(call, lambda: handler(caller, request))
        return await self.calls.change(
            Call(
                caller,
                self.method.name,
                namespace,
                _operation_id(request),
                lambda: fields_of(request),
                FORWARDED_FOR.get(),
            ),
            lambda: handler(caller, request),
        )


def all_rpcs(handlers: Mapping[str, Handler], calls: Calls) -> dict[str, Rpc]:
    """Return every method of the service that our generated code knows, by name."""
    return {
        name: Rpc(method, handlers.get(name), calls)
        for name, method in SERVICE.methods_by_name.items()
    }


def changes_something(method: MethodDescriptor) -> bool:
    """Whether the method begins an operation: then its request has a place for the id of one."""
    return _OPERATION_ID in method.input_type.fields_by_name and not method.name.startswith("Get")


def unimplemented(name: str) -> Refusal:
    return Refusal(
        grpc.StatusCode.UNIMPLEMENTED, f"{name} is not implemented by this control plane"
    )


def _namespace(caller: Principal, request: Message) -> str | None:
    """Return the namespace that the call is about, also the one that it would make."""
    if isinstance(request, CreateNamespaceRequest) and request.spec.name:
        return namespace_id(request.spec.name, caller.account.id)
    return getattr(request, "namespace", "") or None


def _operation_id(request: Message) -> str:
    """Return the operation's id, chosen now if the caller left that to us."""
    chosen: str = getattr(request, _OPERATION_ID) or str(uuid4())
    setattr(request, _OPERATION_ID, chosen)
    return chosen


def _unrecorded(call: Call, reason: Refusal) -> Refusal:
    again = (
        f"send the same request again with async_operation_id {call.operation!r}"
        if call.operation
        else "look what became of it, and send it again if need be"
    )
    return Refusal(
        grpc.StatusCode.UNAVAILABLE,
        f"{call.action} could not be recorded in the audit log, and may have been done or not "
        f"({reason.message}): {again}",
    )
