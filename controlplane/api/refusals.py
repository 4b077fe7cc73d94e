"""Why a call was not answered, and the status code that says so: one table for gRPC and HTTP."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import grpc
import psycopg
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from temporalio.exceptions import ApplicationError

from controlplane.api.ports import EngineUnavailable
from controlplane.errors import ErrorType
from controlplane.identity.types import PermissionDenied, Unauthenticated

_logger = logging.getLogger(__name__)

# Clients drop what is NOT_FOUND, and repeat what is UNAVAILABLE or RESOURCE_EXHAUSTED. Some also
# repeat ABORTED, UNKNOWN, DATA_LOSS and OUT_OF_RANGE, which is why nothing here is one of these.
STATUS: dict[ErrorType, grpc.StatusCode] = {
    ErrorType.INVALID_ARGUMENT: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorType.ALREADY_EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    ErrorType.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    ErrorType.FAILED_PRECONDITION: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorType.NO_CAPACITY: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorType.REJECTED: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorType.THROTTLED: grpc.StatusCode.RESOURCE_EXHAUSTED,
}

# As grpc-gateway maps them.
HTTP_STATUS: dict[grpc.StatusCode, int] = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
}


@dataclass(frozen=True)
class Refusal:
    code: grpc.StatusCode
    message: str
    retry_after: timedelta | None = None
    """How long to wait before the same request may be answered; None if nobody knows."""

    @property
    def details(self) -> Sequence[Message]:
        """What a `google.rpc.Status` says beyond code and message."""
        if self.retry_after is None:
            return ()
        wait = RetryInfo()
        wait.retry_delay.FromTimedelta(self.retry_after)
        return (wait,)

    @property
    def trailers(self) -> Sequence[tuple[str, bytes]]:
        """The trailing metadata in which gRPC carries the details."""
        if not self.details:
            return ()
        number, _ = self.code.value
        status = Status(code=number, message=self.message)
        for detail in self.details:
            status.details.add().Pack(detail)
        return (("grpc-status-details-bin", status.SerializeToString()),)

    @property
    def http_headers(self) -> dict[str, str]:
        if self.retry_after is not None:
            # Whole seconds, and never none at all.
            return {"retry-after": str(max(1, math.ceil(self.retry_after.total_seconds())))}
        if self.code is grpc.StatusCode.UNAUTHENTICATED:
            return {"www-authenticate": "Bearer"}
        return {}


class Refused(Exception):
    """A refusal on its way to the caller."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def refusal_of(error: Exception) -> Refusal:
    """Return what to tell the caller; a failure of our own is logged, and not told."""
    match error:
        case Refused(refusal=refusal):
            return refusal
        case Unauthenticated():
            return Refusal(grpc.StatusCode.UNAUTHENTICATED, str(error))
        case PermissionDenied():
            return Refusal(grpc.StatusCode.PERMISSION_DENIED, str(error))
        case ApplicationError(type=name, message=message, next_retry_delay=wait) if name in STATUS:
            return Refusal(STATUS[ErrorType(name)], message, wait)
        case EngineUnavailable():
            return Refusal(grpc.StatusCode.UNAVAILABLE, str(error))
        case psycopg.OperationalError():
            _logger.warning("the database does not answer: %s", error)
            return Refusal(
                grpc.StatusCode.UNAVAILABLE,
                "the control plane's database does not answer: try again in a moment",
            )
        case _:
            _logger.error("a call failed for a reason of our own", exc_info=error)
            return Refusal(
                grpc.StatusCode.INTERNAL,
                "something went wrong inside the control plane: the API's log says what",
            )
