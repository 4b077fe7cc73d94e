"""Why a call was not answered, and the status code that says so: one table for gRPC and HTTP."""

import logging
from dataclasses import dataclass

import grpc
import psycopg
from temporalio.exceptions import ApplicationError

from controlplane.api.ports import EngineUnavailable
from controlplane.errors import ErrorType
from controlplane.identity.types import Unauthenticated

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


def refusal_of(error: Exception) -> Refusal:
    """Return what to tell the caller; a failure of our own is logged, and not told."""
    match error:
        case Unauthenticated():
            return Refusal(grpc.StatusCode.UNAUTHENTICATED, str(error))
        case ApplicationError(type=name, message=message) if name in STATUS:
            return Refusal(STATUS[ErrorType(name)], message)
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
