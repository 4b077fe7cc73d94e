"""What a rollout costs as fleets grow: `python -m tests.benchmarks.rollouts [CELLS ...]`.

First one pass of the planner over 100, 1,000 and 10,000 cells. Then fleets that are upgraded in
virtual time by the real workflow, with a visit of its own for each cell; beside each a bare run of
as many child workflows of six activities with a timer, which is what the engine takes by itself.
"""

import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import median

from cells.release import Release
from rollout.calendar import Calendar, ChangeWindow
from rollout.plan import apply, new_state, plan
from rollout.policy import default_policy
from rollout.simulation.run import forecast
from rollout.simulation.types import Churn, Simulation
from rollout.types import CellFacts, Fleet, Phase, StartRollout
from tests.benchmarks.bare_children import bare

REGIONS = ("aws-us-east-1", "aws-us-west-2", "gcp-us-central1", "aws-eu-west-1", "gcp-europe-west4")
BEGAN = datetime(2026, 11, 2, tzinfo=UTC)
FROM, TO = "1.31.2", "1.32.0"


def cell(number: int, of: int) -> CellFacts:
    """Return one of `of` cells: 2 % in ring 0, 13 % in ring 1, 45 % in ring 2, 40 % in ring 3."""
    share, region = number / of, REGIONS[number % len(REGIONS)]
    ring = 0 if share < 0.02 else 1 if share < 0.15 else 2 if share < 0.6 else 3
    provider = region.partition("-")[0]
    return CellFacts(f"c{number}", provider, region, ring, FROM, "", ready=True, namespaces=10)


def fleet(cells: int, calendar: Calendar | None = None) -> Fleet:
    members = tuple(cell(number, cells) for number in range(cells))
    return Fleet(BEGAN, members, servers=(FROM, TO), calendar=calendar or Calendar())


def start() -> StartRollout:
    return StartRollout("bench", Release("server", TO), default_policy(), "ann", "to measure")


def simulated(cells: int, *, eventful: bool) -> None:
    """Print what a rollout over so many cells takes; eventful ones have freezes and churn."""
    churn = (
        tuple(
            Churn(timedelta(days=3 * n + 1), joins=cell(cells + n, cells), leaves=f"c{7 * n + 9}")
            for n in range(min(15, cells // 20))
        )
        if eventful
        else ()
    )
    calendar = Calendar(windows=weekend_freezes()) if eventful else Calendar()
    simulation = Simulation(start(), fleet(cells, calendar), runs=1, churn=churn)
    began = time.monotonic()
    [run] = forecast(simulation).runs
    took = time.monotonic() - began
    alone = bare(cells)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    assert run.ended_after is not None, run.stuck
    assert not run.violations, run.violations[:3]
    print(
        f"{cells:6} cells  {run.ended_after.days:3} days  {took:7.1f} s  bare {alone:6.1f} s  "
        f"ratio {took / alone:4.1f}  {run.histories:3} histories of at most "
        f"{run.longest_history} events, {run.largest_history / 2**20:.1f} MiB  "
        f"{memory} MiB of memory  {'with freezes and churn' if eventful else ''}",
        flush=True,
    )


def weekend_freezes() -> tuple[ChangeWindow, ...]:
    return (
        ChangeWindow(
            name="weekends",
            rrule="FREQ=WEEKLY;BYDAY=FR",
            dtstart=datetime(2026, 11, 6, 18),  # noqa: DTZ001 - by the wall clock of the zone.
            duration=timedelta(days=2, hours=14),
            time_zone="Europe/Berlin",
            allow=False,
        ),
    )


def one_pass(cells: int) -> None:
    """Print how long the planner takes over so many cells in the middle of a rollout."""
    world, state = fleet(cells), new_state(start())
    state.phase = Phase.FORWARD
    apply(state, plan(state, world, BEGAN), world, BEGAN)
    took = median(_timed(lambda: plan(state, world, BEGAN)) for _ in range(5))
    print(f"{cells:6} cells  one pass of the planner {took * 1000:7.1f} ms", flush=True)


def _timed(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def main(sizes: list[int]) -> None:
    for cells in (100, 1_000, 10_000):
        one_pass(cells)
    simulated(300, eventful=True)
    for cells in sizes:
        simulated(cells, eventful=False)


if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:]] or [100, 1_000])
