"""What the sibling comparison finds, and that it finds nothing where there is nothing.

A few rollouts over made-up metrics; `tests/benchmarks/power.py` runs a hundred.
"""

from datetime import timedelta

import pytest

from tests.benchmarks.power import constantly, leaking
from tests.rollout.simulated_bakes import Flaws, roll_out
from tests.rollout.simulated_metrics import HOUR, Ring

SYNTHETIC = Ring(0, (1, 2), HOUR, 168 * HOUR, loaded=False)
LOADED = Ring(1, (1, 2, 3), 4 * HOUR, 48 * HOUR, loaded=True)
RINGS = (SYNTHETIC, LOADED)


@pytest.mark.parametrize("seed", range(4))
def test_a_release_that_changes_nothing_is_not_halted(seed: int) -> None:
    course = roll_out(seed, rings=RINGS)

    assert course.halt is None
    assert course.confounded == 0
    assert course.undecided < course.looks / 4


@pytest.mark.parametrize(
    ("flaws", "within"),
    [
        ({"memory": leaking(0.01)}, 120 * HOUR),
        ({"API latency": constantly(1.0)}, 4 * HOUR),
        ({"API errors": constantly(0.05)}, 4 * HOUR),
    ],
    ids=["a leak of 1 % an hour", "twice the latency", "5 % errors"],
)
def test_a_regression_is_found_in_the_first_ring(flaws: Flaws, within: timedelta) -> None:
    halt = roll_out(1, flaws, rings=RINGS).halt

    assert halt is not None
    assert (halt.ring, halt.metric) == (0, next(iter(flaws)))
    assert halt.after <= within


def test_what_is_bad_only_under_load_is_found_with_the_first_cell_that_has_load() -> None:
    flaws = {"API errors": constantly(0.02)}
    halt = roll_out(1, flaws, only_under_load=True, rings=RINGS).halt

    assert halt is not None
    assert halt.ring == 1
    assert halt.cells == sum(SYNTHETIC.batches) + 1


def test_what_is_bad_in_one_cell_among_many_is_found_in_its_ring() -> None:
    crowded = Ring(1, (1, 11), 4 * HOUR, 24 * HOUR, loaded=True)
    flaws = {"API latency": constantly(0.5)}

    halt = roll_out(1, flaws, in_one_cell=True, rings=(crowded, LOADED)).halt

    assert halt is not None
    assert (halt.ring, halt.cells, halt.metric) == (1, 12, "API latency")
