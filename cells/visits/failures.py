"""What a failed activity says, seen from inside a visit."""

from temporalio.exceptions import ActivityError, ApplicationError, FailureError
from temporalio.exceptions import TimeoutError as TemporalTimeoutError


def reason_of(error: FailureError) -> str:
    cause = error.cause if isinstance(error, ActivityError) and error.cause else error
    match cause:
        case ApplicationError():
            return cause.message or cause.type or "it failed without a word"
        case TemporalTimeoutError():
            return "no worker finished it in time"
        case _:
            return str(cause)
