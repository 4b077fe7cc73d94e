"""How long visits take, and when it may all be over."""

import math
from collections import defaultdict
from datetime import datetime, timedelta

from rollout.planning.budget import UNDER_WAY, tolerance
from rollout.planning.pace import batch_bake, batch_size, ring_bake
from rollout.planning.patches import head_start
from rollout.types import CellStatus, Phase, Plan, RingProgress, RolloutState, WaitCode

MOST_BATCHES = 1000
_TO_COME = UNDER_WAY | {CellStatus.WAITING}


def usual_visit(state: RolloutState, quantile: float) -> timedelta:
    """Return how long this share of visits takes at most, by guess before any is seen."""
    if not state.durations:
        return state.policy.visit_takes
    ascending = sorted(state.durations)
    place = max(math.ceil(len(ascending) * quantile) - 1, 0)
    return timedelta(seconds=ascending[place])


def estimate(state: RolloutState, plan: Plan, quantile: float, now: datetime) -> datetime | None:
    """Return when it ends if all goes as it usually does; None when a person has to say first.

    Batches are walked through ring by ring, each with its visits in turns of as many as the budget
    lets be under way, and its bake. Of the calendar only what is closed now is in it, and deferred
    cells are not: simulate the rollout for those.
    """
    if state.phase not in (Phase.FORWARD, Phase.QUEUED) or state.paused_by:
        return None
    visit = usual_visit(state, quantile)
    rings: dict[int, list[str]] = defaultdict(list)
    for cell, each in state.cells.items():
        if each.status not in (CellStatus.SKIPPED, CellStatus.GONE):
            rings[each.ring].append(cell)
    takes = (_ring_takes(state, ring, cells, visit) for ring, cells in sorted(rings.items()))
    return _opens(plan, now) + sum(takes, timedelta(0))


def _opens(plan: Plan, now: datetime) -> datetime:
    """Return when something may start again, if it is the calendar that stops everything."""
    closed = [wait.until for wait in plan.waits if wait.code is WaitCode.CALENDAR and wait.until]
    return now if plan.starts else min(closed, default=now)


def _ring_takes(state: RolloutState, ring: int, cells: list[str], visit: timedelta) -> timedelta:
    progress = state.rings.get(ring) or RingProgress()
    to_come = [cell for cell in cells if state.cells[cell].status in _TO_COME]
    if progress.baked:
        return visit * len(to_come)
    bake, at_once = progress.bake, tolerance(state, ring, len(cells)) + 1
    left = timedelta(0) if bake is None else max(bake.needed - bake.credit, timedelta(0))
    if progress.bakes_ring:
        return visit * len(to_come) + left
    members = [cell for cell in to_come if cell in progress.members]
    missing, number = len(to_come) - len(members), progress.batches
    takes = visit * math.ceil(len(members) / at_once)
    if missing and progress.batches:
        takes += batch_bake(state, ring) if members else left
    for _ in range(MOST_BATCHES):
        if missing <= 0:
            break
        batch = min(batch_size(state, ring, len(cells), number), missing)
        takes += visit * math.ceil(batch / at_once)
        missing -= batch
        number += 1
        takes += batch_bake(state, ring) if missing > 0 else timedelta(0)
    at_the_end = ring_bake(state, ring)
    return takes + at_the_end - head_start(state, ring, at_the_end)
