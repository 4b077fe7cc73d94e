"""Scenario 7: a leak that nobody sees for a day, and a release that is bad under load alone."""

from collections.abc import Callable

import numpy as np

from rollout.comparison import Comparison, compare, look_at
from rollout.gates import Gate, GateKind, Reading, Verdict
from rollout.memory import all_is_well
from rollout.policy import RingPolicy, RollbackScope, RolloutPolicy
from rollout.ports import WatchedCells
from rollout.series import Part
from rollout.shifts import Array
from rollout.types import CellStatus, Outcome, Phase
from tests.rollout.rollouts import OLD, fleet, ring_of
from tests.rollout.scenarios.stage import DAY, HOUR, MINUTE, playing
from tests.rollout.simulated_bakes import RESOLUTION
from tests.rollout.simulated_metrics import MEMORY as MEMORY_METRIC
from tests.rollout.simulated_metrics import PAST, Weather

MEMORY = Gate("memory", GateKind.COMPARISON, 'memory{cell="$cell"}')
A_WEEK = RolloutPolicy(
    rings=(
        RingPolicy(0, ("1", "all"), HOUR, 7 * DAY, tolerance="1"),
        RingPolicy(1, ("1", "2", "all"), 4 * HOUR, 3 * DAY),
    ),
    gates=(MEMORY,),
    rollback=RollbackScope.ALL,
)
CELLS = (*ring_of(3, 0, "a"), *ring_of(6, 1, "b"))


class Memory:
    """The memory gate over made-up series, as the evidence's comparison looks at them.

    Watched cells grow by `leak` an hour; without one, watched and unwatched are alike.
    """

    def __init__(self, leak: float) -> None:
        self._leak = leak
        self._series: dict[tuple[int, int], tuple[Array, Array]] = {}

    def judge(self, watched: WatchedCells) -> tuple[Reading, ...]:
        window = watched.until - watched.since
        assert watched.settled_at is not None
        look = look_at(watched.until - watched.settled_at, RESOLUTION)
        if look is None:
            return (Reading("memory", "", Verdict.INCONCLUSIVE, window, "too short to compare"),)
        ours, theirs = self._of(len(watched.cells), len(watched.siblings))
        stride, end = -(-look.step // MINUTE), PAST + look.after // MINUTE
        before, after = slice(PAST % stride, PAST, stride), slice(PAST, end, stride)
        at = np.arange(0.0, 60.0 * ours.shape[1], 60.0)
        (found,) = compare(
            [
                Comparison(
                    Part(at[before], ours[:, before], theirs[:, before]),
                    Part(at[after], ours[:, after], theirs[:, after]),
                    MEMORY_METRIC.tolerance,
                    MEMORY_METRIC.floor,
                )
            ],
            look,
        )
        return (Reading("memory", "", found.verdict, window, "it takes more memory"),)

    def _of(self, cells: int, siblings: int) -> tuple[Array, Array]:
        known = self._series.get((cells, siblings))
        if known is None:
            weather = Weather(np.random.default_rng(cells), 8 * DAY // MINUTE, starts_at=600)
            flaw: Callable[[Array], Array] | None = (
                (lambda minutes: self._leak * minutes / 60) if self._leak else None
            )
            known = weather.series(MEMORY_METRIC, cells, siblings, loaded=False, flaw=flaw)
            self._series[cells, siblings] = known
        return known


def test_a_slow_leak_is_halted_within_the_week_of_ring_0() -> None:
    with playing(fleet(*CELLS)) as play:
        # Given a release that takes one percent more memory each hour,
        play.stage.judge = Memory(leak=0.01).judge
        play.start(policy=A_WEEK)

        # When ring 0 bakes for a week,
        play.until(lambda: play.view().phase is Phase.ENDED, within=9 * DAY)

        # Then the comparison with its siblings halts it there, and ring 0 goes back.
        assert "memory: it takes more memory" in play.told("halted")[0]
        assert {cell[0] for cell in play.visited()} == {"a"}
        assert {cell.server_version for cell in play.stage.cells.values()} == {OLD}
        assert play.view().outcome is Outcome.FAILED


def test_what_is_bad_under_load_alone_is_halted_with_one_loaded_cell_touched() -> None:
    def judge(watched: WatchedCells) -> tuple[Reading, ...]:
        loaded = [cell for cell in watched.cells if cell.startswith("b")]
        if not loaded:
            return all_is_well(watched)
        return (Reading("memory", loaded[0], Verdict.FAIL, MINUTE, "it takes more memory"),)

    with playing(fleet(*CELLS)) as play:
        # Given a release that is bad where there are tenants, which ring 0 has none of,
        play.stage.judge = judge
        play.start(policy=A_WEEK)

        # When it comes to ring 1, then its first cell alone is touched, and all goes back.
        play.until(lambda: play.view().phase is Phase.ENDED, within=10 * DAY)
        assert [cell for cell in dict.fromkeys(play.visited()) if cell.startswith("b")] == ["b0"]
        assert play.told("batch begins")[-1].startswith("ring 1, batch 1: b0")
        assert play.status("b0") is CellStatus.REVERTED
        assert {cell.server_version for cell in play.stage.cells.values()} == {OLD}
