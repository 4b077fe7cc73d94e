"""Whether a series of numbers has moved up, or moves up, though its points are not independent."""

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_FEWEST_PLACEBOS = 6
_LEAST_SPREAD = 0.001
"""A past that did not vary at all could vary by as much."""
_TREND_BLOCKS = 12
_SOKAL_WINDOW = 5


def shift_probability(past: Array, present: Array, margin: float, caution: float = 1.0) -> float:
    """Return how likely the present lies so high above the past, if it moved by `margin` at most.

    Two tests, each allowed half. Mann and Whitney's, over all points, its statistic shrunk by how
    long the points remember each other: it sees what is small but lasts. The other holds the shift
    against those between the past and windows of it that are as long, which is what the series does
    by itself: it sees at once what is large. `caution` multiplies variances.
    """
    ranks = _rank_probability(past, present - margin, caution)
    placebos = _placebo_probability(past, present - margin, caution)
    return min(1.0, 2 * min(ranks, placebos))


def trend_probability(
    present: Array, margin: float, points_per_day: float, caution: float = 1.0
) -> tuple[float, float]:
    """Return by how much the later half grows a day, and how likely that is if it does not grow.

    What has just started warms up, so the first half is left out. Growth that may be less than
    `margin` a day does not count: its probability is 1. Mann and Kendall's test and Theil and Sen's
    slope, over the medians of twelve blocks.
    """
    from scipy import stats

    late = present[present.size // 2 :]
    blocks = np.array([np.median(block) for block in np.array_split(late, _TREND_BLOCKS)])
    per_day = points_per_day * _TREND_BLOCKS / late.size
    slope = stats.theilslopes(blocks, alpha=0.9)
    growth = float(slope.slope) * per_day
    if float(slope.low_slope) * per_day <= margin:
        return growth, 1.0
    order = stats.kendalltau(np.arange(_TREND_BLOCKS), blocks, alternative="greater")
    times = np.arange(late.size)
    wander = late - growth / points_per_day * times
    remembered = max(1.0, memory(wander) * _TREND_BLOCKS / late.size)
    return growth, _shrunk(float(stats.norm.isf(order.pvalue)), remembered * caution)


def memory(series: Array) -> float:
    """Return how many points in a row say as much as one: the integrated autocorrelation time, of
    the ranks, summed up to five times itself (Sokal)."""
    from scipy import stats

    ranks = stats.rankdata(series)
    centred = ranks - ranks.mean()
    variance = float(centred @ centred)
    if variance == 0:
        return 1.0
    spectrum = np.fft.rfft(centred, 2 * centred.size)
    correlation = np.fft.irfft(spectrum * spectrum.conj())[: centred.size] / variance
    sums = 2 * np.cumsum(correlation) - 1
    enough = np.arange(sums.size) >= _SOKAL_WINDOW * sums
    return max(1.0, float(sums[np.argmax(enough)] if enough.any() else sums.max()))


def _rank_probability(past: Array, present: Array, caution: float) -> float:
    from scipy import stats

    n, m = present.size, past.size
    above = float(stats.mannwhitneyu(present, past).statistic)
    # Without the correction for ties, which only makes it more sensitive.
    deviation = math.sqrt(n * m * (n + m + 1) / 12)
    of_past = memory(past)
    # Few points cannot tell how long they remember; the many of the past can.
    of_present = min(max(memory(present), of_past), n)
    remembered = (of_present / n + of_past / m) / (1 / n + 1 / m)
    return _shrunk((above - n * m / 2) / deviation, remembered * caution)


def _placebo_probability(past: Array, present: Array, caution: float) -> float:
    from scipy import stats

    count = past.size // present.size
    if count < _FEWEST_PLACEBOS:
        return 1.0
    windows = past[past.size - count * present.size :].reshape(count, present.size)
    spread = max(float(np.std(np.median(windows, axis=1), ddof=1)), _LEAST_SPREAD)
    shift = float(np.median(present) - np.median(past))
    deviations = shift / (spread * math.sqrt((1 + 1 / count) * caution))
    return float(stats.t.sf(deviations, count - 1))


def _shrunk(deviations: float, variance: float) -> float:
    from scipy import stats

    return float(stats.norm.sf(deviations / math.sqrt(variance)))
