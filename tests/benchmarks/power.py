"""How often the sibling comparison halts for nothing, and how soon it finds what is wrong.

    python -m tests.benchmarks.power [runs]

Rollouts over made-up metrics (`tests/rollout/simulated_metrics.py`), through four rings, each bake
as long as by default. First releases that change nothing, then regressions of several sizes.
"""

import statistics
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from rollout.shifts import Array
from tests.rollout.simulated_bakes import Course, roll_out
from tests.rollout.simulated_metrics import Flaw

HARMLESS_RUNS = 100
_HOUR_MINUTES = 60


@dataclass(frozen=True)
class Regression:
    """A flaw of a release."""

    name: str
    flaws: Mapping[str, Flaw]
    only_under_load: bool = False
    in_one_cell: bool = False
    """Of each ring's last batch."""


def constantly(share: float) -> Flaw:
    """Return a flaw that is as bad from the first minute on."""
    return lambda after: np.full_like(after, share)


def leaking(an_hour: float) -> Flaw:
    """Return a flaw that grows by this share every hour."""

    def grown(after: Array) -> Array:
        return after / _HOUR_MINUTES * an_hour

    return grown


REGRESSIONS = (
    Regression("memory +1 % an hour", {"memory": leaking(0.01)}),
    Regression("memory +0.3 % an hour", {"memory": leaking(0.003)}),
    Regression("latency +10 %", {"API latency": constantly(0.1)}),
    Regression("latency +30 %", {"API latency": constantly(0.3)}),
    Regression("latency +100 %", {"API latency": constantly(1.0)}),
    Regression("errors 0.1 %", {"API errors": constantly(0.001)}),
    Regression("errors 0.5 %", {"API errors": constantly(0.005)}),
    Regression("errors 5 %", {"API errors": constantly(0.05)}),
    Regression("latency +30 %, under load", {"API latency": constantly(0.3)}, True),
    Regression("errors 0.5 %, under load", {"API errors": constantly(0.005)}, True),
    Regression("memory +1 % an hour, under load", {"memory": leaking(0.01)}, True),
    Regression("latency +100 % in one cell", {"API latency": constantly(1.0)}, True, True),
    Regression("errors 5 % in one cell", {"API errors": constantly(0.05)}, True, True),
)


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else HARMLESS_RUNS
    courses = [roll_out(seed) for seed in range(runs)]
    halts = [course.halt for course in courses if course.halt]
    looks = sum(course.looks for course in courses)
    undecided = sum(course.undecided for course in courses)
    confounded = sum(course.confounded for course in courses)
    print(f"Nothing changed: {len(halts)} of {runs} rollouts halted, after {looks} looks, of which")
    print(f"{undecided / looks:.1%} were undecided and {confounded / looks:.1%} confounded.")
    for halt in halts:
        print(f"  halted in ring {halt.ring} by {halt.metric} after {_length(halt.after)}")
    print()
    print("| regression | found | after, median | slowest tenth | ring | cells changed | by |")
    print("|---|---|---|---|---|---|---|")
    for regression in REGRESSIONS:
        found = max(10, runs // 4)
        print(_row(regression, [_course(regression, seed) for seed in range(found)]), flush=True)


def _course(regression: Regression, seed: int) -> Course:
    chance_of_its_own = 10_000 + seed
    return roll_out(
        chance_of_its_own,
        regression.flaws,
        only_under_load=regression.only_under_load,
        in_one_cell=regression.in_one_cell,
    )


def _row(regression: Regression, courses: list[Course]) -> str:
    halts = [course.halt for course in courses if course.halt]
    if not halts:
        return f"| {regression.name} | 0 of {len(courses)} | | | | | |"
    times = sorted(halt.after for halt in halts)
    rings = Counter(halt.ring for halt in halts)
    metrics = Counter(halt.metric for halt in halts)
    cells = [halt.cells for halt in halts]
    return (
        f"| {regression.name} | {len(halts)} of {len(courses)} | {_length(times[len(times) // 2])} "
        f"| {_length(times[len(times) * 9 // 10])} "
        f"| {', '.join(f'{ring}: {count}' for ring, count in sorted(rings.items()))} "
        f"| {statistics.median(cells):g}, at most {max(cells)} "
        f"| {', '.join(metric for metric, _ in metrics.most_common())} |"
    )


def _length(time: timedelta) -> str:
    hours = time / timedelta(hours=1)
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} d"


if __name__ == "__main__":
    main()
