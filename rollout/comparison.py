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
from numpy.typing import NDArray

from rollout.gates import Verdict
from rollout.shifts import Array, shift_probability, trend_probability

MINIMUM_POINTS = 50
"""Before the change, and after it."""
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
_SLOTS = 48
"""Parts of a day that are compared with each other where no sibling takes the day's cycle out."""
_DAY_SECONDS = 86_400
_CYCLE_SECONDS = 1.5 * _DAY_SECONDS
"""A shorter past knows of no cycle."""
_ALONE_TOLERANCE = 0.25
"""What cells without siblings are allowed: nothing takes a busy week out."""
_ALONE_CAUTION = 2.0
"""A cycle is taken out that was estimated from the same few days: less varies than really does."""
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
class Part:
    """A metric in some cells over some time: cells by times, NaN where there is nothing."""

    at: Array
    """The times, in seconds since the epoch, evenly spaced."""
    watched: Array
    siblings: Array
    """There may be none."""


@dataclass(frozen=True)
class Comparison:
    """A metric of which more is worse, before the change and after it."""

    before: Part
    after: Part
    tolerance: float
    """How much worse is all right, as a share."""
    floor: float = 0.0
    """Smaller values are as good as this one."""


@dataclass(frozen=True)
class Finding:
    verdict: Verdict
    message: str
    effect: float = 0.0
    """How much worse changed cells are, as a share: 0.1 for a tenth."""
    p: float = 1.0
    """How likely at least as much is seen of a release that changes nothing."""


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
    """Return what is found for each gate, all of them being taken into account."""
    examined = [_examined(comparison, look) for comparison in comparisons]
    findings = [each if isinstance(each, Finding) else each.found for each in examined]
    significant = significant_among([f.p for f in findings], FALSE_ALARMS * spent_at(look.number))
    return [
        each if isinstance(each, Finding) else _concluded(each, rejects)
        for each, rejects in zip(examined, significant, strict=True)
    ]


@dataclass(frozen=True)
class _Series:
    """One number at a time, before the change and after it."""

    before_at: Array
    before: Array
    after_at: Array
    after: Array

    def present(self) -> tuple[Array, Array]:
        return self.before[~np.isnan(self.before)], self.after[~np.isnan(self.after)]


@dataclass(frozen=True)
class _Examined:
    found: Finding
    """Not judged yet."""
    shift: float
    margin: float
    siblings: "_Series"


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


def _examined(comparison: Comparison, look: Look) -> _Examined | Finding:
    before, after = _own_past(comparison)
    alone = before.siblings.shape[0] == 0
    if before.watched.shape[0] == 0:
        return Finding(Verdict.NO_DATA, "no changed cell has a past to compare with")
    watched = _Series(before.at, _mean(before.watched), after.at, _mean(after.watched))
    siblings = _Series(before.at, _median(before.siblings), after.at, _median(after.siblings))
    if alone:
        difference, against = _without_cycle(watched), "its own past, without siblings"
    else:
        difference = replace(
            watched, before=watched.before - siblings.before, after=watched.after - siblings.after
        )
        against = f"{before.siblings.shape[0]} siblings"
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
    tests = [shift_probability(past, present, margin, caution)]
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
    found = Finding(Verdict.PASS, message, math.expm1(shift), p)
    return _Examined(found, shift, margin, siblings)


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
    past, present = _without_cycle(examined.siblings).present()
    if min(past.size, present.size) < MINIMUM_POINTS:
        return 0.0
    shift = float(np.median(present) - np.median(past))
    if shift <= examined.margin:
        return 0.0
    p = shift_probability(past, present, examined.margin, _ALONE_CAUTION)
    return shift if p < _SIBLINGS_WORSE else 0.0


def _own_past(comparison: Comparison) -> tuple[Part, Part]:
    """Return the logarithms of all values over the median of each cell's past, without the cells
    that have too little of one."""

    def over_past(before: Array, after: Array) -> tuple[Array, Array]:
        before, after = _logarithms(before, comparison.floor), _logarithms(after, comparison.floor)
        known = (~np.isnan(before)).sum(axis=1) >= MINIMUM_POINTS
        before, after = before[known], after[known]
        if before.shape[0] == 0:
            return before, after
        usual = _median(before.T)[:, np.newaxis]
        return before - usual, after - usual

    past, present = comparison.before, comparison.after
    watched = over_past(past.watched, present.watched)
    siblings = over_past(past.siblings, present.siblings)
    return Part(past.at, watched[0], siblings[0]), Part(present.at, watched[1], siblings[1])


def _logarithms(values: Array, floor: float) -> Array:
    raised = np.maximum(values, floor)  # NaN stays.
    logarithms: Array = np.log(raised, out=np.full_like(raised, np.nan), where=raised > 0)
    return logarithms


def _mean(values: Array) -> Array:
    """Return the mean of the cells at each time."""
    present = ~np.isnan(values)
    count = present.sum(axis=0)
    total = np.where(present, values, 0.0).sum(axis=0)
    means: Array = np.divide(total, count, out=np.full(values.shape[1], np.nan), where=count > 0)
    return means


def _median(values: Array) -> Array:
    """Return the median of the cells at each time: one sibling in trouble is no matter."""
    ordered = np.sort(values, axis=0)  # NaN comes last.
    count = (~np.isnan(values)).sum(axis=0)
    middle = np.stack([np.maximum(count - 1, 0) // 2, count // 2])
    if values.shape[0] == 0:
        return np.full(values.shape[1], np.nan)
    medians: Array = np.take_along_axis(ordered, np.minimum(middle, len(values) - 1), 0).mean(
        axis=0
    )
    return np.where(count > 0, medians, np.nan)


def _without_cycle(series: _Series) -> _Series:
    """Return it without what the past days have in common at the same time of day."""
    at = series.before_at
    if at.size == 0 or at[-1] - at[0] < _CYCLE_SECONDS:
        return series
    before, after = _slots(at), _slots(series.after_at)
    usual = np.full(_SLOTS, np.nan)
    for slot in range(_SLOTS):
        known = series.before[(before == slot) & ~np.isnan(series.before)]
        if known.size:
            usual[slot] = np.median(known)
    return replace(series, before=series.before - usual[before], after=series.after - usual[after])


def _slots(at: Array) -> NDArray[np.intp]:
    return (at % _DAY_SECONDS / _DAY_SECONDS * _SLOTS).astype(np.intp)
