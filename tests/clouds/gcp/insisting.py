"""Calls again whatever goes wrong, as activities do, and notes what did."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from temporalio.exceptions import ApplicationError

from controlplane.errors import ErrorType
from controlplane.gcp.errors import DEFAULT_DELAY
from tests.clouds.gcp.faults import RETRY_AFTER, Faults, Kind

Answer = TypeVar("Answer")

_TRIES = 60


@dataclass
class Insisting:
    """Whoever calls does so again; after a refusal that is for people, as people do once they have
    done what it says."""

    wrong: list[Exception] = field(default_factory=list)

    async def until_done(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        for _ in range(_TRIES):
            try:
                return await call()
            except (ApplicationError, OSError) as error:
                self.wrong.append(error)
        raise AssertionError(f"it still does not work: {self.wrong[-1]}")


def let_each_go_wrong(faults: Faults, calls: list[str], kind: Kind) -> None:
    """Have each of the calls go wrong so often that it is noticed.

    Google's REST library sends once more by itself what got no answer.
    """
    for call in calls:
        is_rest = call[0].islower()
        faults.add(call, kind, times=2 if is_rest and kind in (Kind.RESET, Kind.LOST) else 1)


def assert_said(kind: Kind, wrong: list[Exception]) -> None:
    """Assert that what went wrong was said as what it was, and that it says what to do."""
    types = {error.type if isinstance(error, ApplicationError) else None for error in wrong}
    delays = {error.next_retry_delay for error in wrong if isinstance(error, ApplicationError)}
    texts = [str(error) for error in wrong]
    match kind:
        case Kind.SLOW:
            assert wrong == []
        case Kind.THROTTLE:
            assert types == {ErrorType.THROTTLED}
            assert delays <= {RETRY_AFTER, DEFAULT_DELAY}, "older APIs do not say how long"
        case Kind.ERROR | Kind.RESET | Kind.LOST:
            assert wrong
            assert types == {None}, "trying again helps"
        case Kind.DENIED:
            assert types == {ErrorType.REJECTED}
            assert all("grant it" in text for text in texts), texts
        case Kind.QUOTA:
            assert types == {ErrorType.REJECTED}
            assert all("ask for more" in text for text in texts), texts
