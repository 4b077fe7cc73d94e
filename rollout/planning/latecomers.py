"""Cells that come when the batches of their ring are over: deferred, retried, or new."""

from rollout.planning.draft import Draft
from rollout.planning.order import mixed
from rollout.types import CellStatus, RingProgress, WaitCode


def late_cells(draft: Draft, ring: int, progress: RingProgress) -> None:
    """Start the next of them if it may start.

    Each is a batch of one, with a bake as long as a batch's: it goes through the same gates. The
    bake of the ring neither begins anew nor waits for those that have not come: one cell that is
    down would otherwise hold up the fleet, and the release has been proven in that ring without it.
    What its bake finds halts the rollout all the same.
    """
    seen = draft.seen
    waiting = [cell for cell in seen.rings[ring] if seen.status(cell) is CellStatus.WAITING]
    if not waiting:
        return
    late = progress.late
    if late and is_open(draft, progress):
        if progress.late_bake is not None:
            draft.wait_for_bake(waiting, progress.late_bake, f"{late}, which came late, bakes")
        else:
            message = f"ring {ring}'s batches are over: those that come late go one at a time"
            draft.wait(waiting, WaitCode.BATCH, f"{message}, and {late} is under way")
        return
    for cell in mixed(seen.facts[cell] for cell in waiting):
        if draft.start(cell):
            message = f"ring {ring}'s batches are over: those that come late go one at a time"
            draft.wait(
                (other for other in waiting if other != cell),
                WaitCode.BATCH,
                f"{message}, and {cell} goes first",
            )
            return


def is_open(draft: Draft, progress: RingProgress) -> bool:
    """Return whether the last one that came late is under way, or bakes."""
    if not progress.late or progress.late not in draft.seen.cells:
        return False
    match draft.seen.status(progress.late):
        case CellStatus.VISITING:
            return True
        case CellStatus.DONE:
            return progress.late_bake is not None and not progress.late_bake.is_complete
        case _:
            return False
