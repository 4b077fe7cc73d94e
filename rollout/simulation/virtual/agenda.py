"""What happens when: a clock that stands still until the next thing is due."""

import heapq
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count

SHORTEST, LONGEST = timedelta(milliseconds=1), timedelta(milliseconds=50)
"""What takes place outside a workflow takes a moment, by chance: so what happens side by side comes
in any order, and in the same order whenever the seed is the same."""


class Agenda:
    """Everything that is going to happen, in the order in which it does."""

    def __init__(self, now: datetime, seed: int) -> None:
        self.now = now
        self._due: list[tuple[datetime, int, Callable[[], None]]] = []
        self._numbers = count()
        self._chance = random.Random(seed)  # noqa: S311 - no secret comes of it.

    @property
    def next_at(self) -> datetime | None:
        return self._due[0][0] if self._due else None

    def at_once(self, do: Callable[[], None]) -> None:
        """Do it now, after everything else that is due now."""
        self.after(timedelta(0), do)

    def in_a_moment(self, do: Callable[[], None]) -> None:
        moment = SHORTEST + (LONGEST - SHORTEST) * self._chance.random()
        self.after(moment, do)

    def after(self, delay: timedelta, do: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now + delay, next(self._numbers), do))

    def step(self) -> None:
        """Let the next thing happen, at its time."""
        at, _, do = heapq.heappop(self._due)
        self.now = max(self.now, at)
        do()
