"""Metrics as cells have them, made up: cycles, noise that remembers, tails, gaps; and their flaws.

One point a minute. Nothing here knows how the comparison works.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from scipy import signal

from rollout.shifts import Array

DAY = 1440
"""Minutes."""
PAST = 3 * DAY

MISSING = 0.005
"""The share of scrapes that are lost."""
REQUESTS = 3000
"""In five minutes, of which few are errors."""

Flaw = Callable[[Array], Array]
"""Minutes since the change to how much worse a metric is then, as a share; shares of errors are
added."""


@dataclass(frozen=True)
class Metric:
    """How one metric behaves by itself. Widths are in logarithms, memories in minutes."""

    name: str
    usual: float
    cycle: float
    """Half the height of a day's cycle where there are tenants."""
    noise: float
    noise_memory: float
    wander: float
    wander_memory: float
    shared: float
    """Of what all cells have alike."""
    spikes_a_day: float
    warms_up: float = 0.0
    """How much less it is right after a restart."""
    counted: bool = False
    """It is a share of `REQUESTS`."""
    floor: float = 0.0
    tolerance: float = 0.05


LATENCY = Metric("API latency", 0.02, 0.25, 0.12, 6, 0.03, 360, 0.05, 2)
STORE_LATENCY = Metric("store latency", 0.004, 0.15, 0.10, 6, 0.03, 480, 0.08, 2)
MEMORY = Metric("memory", 2e9, 0.05, 0.03, 15, 0.03, 720, 0.02, 0.2, warms_up=0.3, tolerance=0.5)
ERRORS = Metric(
    "API errors", 5e-5, 0.1, 0.4, 8, 0.2, 300, 0.2, 1, counted=True, floor=5e-4, tolerance=0.5
)
METRICS = (LATENCY, STORE_LATENCY, MEMORY, ERRORS)


@dataclass(frozen=True)
class Ring:
    """Cells of a ring, in the batches in which they are changed."""

    number: int
    batches: tuple[int, ...]
    batch_bake: timedelta
    ring_bake: timedelta
    loaded: bool
    """Whether tenants are in it."""


HOUR = timedelta(hours=1)
RINGS = (
    Ring(0, (1, 2), HOUR, 168 * HOUR, loaded=False),
    Ring(1, (1, 2, 4, 5), 4 * HOUR, 72 * HOUR, loaded=True),
    Ring(2, (1, 4, 10, 10), 12 * HOUR, 48 * HOUR, loaded=True),
    Ring(3, (1, 2, 3), 24 * HOUR, 48 * HOUR, loaded=True),
)


@dataclass
class Weather:
    """Makes the series of one bake: all of its cells, over the same minutes."""

    chance: np.random.Generator
    minutes: int
    """After the change."""
    starts_at: int
    """The minute of the week of the change."""

    def series(
        self,
        metric: Metric,
        watched: int,
        siblings: int,
        loaded: bool,
        flaw: Flaw | None,
        struck: int | None = None,
    ) -> tuple[Array, Array]:
        """Return watched cells, and their siblings, by minutes; the first `PAST` before the change.

        Watched cells restart at the change, and so many of them (all, unless said) have the flaw
        from then on.
        """
        struck = watched if struck is None else struck
        length, cells = PAST + self.minutes, watched + siblings
        minute = self.starts_at - PAST + np.arange(length)
        depth = metric.cycle * (1.0 if loaded else 0.1)
        weekend = np.where(minute // DAY % 7 >= 5, -0.5 * depth, 0.0)
        series = (
            math.log(metric.usual)
            + self.chance.normal(0, 0.3, (cells, 1))
            + depth
            * self.chance.uniform(0.6, 1.4, (cells, 1))
            * np.sin(2 * math.pi * minute / DAY + self.chance.normal(0, 0.15, (cells, 1)))
            + weekend
            + self._wandering(1, length, metric.shared, 180)
            + self._wandering(cells, length, metric.noise, metric.noise_memory)
            + self._wandering(cells, length, metric.wander, metric.wander_memory)
            + self._spikes(cells, length, metric.spikes_a_day)
        )
        after = np.arange(1.0, self.minutes + 1)
        worse = flaw(after) if flaw else np.zeros_like(after)
        series[:watched, PAST:] += np.log1p(-metric.warms_up * np.exp(-after / 180))
        if metric.counted:
            values = np.exp(series)
            values[:struck, PAST:] += worse
            values = self.chance.poisson(np.minimum(values, 1) * REQUESTS) / REQUESTS
        else:
            series[:struck, PAST:] += np.log1p(worse)
            values = np.exp(series)
        values[self.chance.random(values.shape) < MISSING] = np.nan
        return values[:watched], values[watched:]

    def _wandering(self, rows: int, length: int, width: float, memory: float) -> Array:
        """Return noise with heavy tails that forgets with this time constant."""
        keeps = math.exp(-1 / memory)
        warm_up = int(5 * memory)
        shocks = self.chance.standard_t(5, (rows, length + warm_up)) / math.sqrt(5 / 3)
        noise = signal.lfilter([math.sqrt(1 - keeps**2)], [1, -keeps], shocks, axis=1)
        return np.asarray(width * noise[:, warm_up:], dtype=np.float64)

    def _spikes(self, cells: int, length: int, a_day: float) -> Array:
        spikes = np.zeros((cells, length))
        for row in spikes:
            for _ in range(self.chance.poisson(a_day * length / DAY)):
                start = int(self.chance.integers(length))
                row[start : start + int(self.chance.integers(3, 20))] += self.chance.uniform(
                    0.3, 1.5
                )
        return spikes
