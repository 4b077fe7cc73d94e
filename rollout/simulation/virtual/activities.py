"""Doing what workflows ask of the world, and trying again what failed."""

from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import timedelta
from inspect import signature
from typing import get_type_hints

from temporalio.api.common.v1 import Payload, RetryPolicy
from temporalio.api.failure.v1 import Failure

from controlplane.payloads import data_converter

Activity = Callable[..., Coroutine[None, None, object]]

FIRST_PAUSE = timedelta(seconds=1)
BACKOFF = 2.0
LONGEST_PAUSE = 100
"""Times the first. These three are the server's defaults."""


class NotSimulated(Exception):
    """Somebody asks for what this engine cannot do."""


class Activities:
    """The activities of a worker, by name."""

    def __init__(self) -> None:
        self._activities: dict[str, tuple[Activity, list[type]]] = {}

    def add(self, activities: Iterable[Activity]) -> None:
        for activity in activities:
            hints = get_type_hints(activity)
            types = [hints[parameter] for parameter in signature(activity).parameters]
            self._activities[activity.__name__] = (activity, types)

    def do(self, name: str, arguments: Sequence[Payload]) -> Payload:
        """Return the result of the activity of this name, encoded; raise what it raises."""
        activity, types = self._activities[name]
        values = data_converter.payload_converter.from_payloads(arguments, types)
        doing = activity(*values)
        try:
            doing.send(None)
        except StopIteration as done:
            return data_converter.payload_converter.to_payload(done.value)
        doing.close()
        raise NotSimulated(f"{name} waits for something: in virtual time there is nothing to come")


def failure_of(error: BaseException) -> Failure:
    failure = Failure()
    data_converter.failure_converter.to_failure(error, data_converter.payload_converter, failure)
    return failure


def pause_after(failure: Failure, attempt: int, policy: RetryPolicy) -> timedelta | None:
    """Return how long to wait before the next attempt; None when there is none."""
    told = failure.application_failure_info
    if told.non_retryable or told.type in policy.non_retryable_error_types:
        return None
    if policy.maximum_attempts and attempt >= policy.maximum_attempts:
        return None
    if told.HasField("next_retry_delay"):
        return told.next_retry_delay.ToTimedelta()
    first = policy.initial_interval.ToTimedelta() or FIRST_PAUSE
    longest = policy.maximum_interval.ToTimedelta() or first * LONGEST_PAUSE
    try:
        return min(first * (policy.backoff_coefficient or BACKOFF) ** (attempt - 1), longest)
    except OverflowError:
        return longest
