"""The gates that compare changed cells with their siblings: the numbers, out of Prometheus."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from rollout.comparison import PAST, Comparison, Finding, Look, compare, look_at
from rollout.evidence.ports import NoEvidence
from rollout.evidence.prometheus import Connection, Prometheus, Sample, quoted
from rollout.gates import Gate, Reading, Verdict
from rollout.ports import WatchedCells
from rollout.series import Part
from rollout.shifts import Array

MOST_COMPARED = 30
"""Cells on either side: more make a mean no surer, and cost Prometheus as much each."""

_ZERO = timedelta(0)
_COVERING = (Verdict.PASS, Verdict.INCONCLUSIVE)
"""Each look is at everything since the change, so that a pass settles what was inconclusive."""
_TOLERATED_SECONDS = 0.01
"""Prometheus keeps time in milliseconds."""


@dataclass(frozen=True)
class ComparisonGate:
    """Compares all watched cells with all siblings: `rollout.evidence.ports.GateAsker`.

    The answer is one for all cells, or for the one that is worst by itself, and the same until the
    next look is due.
    """

    prometheus: Prometheus

    async def ask(self, gates: Sequence[Gate], watched: WatchedCells) -> tuple[Reading, ...]:
        window, settled = watched.until - watched.since, watched.settled_at or watched.changed_at
        look = look_at(watched.until - settled, self.prometheus.resolution)
        if look is None:
            message = "too little time has passed since the change to compare"
            return tuple(Reading(g.name, "", Verdict.INCONCLUSIVE, window, message) for g in gates)
        async with self.prometheus.connected() as connection:
            asking = _Asking(connection, watched, look, settled)
            asked = await asyncio.gather(*map(asking.comparison, gates))
        comparisons = [each for each in asked if isinstance(each, Comparison)]
        found = iter(await asyncio.to_thread(compare, comparisons, look))
        findings = [next(found) if isinstance(each, Comparison) else each for each in asked]
        return tuple(
            Reading(
                gate.name,
                finding.cell,
                finding.verdict,
                window if finding.verdict in _COVERING else _ZERO,
                finding.message,
            )
            for gate, finding in zip(gates, findings, strict=True)
        )


@dataclass(frozen=True)
class _Asking:
    connection: Connection
    watched: WatchedCells
    look: Look
    settled: datetime

    async def comparison(self, gate: Gate) -> Comparison | Finding:
        """Return what there is to compare, or why there is nothing."""
        step = self.look.step
        before = _grid(self.watched.changed_at - PAST // step * step - step, PAST // step, step)
        after = _grid(self.settled, self.look.after // step, step)
        watched, siblings = await asyncio.gather(
            self._histories(gate, self.watched.cells, before, after),
            self._histories(gate, self.watched.siblings, before, after),
        )
        for histories in (watched, siblings):
            if histories and not any(history.after for history in histories):
                return Finding(Verdict.NO_DATA, histories[0].lack)
        newest = max(history.after[-1].at for history in watched if history.after)
        if (age := self.watched.until - newest) > gate.fresh_within + step:
            message = f"the newest sample is {age.total_seconds():.0f} s old"
            return Finding(Verdict.NO_DATA, message)
        return Comparison(
            Part(
                before,
                _rows([history.before for history in watched], before),
                _rows([history.before for history in siblings], before),
            ),
            Part(
                after,
                _rows([history.after for history in watched], after),
                _rows([history.after for history in siblings], after),
            ),
            gate.tolerance,
            gate.floor,
            _some(self.watched.cells),
        )

    async def _histories(
        self, gate: Gate, cells: Sequence[str], before: Array, after: Array
    ) -> list["_History"]:
        some = _some(cells)
        return await asyncio.gather(*(self._history(gate, cell, before, after) for cell in some))

    async def _history(self, gate: Gate, cell: str, before: Array, after: Array) -> "_History":
        query, lack = gate.query.replace("$cell", quoted(cell)), ""
        past: Sequence[Sample] = ()
        present: Sequence[Sample] = ()
        try:
            # To the end of the window, where the look may not reach: it has to be fresh.
            present = await self._range(query, after[0], self.watched.until.timestamp())
        except NoEvidence as why:
            lack = str(why)
        # A cell without a past is new; the comparison leaves it out.
        with contextlib.suppress(NoEvidence):
            past = await self._range(query, before[0], before[-1])
        return _History(past, present, lack)

    async def _range(self, query: str, first: float, last: float) -> list[Sample]:
        start, end = datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC)
        return await self.connection.range(query, start, end, self.look.step)


@dataclass(frozen=True)
class _History:
    """What there is of one cell."""

    before: Sequence[Sample]
    after: Sequence[Sample]
    lack: str
    """Why there is nothing after the change; empty if there is something."""


def _some(cells: Sequence[str]) -> tuple[str, ...]:
    return tuple(cells[:: max(1, -(-len(cells) // MOST_COMPARED))])


def _grid(start: datetime, count: int, step: timedelta) -> Array:
    """Return the times that follow `start`, in seconds since the epoch."""
    grid: Array = start.timestamp() + step.total_seconds() * np.arange(1.0, count + 1)
    return grid


def _rows(histories: Sequence[Sequence[Sample]], at: Array) -> Array:
    """Return cells by times."""
    rows = np.full((len(histories), at.size), np.nan)
    for row, samples in zip(rows, histories, strict=True):
        times = np.array([sample.at.timestamp() for sample in samples])
        values = np.array([sample.value for sample in samples])
        places = np.searchsorted(at, times - _TOLERATED_SECONDS)
        # What is fresher than the look reaches lies behind the grid.
        within = places < at.size
        row[places[within]] = values[within]
    return rows
