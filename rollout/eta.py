"""How long visits take, and when it may all be over."""

import math
from collections import Counter
from datetime import datetime, timedelta

from rollout.budget import UNDER_WAY, tolerance
from rollout.pace import batch_bake, batch_size, ring_bake
from rollout.types import CellStatus, Phase, RolloutState

MOST_BATCHES = 1000


def usual_visit(state: RolloutState, quantile: float) -> timedelta:
    """Return how long this share of visits takes at most, by guess before any is seen."""
    if not state.durations:
        return state.policy.visit_takes
    ascending = sorted(state.durations)
    place = max(math.ceil(len(ascending) * quantile) - 1, 0)
    return timedelta(seconds=ascending[place])


def estimate(state: RolloutState, quantile: float, now: datetime) -> datetime | None:
    """Return when it ends if all goes as it usually does; None when a person has to say first.

    Batches are walked through ring by ring, each with its visits in turns of as many as the budget
    lets be under way, and its bake. Freezes to come are not in it: simulate the rollout for those.
    """
    if state.phase not in (Phase.FORWARD, Phase.QUEUED) or state.paused_by:
        return None
    visit = usual_visit(state, quantile)
    left: Counter[int] = Counter()
    sizes: Counter[int] = Counter()
    for cell in state.cells.values():
        sizes[cell.ring] += cell.status not in (CellStatus.SKIPPED, CellStatus.GONE)
        left[cell.ring] += cell.status is CellStatus.WAITING or cell.status in UNDER_WAY
    at = now
    for ring, size in sorted(sizes.items()):
        progress = state.rings.get(ring)
        if not size or (progress is not None and progress.baked):
            at += visit * left[ring]
            continue
        at_once = tolerance(state, ring, size) + 1
        number, missing = (progress.batches if progress else 0), left[ring]
        credited = progress.bake.credit if progress and progress.bake else timedelta(0)
        for _ in range(MOST_BATCHES):
            if missing <= 0:
                break
            batch = min(batch_size(state, ring, size, number), missing)
            at += visit * math.ceil(batch / at_once)
            missing -= batch
            number += 1
            at += batch_bake(state, ring) if missing > 0 else timedelta(0)
        at += max(ring_bake(state, ring) - credited, timedelta(0))
    return at
