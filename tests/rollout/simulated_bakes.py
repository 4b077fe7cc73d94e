"""Rollouts over simulated metrics: what the comparison says at each look of each bake."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from rollout.comparison import Comparison, Finding, Look, compare, look_at
from rollout.gates import Verdict
from rollout.series import Part
from rollout.shifts import Array
from tests.rollout.simulated_metrics import METRICS, PAST, RINGS, Flaw, Metric, Ring, Weather

RESOLUTION = timedelta(seconds=15)
_MINUTE = timedelta(minutes=1)

Flaws = Mapping[str, Flaw]
"""By metric."""


@dataclass(frozen=True)
class Halt:
    """Where a rollout was halted by a comparison."""

    ring: int
    cells: int
    """How many had been changed."""
    after: timedelta
    """Since the rollout began, bakes alone."""
    metric: str
    verdict: Verdict


@dataclass
class Course:
    """What became of a rollout."""

    halt: Halt | None = None
    looks: int = 0
    undecided: int = 0
    """Looks that neither passed nor failed, for which the bake stood still."""
    confounded: int = 0


def roll_out(
    seed: int,
    flaws: Flaws | None = None,
    *,
    only_under_load: bool = False,
    in_one_cell: bool = False,
    rings: tuple[Ring, ...] = RINGS,
) -> Course:
    """Bake through the rings, up to the first comparison that fails.

    A flaw shows in all changed cells, or in a single one of each ring's last batch.
    """
    chance, course, spent, changed = np.random.default_rng(seed), Course(), timedelta(0), 0
    for ring in rings:
        harmful = {} if only_under_load and not ring.loaded else flaws or {}
        done, whole = 0, sum(ring.batches)
        for number, batch in enumerate(ring.batches):
            done += batch
            last = number == len(ring.batches) - 1
            length = ring.ring_bake if last else ring.batch_bake
            # When the ring has none left, those of the next one; at the very end there are none.
            siblings = whole - done or (0 if ring is rings[-1] else 6)
            struck = 1 if in_one_cell else done
            harm = harmful if last or not in_one_cell else {}
            found = bake(chance, ring, done, struck, siblings, length, harm, course)
            if found is not None:
                after, metric, verdict = found
                course.halt = Halt(ring.number, changed + done, spent + after, metric, verdict)
                return course
            spent += length
        changed += whole
    return course


def bake(
    chance: np.random.Generator,
    ring: Ring,
    watched: int,
    struck: int,
    siblings: int,
    length: timedelta,
    flaws: Flaws,
    course: Course,
) -> tuple[timedelta, str, Verdict] | None:
    """Return when which metric failed, if any does."""
    minutes = length // _MINUTE
    weather = Weather(chance, minutes, int(chance.integers(7 * 1440)))
    series = {
        metric: weather.series(
            metric, watched, siblings, ring.loaded, flaws.get(metric.name), struck
        )
        for metric in METRICS
    }
    for look in looks(length):
        findings = compare([_seen(metric, *series[metric], look) for metric in METRICS], look)
        course.looks += 1
        worst = _failed(findings)
        if worst is not None:
            return look.after, METRICS[worst].name, findings[worst].verdict
        course.undecided += any(f.verdict is Verdict.INCONCLUSIVE for f in findings)
        course.confounded += any(f.verdict is Verdict.CONFOUNDED for f in findings)
    return None


def looks(length: timedelta) -> list[Look]:
    """Return all that are taken in a bake."""
    found: list[Look] = []
    at = 50 * _MINUTE
    while at <= length:
        look = look_at(at, RESOLUTION)
        assert look is not None
        found += [look] if not found or found[-1] != look else []
        at = at * 1.01 + _MINUTE
    return found


def _failed(findings: list[Finding]) -> int | None:
    failed = [i for i, found in enumerate(findings) if found.verdict is Verdict.FAIL]
    return min(failed, key=lambda i: findings[i].p) if failed else None


def _seen(metric: Metric, watched: Array, siblings: Array, look: Look) -> Comparison:
    stride = -(-look.step // _MINUTE)
    end = PAST + look.after // _MINUTE
    before, after = slice(PAST % stride, PAST, stride), slice(PAST, end, stride)
    at = np.arange(0.0, 60.0 * watched.shape[1], 60.0)
    return Comparison(
        Part(at[before], watched[:, before], siblings[:, before]),
        Part(at[after], watched[:, after], siblings[:, after]),
        metric.tolerance,
        metric.floor,
        tuple(f"c{row}" for row in range(watched.shape[0])),
    )
