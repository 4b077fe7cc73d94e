"""Numbers of cells over time, each over the cell's own past, and what is usual at a time of day."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rollout.shifts import Array

MINIMUM_POINTS = 50
"""Before a change, and after it."""

_SLOTS = 48
"""Parts of a day that are compared with each other where no sibling takes the day's cycle out."""
_DAY_SECONDS = 86_400
_CYCLE_SECONDS = 1.5 * _DAY_SECONDS
"""A shorter past knows of no cycle."""


@dataclass(frozen=True)
class Part:
    """A metric in some cells over some time: cells by times, NaN where there is nothing."""

    at: Array
    """The times, in seconds since the epoch, evenly spaced."""
    watched: Array
    siblings: Array
    """There may be none."""


@dataclass(frozen=True)
class Series:
    """One number at a time, before the change and after it."""

    before_at: Array
    before: Array
    after_at: Array
    after: Array

    def present(self) -> tuple[Array, Array]:
        return self.before[~np.isnan(self.before)], self.after[~np.isnan(self.after)]


def over_own_past(before: Part, after: Part, floor: float) -> tuple[Part, Part]:
    """Return the logarithms of all values over the median of each cell's past; a cell that has too
    little of one has nothing at all. Smaller values are as good as `floor`."""

    def over_past(past: Array, present: Array) -> tuple[Array, Array]:
        past, present = _logarithms(past, floor), _logarithms(present, floor)
        unknown = (~np.isnan(past)).sum(axis=1) < MINIMUM_POINTS
        past[unknown], present[unknown] = np.nan, np.nan
        if past.shape[0] == 0:
            return past, present
        usual = median(past.T)[:, np.newaxis]
        return past - usual, present - usual

    watched = over_past(before.watched, after.watched)
    siblings = over_past(before.siblings, after.siblings)
    return Part(before.at, watched[0], siblings[0]), Part(after.at, watched[1], siblings[1])


def known_cells(values: Array) -> int:
    """Return of how many cells there is anything."""
    return int((~np.isnan(values)).any(axis=1).sum())


def _logarithms(values: Array, floor: float) -> Array:
    raised = np.maximum(values, floor)  # NaN stays.
    logarithms: Array = np.log(raised, out=np.full_like(raised, np.nan), where=raised > 0)
    return logarithms


def mean(values: Array) -> Array:
    """Return the mean of the cells at each time."""
    present = ~np.isnan(values)
    count = present.sum(axis=0)
    total = np.where(present, values, 0.0).sum(axis=0)
    means: Array = np.divide(total, count, out=np.full(values.shape[1], np.nan), where=count > 0)
    return means


def median(values: Array) -> Array:
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


def without_cycle(series: Series) -> Series:
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
