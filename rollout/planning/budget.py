"""How much of a ring may fail, how much may be sick, and what is left of it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from rollout.gates import Verdict
from rollout.policy import ring_policy, share
from rollout.types import CellProgress, CellStatus, RolloutState

UNDER_WAY = frozenset({CellStatus.VISITING, CellStatus.REVERTING})
LOST = frozenset({CellStatus.FAILED, CellStatus.BROKEN})


@dataclass(frozen=True)
class Budget:
    """What a ring may lose, has lost, and has at stake."""

    tolerance: int
    failures: int
    under_way: int

    @property
    def startable(self) -> int:
        """How many more may start: even if all that are under way fail, one failure too many is
        the most there can be."""
        return max(self.tolerance - self.failures + 1 - self.under_way, 0)

    @property
    def is_overspent(self) -> bool:
        return self.failures > self.tolerance

    def __str__(self) -> str:
        left = max(self.tolerance - self.failures, 0)
        return f"{left} of {self.tolerance} left, {self.under_way} under way"


def budgets(state: RolloutState) -> dict[int, Budget]:
    """Return the budget of each ring that has cells, by ring."""
    # Cells that left count: that a cell is taken away must not turn a loss within bounds into one
    # too many.
    sizes = Counter([cell.ring for cell in state.cells.values()])
    failures = Counter([cell.ring for cell in state.cells.values() if cell.status in LOST])
    under_way = Counter(
        [cell.ring for cell in state.cells.values() if cell.status is CellStatus.VISITING]
    )
    return {
        ring: Budget(tolerance(state, ring, size), failures[ring], under_way[ring])
        for ring, size in sorted(sizes.items())
    }


def tolerance(state: RolloutState, ring: int, size: int) -> int:
    """Return how many cells of a ring of this size may fail."""
    return share(ring_policy(state.policy, ring).tolerance, size, at_least=0)


def deferrable(state: RolloutState, size: int) -> int:
    """Return how many sick cells a ring of this size can do without."""
    return share(state.policy.deferral_cap, size, at_least=0)


def halt_reason(state: RolloutState) -> str:
    """Return why the rollout must not go on; empty when it may."""
    broken = [cell for cell, progress in state.cells.items() if progress.status is _BROKEN]
    if broken:
        return f"{_some(broken)} could be brought neither forward nor back: see to it first"
    for ring, budget in budgets(state).items():
        if budget.is_overspent:
            lost = _lost(state.cells, ring)
            return (
                f"{budget.failures} of ring {ring}'s cells failed, {budget.tolerance} may: "
                f"{_some(lost)}: {state.cells[lost[0]].message}"
            )
    for ring, progress in sorted(state.rings.items()):
        for bake in (progress.bake, progress.late_bake):
            if bake is not None and bake.verdict is Verdict.FAIL:
                return f"the bake of ring {ring} failed: {bake.message}"
    return ""


_BROKEN = CellStatus.BROKEN


def _lost(cells: dict[str, CellProgress], ring: int) -> list[str]:
    return [cell for cell, p in cells.items() if p.ring == ring and p.status in LOST]


def _some(cells: Iterable[str]) -> str:
    """Name three at most."""
    named = list(cells)
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""
    return ", ".join(named[:3]) + more
