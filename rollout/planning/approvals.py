"""What people agree to before a ring begins, and who has."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable

from rollout.policy import Lane, ring_policy
from rollout.types import CellFacts, CellStatus, Fleet, RolloutState


def plan_hash(state: RolloutState, fleet: Fleet) -> str:
    """Return what an approval given now is bound to; empty when no ring is to come.

    Release, policy, lane, ring, and the cells of that ring with their versions. Whatever of it
    changes makes approvals void.
    """
    rings = _rings(state, fleet)
    ring = to_come(state, rings)
    return "" if ring is None else fingerprint(state, ring, rings[ring])


def fingerprint(state: RolloutState, ring: int, cells: Iterable[CellFacts]) -> str:
    """Return what an approval of this ring with these cells is bound to."""
    content = (
        state.release.digest,
        state.policy,
        state.lane.value,
        ring,
        sorted((cell.id, cell.server_version) for cell in cells),
    )
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]


def to_come(state: RolloutState, rings: Iterable[int]) -> int | None:
    """Return the first of these rings that has not begun; None when all have."""
    for ring in sorted(rings):
        progress = state.rings.get(ring)
        if progress is None or not (progress.batches or progress.baked):
            return ring
    return None


def needed(state: RolloutState, ring: int, first: int | None) -> int:
    """Return how many people have to agree before `ring` begins; `first` is the first that does."""
    wanted = ring_policy(state.policy, ring).approvals
    # Two people open the emergency lane, whatever the policy says.
    return max(wanted, 2) if state.lane is Lane.EMERGENCY and ring == first else wanted


def approvers(state: RolloutState, ring: int, plan: str) -> list[str]:
    """Return who has approved this plan: not who started it, and everybody once."""
    progress = state.rings.get(ring)
    given = progress.approvals if progress else []
    return sorted({each.actor for each in given if each.plan == plan} - {state.actor})


def _rings(state: RolloutState, fleet: Fleet) -> dict[int, list[CellFacts]]:
    rings: dict[int, list[CellFacts]] = defaultdict(list)
    for cell in fleet.cells:
        progress = state.cells.get(cell.id)
        if progress is None:
            rings[cell.ring].append(cell)
        elif progress.status is not CellStatus.SKIPPED:
            begun = progress.visits > 0
            rings[progress.ring if begun else max(progress.ring, cell.ring)].append(cell)
    return rings
