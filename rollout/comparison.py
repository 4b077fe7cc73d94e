"""The sibling comparison: changed cells against unchanged ones, each against its own past.

What is compared is a difference of differences: how far changed cells lie above their siblings now,
against how far they lay above them before the change. A daily cycle, a busy morning or a network in
trouble is in both and cancels out. Everything is in logarithms, so effects are shares.

Every look at the data is a chance to be wrong, and so is every gate. Looks are therefore taken at
fixed times after the change (`look_at`), whenever and however often somebody asks, and each spends
a part of `FALSE_ALARMS` that is fixed beforehand; the parts add up. Over the gates, Holm's rule
holds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from rollout.gates import Verdict
from rollout.series import (
    MINIMUM_POINTS,
    Part,
    Series,
    known_cells,
    mean,
    median,
    over_own_past,
    without_cycle,
)
from rollout.shifts import Array, shift_probability, trend_probability

PAST = timedelta(days=3)
"""How far back a cell's own past is compared with."""
FALSE_ALARMS = 0.001
"""How likely one bake of a release that changes nothing fails, by all gates and looks together. A
rollout has a dozen bakes."""
TREND_AFTER = timedelta(days=1)
GROWTH_A_DAY = 0.1
"""More is never tolerated, however much worse cells may be: a release may need half as much memory
again, and not half as much again every day."""

_LOOK_RATIO = 1.25
_MOST_POINTS_AFTER = 1000
_ALONE_TOLERANCE = 0.25
"""What cells without siblings are allowed: nothing takes a busy week out."""
_ALONE_CAUTION = 2.0
"""A cycle is taken out that was estimated from the same few days: less varies than really does."""
_SPENT_ON_SINGLE_CELLS = 0.2
_SINGLE_CELLS_AFTER = timedelta(hours=2)
_SIBLINGS_OF_ONE = 3
"""Fewer say too little of what a single cell may be like."""
_PARTS = 4
"""A single cell that is worse has to be so in each part of the time since the change."""
_CONFOUNDED_FROM = math.log(1.5)
"""How much worse siblings are when a trouble is everybody's, though nobody has it worse."""
_SIBLINGS_WORSE = 0.01
_SMALLEST_TOLD = 1e-9
_UNCLEAR = 0.1
"""What is likelier to be chance than this is taken for chance, until the next look."""


@dataclass(frozen=True)
class Look:
    """One of the fixed times at which a comparison is made."""

    number: int
    after: timedelta
    """Since the change."""
    step: timedelta
    """Between points."""


@dataclass(frozen=True)
class Comparison:
    """A metric of which more is worse, before the change and after it."""

    before: Part
    after: Part
    tolerance: float
    """How much worse is all right, as a share."""
    floor: float = 0.0
    """Smaller values are as good as this one."""
    names: tuple[str, ...] = ()
    """Of the watched cells, row by row: with them, each is compared by itself, too."""


@dataclass(frozen=True)
class Finding:
    verdict: Verdict
    message: str
    effect: float = 0.0
    """How much worse changed cells are, as a share: 0.1 for a tenth."""
    p: float = 1.0
    """How likely at least as much is seen of a release that changes nothing."""
    cell: str = ""
    """The one that it is about; empty for all that are watched."""


def look_at(elapsed: timedelta, resolution: timedelta) -> Look | None:
    """Return the latest look that is due so long after a change; None before the first."""
    finest = max(resolution, timedelta(minutes=1))
    first = finest * MINIMUM_POINTS
    if elapsed < first:
        return None
    number = 0
    while first * _LOOK_RATIO ** (number + 1) <= elapsed:
        number += 1
    after = first * _LOOK_RATIO**number
    coarsest = timedelta(seconds=math.ceil(after.total_seconds() / _MOST_POINTS_AFTER))
    return Look(number, after, max(finest, coarsest))


def compare(comparisons: Sequence[Comparison], look: Look) -> list[Finding]:
    """Return what is found for each gate, all of them being taken into account.

    The mean of many cells hides one that is bad. Each is therefore compared by itself, too, at the
    price of a part of all false alarms; what is found of one counts only where it is a failure.
    """
    alone = [_each_alone(comparison, look) for comparison in comparisons]
    shared = 1.0 - _SPENT_ON_SINGLE_CELLS if any(alone) else 1.0
    allowed = FALSE_ALARMS * spent_at(look.number)
    examined = [_examined(comparison, look) for comparison in comparisons]
    findings = [each if isinstance(each, Finding) else each.found for each in examined]
    significant = significant_among([f.p for f in findings], allowed * shared)
    concluded = [
        each if isinstance(each, Finding) else _concluded(each, rejects)
        for each, rejects in zip(examined, significant, strict=True)
    ]
    bad = _bad_by_themselves(alone, allowed * _SPENT_ON_SINGLE_CELLS)
    return [
        worst if worst is not None and found.verdict is not Verdict.FAIL else found
        for found, worst in zip(concluded, bad, strict=True)
    ]


@dataclass(frozen=True)
class _Examined:
    found: Finding
    """Not judged yet."""
    shift: float
    margin: float
    siblings: Series


def spent_at(number: int) -> float:
    """Return the part of all false alarms that a look may spend; all of them add up to one."""
    return 6 / (math.pi * (number + 1)) ** 2


def significant_among(probabilities: Sequence[float], allowed: float) -> list[bool]:
    """Return which are too unlikely (Holm): the smallest by its share of all, the next by more."""
    significant = [False] * len(probabilities)
    ascending = sorted(range(len(probabilities)), key=lambda i: probabilities[i])
    for rank, i in enumerate(ascending):
        if probabilities[i] >= allowed / (len(probabilities) - rank):
            break
        significant[i] = True
    return significant


