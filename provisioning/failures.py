"""What a failed step says, seen from inside a workflow."""

from temporalio.exceptions import ActivityError, ApplicationError, FailureError
from temporalio.exceptions import TimeoutError as TemporalTimeoutError


def cause_of(error: FailureError) -> BaseException:
    """Return what went wrong: an activity's failure arrives wrapped, a local activity's bare."""
    return error.cause or error if isinstance(error, ActivityError) else error


def is_permanent(error: FailureError) -> bool:
    """Return whether trying again cannot help (see `controlplane.errors`)."""
    cause = cause_of(error)
    return isinstance(cause, ApplicationError) and cause.non_retryable


def message_of(error: FailureError) -> str:
    match cause_of(error):
        case ApplicationError() as cause:
            return cause.message
        case TemporalTimeoutError():
            return "no worker finished it in time"
        case cause:
            return str(cause)
