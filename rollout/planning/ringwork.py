"""The ring at work: its batches, one after the other, their bakes, and the ring's own."""

from rollout.planning.approvals import approvers, fingerprint, needed
from rollout.planning.budget import deferrable
from rollout.planning.draft import Draft
from rollout.planning.latecomers import is_open
from rollout.planning.order import mixed, pick
from rollout.planning.pace import batch_bake, batch_size, ring_bake
from rollout.types import CellStatus, RingProgress, WaitCode

_SICK = (WaitCode.SICK, WaitCode.QUARANTINED, WaitCode.DRIFTED)


def work(draft: Draft, ring: int) -> None:
    """Decide what happens in the ring at work."""
    seen = draft.seen
    progress = draft.state.rings.get(ring) or RingProgress()
    cells = seen.rings[ring]
    waiting = [cell for cell in cells if seen.status(cell) is CellStatus.WAITING]
    if _too_many_are_sick(draft, ring, waiting):
        return
    if progress.bakes_ring:
        _await_ring_bake(draft, ring, progress)
        return
    if _batch_goes_on(draft, ring, progress, waiting):
        return
    if waiting:
        _next_batch(draft, ring, progress, waiting)
    elif any(seen.status(cell) is CellStatus.DONE for cell in cells):
        draft.begin_bake, draft.bakes_ring = ring_bake(draft.state, ring), True
    else:
        draft.blocked = (
            f"no cell of ring {ring} has the release, so nothing is proven there: make its cells "
            "well, retry those that failed, or skip them"
        )


def _too_many_are_sick(draft: Draft, ring: int, waiting: list[str]) -> bool:
    seen, cells = draft.seen, draft.seen.rings[ring]
    sick = [c for c in cells if (o := seen.obstacles.get(c)) is not None and o.code in _SICK]
    if len(sick) <= deferrable(draft.state, len(cells)):
        return False
    message = (
        f"{len(sick)} of ring {ring}'s {len(cells)} cells are sick, more than the "
        f"{draft.state.policy.deferral_cap} that may be deferred ({', '.join(sick[:3])}): make "
        "them well, or skip them"
    )
    draft.wait(waiting, WaitCode.DEFERRALS, message)
    draft.blocked = message
    return True


def _await_ring_bake(draft: Draft, ring: int, progress: RingProgress) -> None:
    # Cells that still wait here are late ones, and have their reasons.
    assert progress.bake is not None, "it began with its bake"
    if not progress.bake.is_complete:
        draft.wait_for_bake((), progress.bake, f"ring {ring} bakes")
    elif not is_open(draft, progress) and not draft.confounded:
        draft.complete_ring = True


def _batch_goes_on(draft: Draft, ring: int, progress: RingProgress, waiting: list[str]) -> bool:
    """Start what may start of the present batch; tell whether it is still going on."""
    seen = draft.seen
    members = set(progress.members)
    ours = [cell for cell in waiting if cell in members]
    # One that has to wait for a cell outside of the batch leaves it, or both would wait for ever.
    able = [cell for cell in ours if seen.blockers.get(cell, set()) <= members]
    # Also those that have left the fleet meanwhile: their visits go on.
    going = [cell for cell in seen.under_way if seen.cells[cell].ring == ring]
    if not able and not going:
        return False
    for cell in mixed(seen.facts[cell] for cell in ours):
        draft.start(cell)
    message = f"batch {progress.batches} of ring {ring} goes on with {len(able) + len(going)} cells"
    draft.wait(waiting, WaitCode.BATCH, message)
    return True


def _next_batch(draft: Draft, ring: int, progress: RingProgress, waiting: list[str]) -> None:
    seen = draft.seen
    if not progress.batches and not _is_approved(draft, ring, waiting):
        return
    proven = any(
        cell in seen.cells and seen.status(cell) is CellStatus.DONE for cell in progress.members
    )
    if proven and progress.bake is None:
        draft.begin_bake = batch_bake(draft.state, ring)
        message = f"batch {progress.batches} of ring {ring} begins to bake"
        draft.wait(waiting, WaitCode.BAKE, message)
        return
    if proven and progress.bake is not None and not progress.bake.is_complete:
        what = f"batch {progress.batches} of ring {ring} bakes"
        draft.wait_for_bake(waiting, progress.bake, what)
        return
    # A batch in which nothing was done has proven nothing: the next one is no larger.
    number = progress.batches if proven else max(progress.batches - 1, 0)
    size = batch_size(draft.state, ring, len(seen.rings[ring]), number)
    batch = pick(mixed(draft.unhindered(waiting)), size, seen.blockers)
    # Who is in a batch is settled when it can begin, not before: until then cells come and go.
    started = [cell for cell in batch if draft.start(cell)]
    if started:
        draft.begin_batch = batch
    for cell in waiting:
        if seen.blockers.get(cell):
            draft.start(cell)
    message = f"it comes with a later batch of ring {ring}"
    draft.wait(waiting, WaitCode.BATCH, message)


def _is_approved(draft: Draft, ring: int, waiting: list[str]) -> bool:
    seen, state = draft.seen, draft.state
    first = min(seen.rings)
    wanted = needed(state, ring, first)
    if not wanted:
        return True
    plan = fingerprint(state, ring, (seen.facts[cell] for cell in seen.rings[ring]))
    agreed = approvers(state, ring, plan)
    if len(agreed) >= wanted:
        return True
    by = f" ({', '.join(agreed)})" if agreed else ""
    message = (
        f"ring {ring} begins when {wanted} people have approved plan {plan}; {len(agreed)} have{by}"
    )
    draft.wait(waiting, WaitCode.APPROVAL, message)
    draft.blocked = message
    return False
