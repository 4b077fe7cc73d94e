"""What people agree to before a ring begins, and who has."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable

from rollout.gates import Verdict
from rollout.people import Approval, EvidenceSeen
from rollout.policy import Lane, ring_policy
from rollout.types import CellFacts, CellStatus, Fleet, RolloutState

_WORSE = (Verdict.NO_DATA, Verdict.CONFOUNDED, Verdict.FAIL)
"""Each than the one before, and all than a verdict that earns credit or may."""


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
    """Return who has approved this plan, as far as the evidence has not turned worse since: not who
    started it, and everybody once."""
    progress = state.rings.get(ring)
    given = progress.approvals if progress else []
    seen = evidence_seen(state)
    counting = {each.actor for each in given if each.plan == plan and not worse(each, seen)}
    return sorted(counting - {state.actor})


def evidence_seen(state: RolloutState) -> EvidenceSeen:
    """Return what speaks against the release so far."""
    bakes = [bake for ring in state.rings.values() for bake in (ring.bake, ring.late_bake) if bake]
    verdicts = {bake.verdict for bake in bakes}
    return EvidenceSeen(
        verdict=next((verdict for verdict in reversed(_WORSE) if verdict in verdicts), None),
        failures=sum(cell.failures for cell in state.cells.values()),
        reverted=sum(cell.status is CellStatus.REVERTED for cell in state.cells.values()),
        answered=tuple(sorted(state.overrides)),
    )


def worse(approval: Approval, seen: EvidenceSeen) -> str:
    """Return in which way the evidence has turned worse since an approval; empty if in none."""
    before = approval.evidence
    if before is None:
        return ""
    parts = []
    if seen.failures > before.failures:
        parts.append(f"failed visits: {seen.failures}, and {before.failures} then")
    if seen.reverted > before.reverted:
        parts.append(f"cells that went back: {seen.reverted}, and {before.reverted} then")
    if _rank(seen.verdict) > _rank(before.verdict):
        parts.append(f"verdict: {seen.verdict}, and {before.verdict or 'nothing against it'} then")
    if new := [gate for gate in seen.answered if gate not in before.answered]:
        parts.append(f"gates that people answer for: {', '.join(new)}, and not then")
    return "; ".join(parts)


def told(seen: EvidenceSeen) -> str:
    """Say what speaks against the release, for people."""
    parts = [] if seen.verdict is None else [f"verdict: {seen.verdict}"]
    if seen.failures:
        parts.append(f"failed visits: {seen.failures}")
    if seen.reverted:
        parts.append(f"cells that went back: {seen.reverted}")
    if seen.answered:
        parts.append(f"gates that people answer for: {', '.join(seen.answered)}")
    return "; ".join(parts) or "nothing speaks against it"


def _rank(verdict: Verdict | None) -> int:
    return 0 if verdict is None else _WORSE.index(verdict) + 1


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
