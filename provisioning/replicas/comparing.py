"""Compares the workflow executions that two cells hold of a namespace, one by one.

Both sides are listed in spans of start times, each small enough to be held in memory. What differs
may be on its way just now: only what still differs at a second look is missing.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from provisioning.replicas.executions import Seen, Span
from provisioning.replicas.types import Comparison

_SHORTEST = timedelta(milliseconds=2)
"""What began together cannot be told apart by when it began."""
_EDGE = timedelta(seconds=1)
"""Two visibility stores may not keep times equally well: the other side is asked for more."""
_LOOKS_AGAIN = 5
"""For all spans together; after that each gets one."""
_NAMED_AT_MOST = 100
_MEASURED_AT_MOST = 1_000
"""How many running executions are compared by the lengths of their histories, at two calls each.
Those that ended are all compared."""
_AT_ONCE = 8
_BEFORE_EVERYTHING = datetime(2015, 1, 1, tzinfo=UTC)
_AGES = (timedelta(hours=1), timedelta(days=1), timedelta(days=7), timedelta(days=60))


class Holdings(Protocol):
    """What one cell holds: `executions.Executions`."""

    async def count(self, span: Span) -> int: ...

    async def within(self, span: Span) -> dict[str, Seen]:
        """Return all of a span, by run id."""
        ...

    async def measure(self, executions: Sequence[Seen], at_once: int) -> None:
        """Learn how long the histories are."""
        ...


@dataclass(frozen=True)
class Pace:
    in_memory: int = 5_000
    """How many executions of each cell are held at a time."""
    settling: timedelta = timedelta(seconds=2)
    """Between two looks: for what is on its way to arrive, and to be listed there."""


async def compare(
    source: Holdings,
    target: Holdings,
    now: datetime,
    pace: Pace = Pace(),
) -> Comparison:
    """Say what the source has and the target does not, of all that was started before `now`.

    An execution that ended on one side alone, or whose history is shorter on the target, counts
    as one that the target does not have.
    """
    comparing = _Comparing(source, target, pace.settling)
    async for span in _spans(source, target, now, pace.in_memory):
        await comparing.look_at(span)
    return Comparison(
        at=now,
        source=dict(comparing.source_counts),
        target=dict(comparing.target_counts),
        missing=tuple(comparing.named),
        missing_count=comparing.missing,
    )


@dataclass
class _Comparing:
    source: Holdings
    target: Holdings
    settling: timedelta
    source_counts: Counter[str] = field(default_factory=Counter)
    target_counts: Counter[str] = field(default_factory=Counter)
    named: list[str] = field(default_factory=list)
    missing: int = 0
    measured: int = 0
    patience: int = _LOOKS_AGAIN

    async def look_at(self, span: Span) -> None:
        ours = await self.source.within(span)
        theirs = await self.target.within(span.widened(_EDGE))
        self.source_counts.update(seen.status for seen in ours.values())
        self.target_counts.update(s.status for s in theirs.values() if s.started_at in span)
        await self._measure(ours, theirs)
        behind = _behind(ours, theirs)
        is_first = True
        while behind and (is_first or self.patience > 0):
            is_first = False
            self.patience -= 1
            await asyncio.sleep(self.settling.total_seconds())
            theirs = await self.target.within(span.widened(_EDGE))
            await self._measure_again(ours, theirs)
            behind = _behind(ours, theirs)
        if behind:
            # Deleted meanwhile, by its retention or by somebody: then it is not missing.
            still_there = await self.source.within(span)
            self._note(seen for seen in behind if seen.run_id in still_there)

    async def _measure(self, ours: dict[str, Seen], theirs: dict[str, Seen]) -> None:
        """Learn how long the histories are of what runs on both sides: the source's first."""
        running = [run for run, seen in ours.items() if seen.is_open and run in theirs]
        running = running[: _MEASURED_AT_MOST - self.measured]
        self.measured += len(running)
        await self.source.measure([ours[run] for run in running], _AT_ONCE)
        await self.target.measure([theirs[run] for run in running], _AT_ONCE)

    async def _measure_again(self, ours: dict[str, Seen], theirs: dict[str, Seen]) -> None:
        measured = [run for run, seen in ours.items() if seen.events and run in theirs]
        await self.target.measure([theirs[run] for run in measured], _AT_ONCE)

    def _note(self, behind: Iterable[Seen]) -> None:
        for seen in behind:
            self.missing += 1
            if len(self.named) < _NAMED_AT_MOST:
                self.named.append(f"{seen.workflow_id}/{seen.run_id}")


def _behind(ours: dict[str, Seen], theirs: dict[str, Seen]) -> list[Seen]:
    return [seen for run, seen in ours.items() if not seen.is_reached_by(theirs.get(run))]


async def _spans(
    source: Holdings, target: Holdings, now: datetime, in_memory: int
) -> AsyncIterator[Span]:
    """Divide the time before `now` into spans in which neither side has too much to hold."""
    bounds = [_BEFORE_EVERYTHING, *(now - age for age in reversed(_AGES)), now]
    waiting = [Span(since, until) for since, until in itertools.pairwise(bounds)]
    while waiting:
        span = waiting.pop()
        most = max(await source.count(span), await target.count(span))
        if most > in_memory and span.length > _SHORTEST:
            waiting.extend(span.halves())
        elif most:
            yield span