def _each_alone(comparison: Comparison, look: Look) -> list[_Examined]:
    """Return each watched cell next to the siblings, where there are enough of both."""
    before, after = over_own_past(comparison.before, comparison.after, comparison.floor)
    number = known_cells(before.siblings)
    many = len(comparison.names) > 1 and number >= _SIBLINGS_OF_ONE
    if not many or look.after < _SINGLE_CELLS_AFTER:
        return []
    siblings = _siblings(before, after)
    found = []
    for row, name in enumerate(comparison.names):
        cell = Series(before.at, before.watched[row], after.at, after.watched[row])
        examined = _tested(cell, siblings, number, comparison, look, name)
        if isinstance(examined, _Examined):
            found.append(examined)
    return found


def _bad_by_themselves(
    alone: Sequence[Sequence[_Examined]], allowed: float
) -> list[Finding | None]:
    """Return for each gate the worst of the cells that fail by themselves, if any does."""
    every = [each for of_gate in alone for each in of_gate]
    significant = iter(significant_among([each.found.p for each in every], allowed))
    worst: list[Finding | None] = []
    for of_gate in alone:
        failed = [
            finding
            for each in of_gate
            if next(significant) and (finding := _concluded(each, True)).verdict is Verdict.FAIL
        ]
        worst.append(min(failed, key=lambda finding: finding.p, default=None))
    return worst


def _examined(comparison: Comparison, look: Look) -> _Examined | Finding:
    before, after = over_own_past(comparison.before, comparison.after, comparison.floor)
    if not known_cells(before.watched):
        return Finding(Verdict.NO_DATA, "no changed cell has a past to compare with")
    watched = Series(before.at, mean(before.watched), after.at, mean(after.watched))
    number = known_cells(before.siblings)
    return _tested(watched, _siblings(before, after), number, comparison, look)


def _siblings(before: Part, after: Part) -> Series:
    return Series(before.at, median(before.siblings), after.at, median(after.siblings))


def _tested(
    watched: Series,
    siblings: Series,
    number: int,
    comparison: Comparison,
    look: Look,
    cell: str = "",
) -> _Examined | Finding:
    """Return how likely what is seen of changed cells is mere chance, next to so many siblings."""
    alone = number == 0
    if alone:
        difference, against = without_cycle(watched), "its own past, without siblings"
    else:
        difference = replace(
            watched, before=watched.before - siblings.before, after=watched.after - siblings.after
        )
        against = f"{number} siblings"
    past, present = difference.present()
    if min(past.size, present.size) < MINIMUM_POINTS:
        message = (
            f"{present.size} points after the change and {past.size} before it: it takes "
            f"{MINIMUM_POINTS} each"
        )
        return Finding(Verdict.INCONCLUSIVE, message)
    caution = _ALONE_CAUTION if alone else 1.0
    tolerance = max(comparison.tolerance, _ALONE_TOLERANCE) if alone else comparison.tolerance
    margin = math.log1p(tolerance)
    shift = float(np.median(present) - np.median(past))
    # One cell among many has a bad hour every now and then: what the release does to it lasts.
    passing = bool(cell) and _least_shift(past, present) <= margin
    tests = [1.0 if passing else shift_probability(past, present, margin, caution)]
    message = f"{math.expm1(shift):+.1%} against {against}, where {tolerance:.0%} is tolerated"
    if look.after >= TREND_AFTER:
        growing, p = trend_probability(
            present,
            min(margin, math.log1p(GROWTH_A_DAY)),
            timedelta(days=1) / look.step,
            caution,
        )
        tests.append(p)
        message += f", growing {math.expm1(growing):+.1%} a day"
    p = min(1.0, min(tests) * len(tests))
    found = Finding(Verdict.PASS, message, math.expm1(shift), p, cell)
    return _Examined(found, shift, margin, siblings)


def _least_shift(past: Array, present: Array) -> float:
    """Return how much worse the best part of the present is than the past."""
    parts = np.array_split(present, _PARTS)
    return min(float(np.median(part)) for part in parts) - float(np.median(past))


def _concluded(examined: _Examined, significant: bool) -> Finding:
    found = examined.found
    if siblings := _siblings_shift(examined):
        everybodys = siblings >= examined.shift if significant else siblings > _CONFOUNDED_FROM
        if everybodys:
            message = f"{found.message}; unchanged siblings have {math.expm1(siblings):+.1%}"
            return replace(found, verdict=Verdict.CONFOUNDED, message=message)
    if significant:
        message = f"{found.message} (p {max(found.p, _SMALLEST_TOLD):.1g})"
        return replace(found, verdict=Verdict.FAIL, message=message)
    if found.p < _UNCLEAR:
        message = f"{found.message}, which may be chance (p {found.p:.1g})"
        return replace(found, verdict=Verdict.INCONCLUSIVE, message=message)
    return found


def _siblings_shift(examined: _Examined) -> float:
    """Return how much worse siblings are than in their own past; 0 if that may be chance."""
    past, present = without_cycle(examined.siblings).present()
    if min(past.size, present.size) < MINIMUM_POINTS:
        return 0.0
    shift = float(np.median(present) - np.median(past))
    if shift <= examined.margin:
        return 0.0
    p = shift_probability(past, present, examined.margin, _ALONE_CAUTION)
    return shift if p < _SIBLINGS_WORSE else 0.0
