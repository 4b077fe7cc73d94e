"""How many calls a second are answered: token buckets, for each account and each key owner."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from controlplane.errors import throttled
from controlplane.identity.limits import AccountLimits
from controlplane.identity.quota import RAISED_BY
from controlplane.identity.types import Principal, User

MOST_BUCKETS = 10_000


@dataclass(frozen=True)
class Rate:
    """A limit that a call comes under."""

    who: str
    """Whose calls count together, as a person reads it."""
    name: str
    """The account limit that says how many."""
    per_second: int


@dataclass
class _Bucket:
    """Fills by `per_second` a second, up to what one second brings."""

    tokens: float
    filled_at: float

    def fill(self, per_second: int, now: float) -> None:
        earned = (now - self.filled_at) * per_second
        self.tokens = min(float(per_second), self.tokens + earned)
        self.filled_at = now


@dataclass
class Throttle:
    """Counts the calls of this process. Several API processes allow as many times the rate.

    Memory is bounded: beyond MOST_BUCKETS the one not used for longest is forgotten, which is full
    again after a second anyway. Only callers with a valid key ever get one.
    """

    clock: Callable[[], float] = time.monotonic
    """Seconds."""
    _buckets: OrderedDict[str, _Bucket] = field(default_factory=OrderedDict)

    def take(self, rates: Sequence[Rate]) -> Rate | None:
        """Count a call under all of the rates, or return the one that it exceeds."""
        now = self.clock()
        buckets = [self._bucket(rate, now) for rate in rates]
        for rate, bucket in zip(rates, buckets, strict=True):
            if bucket.tokens < 1:
                return rate
        for bucket in buckets:
            bucket.tokens -= 1
        return None

    def wait(self, rate: Rate) -> timedelta:
        """Return how long it takes until another call is allowed under the rate."""
        missing = 1 - self._bucket(rate, self.clock()).tokens
        return timedelta(seconds=max(0.0, missing) / rate.per_second)

    def _bucket(self, rate: Rate, now: float) -> _Bucket:
        bucket = self._buckets.get(rate.who)
        if bucket is None:
            bucket = self._buckets[rate.who] = _Bucket(float(rate.per_second), now)
            if len(self._buckets) > MOST_BUCKETS:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(rate.who)
        bucket.fill(rate.per_second, now)
        return bucket


def rates(caller: Principal, limits: AccountLimits) -> Sequence[Rate]:
    """Return what the caller's calls count towards."""
    owner = (
        Rate(f"user {caller.owner.id}", "user_requests_per_second", limits.user_requests_per_second)
        if isinstance(caller.owner, User)
        else Rate(
            f"service account {caller.owner.id}",
            "service_account_requests_per_second",
            limits.service_account_requests_per_second,
        )
    )
    account = f"account {caller.account.id}"
    return (owner, Rate(account, "requests_per_second", limits.requests_per_second))


def too_many(rate: Rate, wait: timedelta) -> Exception:
    """Return the refusal of a call beyond the rate."""
    return throttled(
        f"{rate.who} makes more than {rate.per_second} calls a second ({rate.name}): try again in "
        f"{wait.total_seconds():.2f} s; {RAISED_BY}",
        wait,
    )
