"""The failures callers may act on, by name.

Retryability is decided here, once: raise these instead of building an ApplicationError in place.
Anything else that an activity raises is retried as it is; anything else that escapes a workflow
is a bug and stops the workflow task until a fix ships.
"""

from datetime import timedelta
from enum import StrEnum

from temporalio.exceptions import ApplicationError


class ErrorType(StrEnum):
    """Stable names: clients, the API's status codes and retry policies match on them."""

    INVALID_ARGUMENT = "InvalidArgument"
    ALREADY_EXISTS = "AlreadyExists"
    NOT_FOUND = "NotFound"
    FAILED_PRECONDITION = "FailedPrecondition"
    NO_CAPACITY = "NoCapacity"
    REJECTED = "Rejected"
    STALE_GENERATION = "StaleGeneration"
    THROTTLED = "Throttled"


def invalid_argument(message: str) -> ApplicationError:
    """The request is wrong in itself."""
    return ApplicationError(message, type=ErrorType.INVALID_ARGUMENT, non_retryable=True)


def already_exists(message: str) -> ApplicationError:
    return ApplicationError(message, type=ErrorType.ALREADY_EXISTS, non_retryable=True)


def not_found(message: str) -> ApplicationError:
    return ApplicationError(message, type=ErrorType.NOT_FOUND, non_retryable=True)


def failed_precondition(message: str) -> ApplicationError:
    """The request is right, but not for the state the resource is in (a stale version, say)."""
    return ApplicationError(message, type=ErrorType.FAILED_PRECONDITION, non_retryable=True)


def no_capacity(message: str) -> ApplicationError:
    """No cell can take the namespace; the message says why, cell by cell."""
    return ApplicationError(message, type=ErrorType.NO_CAPACITY, non_retryable=True)


def rejected(message: str) -> ApplicationError:
    """The world refuses this step as written: trying again cannot help."""
    return ApplicationError(message, type=ErrorType.REJECTED, non_retryable=True)


def stale_generation(message: str) -> ApplicationError:
    """A newer writer was here: whatever this one still wants to do must not be done."""
    return ApplicationError(message, type=ErrorType.STALE_GENERATION, non_retryable=True)


def throttled(message: str, retry_after: timedelta) -> ApplicationError:
    """The other side asked us to wait."""
    return ApplicationError(message, type=ErrorType.THROTTLED, next_retry_delay=retry_after)
