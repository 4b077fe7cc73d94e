"""What became of a load: what was due, what completed when, and how that is counted."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

DELAYED_SECONDS = 1.0
"""By how much more than the median a workflow takes to count as delayed."""


@dataclass(frozen=True)
class Schedule:
    """When workflows are due, whatever became of earlier ones; seconds are those of the machine's
    monotonic clock, which its processes share."""

    start: float
    interval: float
    """Seconds from one workflow of a namespace to its next; namespaces take turns in between."""
    namespaces: tuple[str, ...]

    def due(self, namespace: str, number: int) -> float:
        turn = self.namespaces.index(namespace) / len(self.namespaces)
        return self.start + (number + turn) * self.interval

    def between(self, begin: float, end: float) -> set[tuple[str, int]]:
        """Return the workflows that are due from `begin` until before `end`."""
        return {
            (namespace, number)
            for namespace in self.namespaces
            for number in range(
                max(ceil((begin - self.due(namespace, 0)) / self.interval), 0),
                max(ceil((end - self.due(namespace, 0)) / self.interval), 0),
            )
        }


@dataclass(frozen=True)
class Ended:
    """One workflow of a load: completed as it should, or given up."""

    namespace: str
    number: int
    at: float
    completed: bool
    errors: tuple[str, ...]
    """What reached the tenant's code on the way, after everything the SDK repeats by itself."""


@dataclass(frozen=True)
class Connected:
    """A client that took the place of its predecessor in a namespace."""

    namespace: str
    at: float
    seconds: float
    refusals: tuple[str, ...]
    """Why it did not get in at first."""


@dataclass(frozen=True)
class Count:
    """A load over some time, counted."""

    seconds: float
    due: int
    completed: int
    errors: tuple[str, ...]
    delayed: int
    median: float
    """Seconds from being due to being completed."""
    slowest: float
    longest_gap: float
    """Seconds for which a namespace completed nothing although something was due."""
    connections: int
    refusals: tuple[str, ...]
    slowest_connection: float

    @property
    def failed(self) -> int:
        return self.due - self.completed


def count(
    schedule: Schedule,
    ended: Mapping[tuple[str, int], Ended],
    connected: Iterable[Connected],
    begin: float,
    end: float,
) -> Count:
    """Count what was due from `begin` until before `end`, and the connections made then."""
    due = schedule.between(begin, end)
    outcomes = [ended[key] for key in due if key in ended]
    completed = [outcome for outcome in outcomes if outcome.completed]
    took = sorted(o.at - schedule.due(o.namespace, o.number) for o in completed)
    median = took[len(took) // 2] if took else 0.0
    arrivals = [c for c in connected if begin <= c.at < end]
    return Count(
        seconds=end - begin,
        due=len(due),
        completed=len(completed),
        errors=tuple(error for outcome in outcomes for error in outcome.errors),
        delayed=sum(seconds > median + DELAYED_SECONDS for seconds in took),
        median=median,
        slowest=max(took, default=0.0),
        longest_gap=max(
            (
                _longest_gap(schedule, [o for o in completed if o.namespace == namespace])
                for namespace in schedule.namespaces
            ),
            default=0.0,
        ),
        connections=len(arrivals),
        refusals=tuple(refusal for c in arrivals for refusal in c.refusals),
        slowest_connection=max((c.seconds for c in arrivals), default=0.0),
    )


def table(counts: Mapping[str, Count]) -> str:
    """Return the counts as a table for people, one line each."""
    names = max(map(len, ["under a steady load", *counts]))
    head = (
        f"{'under a steady load':{names}}  seconds     due completed failed errors delayed"
        f"     p50 slowest     gap connected refused slowest"
    )
    return "\n".join(
        [head]
        + [
            f"{name:{names}} {c.seconds:8.1f} {c.due:7} {c.completed:9} {c.failed:6}"
            f" {len(c.errors):6} {c.delayed:7} {c.median:6.2f}s {c.slowest:6.2f}s"
            f" {c.longest_gap:6.2f}s {c.connections:9} {len(c.refusals):7}"
            f" {c.slowest_connection:6.2f}s"
            for name, c in counts.items()
        ]
    )


def _longest_gap(schedule: Schedule, completed: Sequence[Ended]) -> float:
    """Return the longest time of one namespace without a completion while one was due."""
    in_order = sorted(completed, key=lambda o: o.at)
    waits = [o.at - schedule.due(o.namespace, o.number) for o in in_order[:1]]
    for n, (before, after) in enumerate(pairwise(in_order), start=1):
        first_due = min(schedule.due(o.namespace, o.number) for o in in_order[n:])
        waits.append(after.at - max(before.at, first_due))
    return max(waits, default=0.0)
