"""What becomes of a rollout by how its visits begin and end."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from cells.ledger.types import Conflict
from cells.visits.types import VisitOutcome, VisitReport
from rollout import bake as bakes
from rollout.gates import Verdict
from rollout.planning.budget import UNDER_WAY
from rollout.planning.pace import batch_bake
from rollout.planning.progress import note
from rollout.policy import RollbackScope
from rollout.types import CellStatus, Phase, RingProgress, RolloutState, Start

MOST_DURATIONS = 100
ASK_LEDGER_AGAIN = timedelta(minutes=1)
REFUSED_FOR = timedelta(minutes=15)
"""How long a cell is let alone after it refused a visit; twice as long each time."""
REFUSED_AT_MOST = timedelta(hours=6)


def started(state: RolloutState, start: Start, visit: str, now: datetime) -> None:
    """Write down that a visit begins."""
    progress = state.cells[start.cell]
    forward = not start.back
    state.cells[start.cell] = replace(
        progress,
        status=CellStatus.VISITING if forward else CellStatus.REVERTING,
        before=start.before if forward else progress.before,
        before_release=start.before_release if forward else progress.before_release,
        before_software=start.before_software if forward else progress.before_software,
        visit=visit,
        visits=progress.visits + 1,
        since=now,
        not_before=None,
        message=f"by way of {', '.join(start.hops)}" if start.hops else "",
    )
    ring = state.rings.setdefault(progress.ring, RingProgress())
    if forward and (ring.bakes_ring or ring.baked):
        ring.late, ring.late_bake = start.cell, None
    what = "visit begins" if forward else "cell goes back"
    note(state, what, f"visit {visit}", now, cell=start.cell)


def ended(state: RolloutState, report: VisitReport, now: datetime) -> None:
    """Write down how a visit ended. What ended before, or was another's, changes nothing."""
    progress = state.cells.get(report.cell)
    if progress is None or progress.visit != report.visit or progress.status not in UNDER_WAY:
        return
    back = progress.status is CellStatus.REVERTING
    if report.outcome is not VisitOutcome.REFUSED:
        took = (report.ended_at - report.began_at).total_seconds()
        state.durations = [*state.durations, took][-MOST_DURATIONS:]
    state.cells[report.cell] = replace(
        progress,
        since=report.ended_at,
        message=report.message,
        gap=max(progress.gap, report.gap),
    )
    if back:
        _ended_back(state, report, now)
    else:
        _ended_forward(state, report, now)
    status = state.cells[report.cell].status
    note(state, f"cell {status.value}", report.message, now, cell=report.cell)


def lease_refused(
    state: RolloutState, cell: str, conflicts: Sequence[Conflict], now: datetime
) -> None:
    """Write down that the ledger did not let a visit begin: it is asked again later."""
    _ask_again(state, cell, f"the ledger refused: {'; '.join(map(str, conflicts))}", now)


def lease_unanswered(state: RolloutState, cell: str, message: str, now: datetime) -> None:
    """Write down that the ledger did not answer: it is asked again later."""
    _ask_again(state, cell, f"the ledger did not answer: {message}", now)


def _ask_again(state: RolloutState, cell: str, message: str, now: datetime) -> None:
    progress = state.cells[cell]
    if progress.message != message:
        # It is asked every minute: only news is told.
        note(state, "lease refused", message, now, cell=cell)
    state.cells[cell] = replace(
        progress, not_before=now + ASK_LEDGER_AGAIN, message=message, visit=""
    )


def _ended_forward(state: RolloutState, report: VisitReport, now: datetime) -> None:
    progress = state.cells[report.cell]
    ring = state.rings.setdefault(progress.ring, RingProgress())
    match report.outcome:
        case VisitOutcome.DONE:
            state.cells[report.cell] = replace(
                progress, status=CellStatus.DONE, changed_at=report.began_at
            )
            begun = bakes.begin(batch_bake(state, progress.ring), now)
            if ring.late == report.cell:
                ring.late_bake = begun
            elif ring.bake is None or ring.bake.verdict is not Verdict.FAIL:
                # One that failed has halted the rollout: a cell that was still under way then does
                # not wipe that out.
                ring.bake = begun
        case VisitOutcome.UNDONE:
            state.cells[report.cell] = replace(
                progress, status=CellStatus.FAILED, failures=progress.failures + 1
            )
        case VisitOutcome.BROKEN:
            _broke(state, report, now)
        case VisitOutcome.REFUSED:
            pause = _pause(progress.visits)
            message = f"it refused the visit: {report.message}; it is asked again after {pause}"
            state.cells[report.cell] = replace(
                progress, status=CellStatus.DEFERRED, not_before=now + pause, message=message
            )
        case other:
            assert_never(other)


def _ended_back(state: RolloutState, report: VisitReport, now: datetime) -> None:
    progress = state.cells[report.cell]
    match report.outcome:
        case VisitOutcome.DONE:
            state.cells[report.cell] = replace(progress, status=CellStatus.REVERTED)
            if report.cell in state.to_revert:
                state.to_revert.remove(report.cell)
        case VisitOutcome.UNDONE:
            message = f"{report.cell} could not go back and still has the release: {report.message}"
            state.cells[report.cell] = replace(progress, status=CellStatus.DONE, message=message)
            _stop_everything(state, message, now)
        case VisitOutcome.BROKEN:
            _broke(state, report, now)
        case VisitOutcome.REFUSED:
            pause = _pause(progress.visits)
            message = f"it refused to go back: {report.message}; it is asked again after {pause}"
            state.cells[report.cell] = replace(
                progress, status=CellStatus.DONE, not_before=now + pause, message=message
            )
        case other:
            assert_never(other)


def _broke(state: RolloutState, report: VisitReport, now: datetime) -> None:
    progress = state.cells[report.cell]
    state.cells[report.cell] = replace(
        progress, status=CellStatus.BROKEN, failures=progress.failures + 1
    )
    message = f"{report.cell} could be brought neither forward nor back: {report.message}"
    _stop_everything(state, message, now)


def _stop_everything(state: RolloutState, message: str, now: datetime) -> None:
    """Halt without going back by itself: only a person says what starts next."""
    if state.phase in (Phase.STOPPING, Phase.ENDED):
        return
    state.phase, state.message = Phase.HALTED, message
    state.rolling_back, state.to_revert, state.outcome_wanted = RollbackScope.NONE, [], None
    note(state, "halted", message, now)


def _pause(visits: int) -> timedelta:
    return min(REFUSED_FOR * (1 << min(max(visits - 1, 0), 10)), REFUSED_AT_MOST)
