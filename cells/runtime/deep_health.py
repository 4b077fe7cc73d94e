"""What a Temporal service says of the hosts behind its frontend: `AdminService/DeepHealthCheck`.

The SDK has no messages of the admin service, and the names of its fields may change from release
to release; their numbers may not. So the answer is read by number
(`temporal/server/api/adminservice/v1/request_response.proto`, `DeepHealthCheckResponse`).
"""

from collections.abc import Iterator
from enum import IntEnum

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

ANSWER_SECONDS = 5.0

_METHOD = "/temporal.server.api.adminservice.v1.AdminService/DeepHealthCheck"
_STATE = 1
_SERVICES = 2
# Of a service, and of each of its hosts: what it is called, its state, and what it is made of.
_NAME, _ITS_STATE, _PARTS = 1, 2, 3
# Of a host's check: the same, and what it found.
_MESSAGE = 5


class HealthState(IntEnum):
    UNSPECIFIED = 0
    SERVING = 1
    NOT_SERVING = 2
    DECLINED_SERVING = 3
    INTERNAL_ERROR = 4


async def ask_deep_health(frontend: str) -> list[str]:
    """Return what is wrong with the service's hosts; nothing where the service cannot tell.

    Raise AioRpcError when it does not answer.
    """
    async with grpc.aio.insecure_channel(frontend) as channel:
        ask: grpc.aio.UnaryUnaryMultiCallable[Empty, bytes] = channel.unary_unary(
            _METHOD, request_serializer=Empty.SerializeToString
        )
        try:
            answer = await ask(Empty(), timeout=ANSWER_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                return []
            raise
    return problems_in(answer)


def problems_in(answer: bytes) -> list[str]:
    """Name the hosts and checks that fail, or the state as a whole when none is named."""
    state = _number(answer, _STATE)
    if state == HealthState.SERVING:
        return []
    problems = [
        f"{_text(service, _NAME)} at {_text(host, _NAME)}: {_reasons(host) or _state_of(host)}"
        for service in _messages(answer, _SERVICES)
        for host in _messages(service, _PARTS)
        if _number(host, _ITS_STATE) != HealthState.SERVING
    ]
    return problems or [f"it is {_called(state)}"]


def _reasons(host: bytes) -> str:
    return ", ".join(
        _text(check, _MESSAGE) or _text(check, _NAME)
        for check in _messages(host, _PARTS)
        if _number(check, _ITS_STATE) != HealthState.SERVING
    )


def _state_of(host: bytes) -> str:
    return _called(_number(host, _ITS_STATE))


def _called(state: int) -> str:
    return HealthState(state).name if state in set(HealthState) else f"in state {state}"


def _fields(message: bytes, number: int) -> Iterator[object]:
    try:
        fields = UnknownFieldSet(Empty.FromString(message))
    except DecodeError:
        return
    for field in (fields[n] for n in range(len(fields))):
        if field.field_number == number:
            yield field.data


def _number(message: bytes, field: int) -> int:
    return next((value for value in _fields(message, field) if isinstance(value, int)), 0)


def _messages(message: bytes, field: int) -> list[bytes]:
    return [value for value in _fields(message, field) if isinstance(value, bytes)]


def _text(message: bytes, field: int) -> str:
    return next((v.decode(errors="replace") for v in _messages(message, field)), "")
