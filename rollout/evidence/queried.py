"""The gates whose query has to stay within bounds."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollout.evidence.ports import NoEvidence
from rollout.evidence.prometheus import Connection, Prometheus, Sample, quoted, steps
from rollout.gates import Gate, Reading, Verdict
from rollout.ports import WatchedCells

_ZERO = timedelta(0)


@dataclass(frozen=True)
class Window:
    """A window in steps: the number 0 ends with it, and each ends where the one before begins."""

    since: datetime
    until: datetime
    step: timedelta
    count: int

    @classmethod
    def of(cls, watched: WatchedCells, resolution: timedelta) -> "Window":
        count, step = steps(watched.since, watched.until, resolution)
        return cls(watched.since, watched.until, step, count)

    def number(self, at: datetime) -> int:
        """Return the step that a sample stands for; not below `count` for one before the window."""
        return round((self.until - at) / self.step)

    def length(self, numbers: frozenset[int]) -> timedelta:
        """Return how much of the window these steps are."""
        ends = (self.until - number * self.step for number in numbers)
        return sum((end - max(end - self.step, self.since) for end in ends), _ZERO)


@dataclass(frozen=True)
class Judgement:
    verdict: Verdict
    message: str
    green: frozenset[int] = frozenset()
    """The steps of the window with a sample within bounds, if nothing speaks against them."""


@dataclass(frozen=True)
class QueriedGate:
    """Asks Prometheus about each cell: `rollout.evidence.ports.GateAsker`.

    As many questions are under way at once as the client has connections.
    """

    prometheus: Prometheus

    async def ask(self, gates: Sequence[Gate], watched: WatchedCells) -> tuple[Reading, ...]:
        window = Window.of(watched, self.prometheus.resolution)
        readings: list[Reading] = []
        async with self.prometheus.connected() as connection:
            for gate in gates:
                looks = (_look(connection, gate, cell, watched, window) for cell in watched.cells)
                readings += _readings(gate, watched.cells, await asyncio.gather(*looks), window)
        return tuple(readings)


def judge(gate: Gate, samples: Sequence[Sample], window: Window) -> Judgement:
    """Return what the samples of one cell, oldest first, say of it in a window.

    Samples before the window only count as samples. Two steps in a row out of bounds fail, also if
    the window begins between them; one is taken for a glitch, but nothing is concluded while it is
    the newest.
    """
    if len(samples) < gate.minimum_samples:
        message = f"{len(samples)} of the {gate.minimum_samples} samples it takes"
        return Judgement(Verdict.NO_DATA, message)
    age = window.until - samples[-1].at
    if age > gate.fresh_within:
        message = (
            f"the newest sample is {_seconds(age)} old, and may be {_seconds(gate.fresh_within)}: "
            "see whether Prometheus still scrapes the cell"
        )
        return Judgement(Verdict.NO_DATA, message)
    values = {number: s.value for s in samples if (number := window.number(s.at)) <= window.count}
    bad = frozenset(number for number, value in values.items() if not _within(gate, value))
    green = frozenset(values) - bad - {window.count}
    if lasting := [number for number in bad if number + 1 in bad]:
        first = max(lasting) + 1
        at = window.until - first * window.step
        message = f"is {values[first]:.4g} at {at:%H:%M:%S} and after, {_bounds(gate)}"
        return Judgement(Verdict.FAIL, message)
    if min(values, default=window.count) == window.count:
        return Judgement(Verdict.NO_DATA, "no sample yet since the last look")
    if min(values) in bad:
        message = f"is {values[min(values)]:.4g} at last, {_bounds(gate)}: one more fails"
        return Judgement(Verdict.INCONCLUSIVE, message, green)
    return Judgement(Verdict.PASS, "", green)


async def _look(
    connection: Connection, gate: Gate, cell: str, watched: WatchedCells, window: Window
) -> Judgement:
    """Ask for the window, and as far back before it as the fewest samples need: one step at least,
    but not to before the change."""
    wanted = max(window.count + 1, gate.minimum_samples)
    reach = max(watched.changed_at, window.until - (wanted - 1) * window.step)
    back = max((window.until - reach) // window.step, window.count - 1)
    query = gate.query.replace("$cell", quoted(cell))
    first = window.until - back * window.step
    try:
        samples = await connection.range(query, first, window.until, window.step)
    except NoEvidence as why:
        return Judgement(Verdict.NO_DATA, str(why))
    return judge(gate, samples, window)


def _readings(
    gate: Gate, cells: Sequence[str], judged: Sequence[Judgement], window: Window
) -> tuple[Reading, ...]:
    bad = [
        Reading(
            gate.name, cell, judgement.verdict, window.length(judgement.green), judgement.message
        )
        for cell, judgement in zip(cells, judged, strict=True)
        if judgement.verdict is not Verdict.PASS
    ]
    passed = [judgement.green for judgement in judged if judgement.verdict is Verdict.PASS]
    if not passed:
        return tuple(bad)
    seen_of_all = frozenset.intersection(*passed)
    message = f"{len(passed)} of {len(cells)} cells are within bounds"
    return (
        Reading(gate.name, "", Verdict.PASS, window.length(seen_of_all), message),
        *bad,
    )


def _within(gate: Gate, value: float) -> bool:
    return (gate.below is None or value < gate.below) and (gate.above is None or value > gate.above)


def _bounds(gate: Gate) -> str:
    bounds = []
    if gate.above is not None:
        bounds.append(f"above {gate.above:g}")
    if gate.below is not None:
        bounds.append(f"below {gate.below:g}")
    return f"and has to be {' and '.join(bounds)}"


def _seconds(length: timedelta) -> str:
    return f"{length.total_seconds():.0f} s"
