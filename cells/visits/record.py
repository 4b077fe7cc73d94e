"""What a cell's entity notes of visits: one at a time, each once, no generation twice. Pure."""

from dataclasses import replace
from datetime import datetime

from cells.types import CellState, Cordon
from cells.visits.types import (
    BeginVisit,
    EndedVisit,
    EndVisit,
    Visit,
    VisitMoved,
    VisitOutcome,
    VisitPhase,
)

ENDED_VISITS_KEPT = 8
"""More than can still be asked for again by somebody who did not hear the answer."""


def obstacle(state: CellState, visit: str) -> str:
    """Say why the visit cannot begin; nothing when it can, or has begun already."""
    under_way = state.visit
    if under_way is not None:
        return "" if under_way.id == visit else _busy(state, under_way)
    if ended := _ended(state, visit):
        return (
            f"visit {visit} of {state.id} ended at {ended.ended_at:%Y-%m-%d %H:%M} as "
            f"{ended.outcome}: ask for another visit under an id of its own"
        )
    if state.quarantine is not None:
        return (
            f"{state.id} is quarantined by {state.quarantine.by}: {state.quarantine.reason}. Lift "
            "the quarantine once somebody has looked at it"
        )
    return ""


def begin(state: CellState, request: BeginVisit, now: datetime) -> int:
    """Note the visit and return the generation that it writes with, the same every time."""
    if state.visit is None:
        state.generation += 1
        state.visit = Visit(
            id=request.visit,
            release=request.release,
            by=request.by,
            phase=VisitPhase.PREFLIGHT,
            message="",
            since=now,
            generation=state.generation,
        )
    return state.visit.generation


def fence(state: CellState) -> int:
    """Return a higher generation for the visit under way: what it began with becomes stale."""
    assert state.visit is not None, "only a visit that is under way is fenced"
    state.generation += 1
    state.visit = replace(state.visit, generation=state.generation)
    return state.generation


def move(state: CellState, moved: VisitMoved, now: datetime) -> bool:
    """Note the phase; return False for a visit that is not, or no longer, under way."""
    if state.visit is None or state.visit.id != moved.visit:
        return False
    state.visit = replace(state.visit, phase=moved.phase, message=moved.message, since=now)
    return True


def cannot_go_on(state: CellState, visit: str) -> str:
    """Say why the cell takes nothing more from the visit; nothing when it is under way."""
    if state.visit is not None and state.visit.id == visit:
        return ""
    if ended := _ended(state, visit):
        return f"visit {visit} of {state.id} ended as {ended.outcome}: it may write no more"
    return f"visit {visit} is not under way at {state.id}"


def cannot_end(state: CellState, visit: str) -> str:
    """Say why the visit cannot end; nothing when it can, or has ended already."""
    return "" if _ended(state, visit) else cannot_go_on(state, visit)


def end(state: CellState, request: EndVisit, now: datetime) -> bool:
    """Note how the visit ended and what it left; return False when that was noted before."""
    visit = state.visit
    if visit is None or visit.id != request.visit:
        return False
    ended = EndedVisit(
        id=visit.id,
        release=visit.release,
        outcome=request.outcome,
        message=request.message,
        generation=visit.generation,
        ended_at=now,
        by=visit.by,
    )
    state.ended_visits = [*state.ended_visits, ended][-ENDED_VISITS_KEPT:]
    state.visit = None
    # Whoever looked at the cell while it was visited did not look at what it is now.
    state.generation += 1
    if request.outcome != VisitOutcome.REFUSED:
        state.release, state.software = request.release, request.software
        if request.software is not None:
            state.spec = replace(state.spec, server_version=request.software.server_version)
    if request.outcome == VisitOutcome.BROKEN:
        state.quarantine = Cordon(request.message, f"visit {visit.id}", now)
    return True


def released(visit: Visit, by: str, reason: str) -> EndVisit:
    """Return how a visit ends that a person ends because its workflow is dead.

    In preflight it has touched nothing. Afterwards nobody knows what it left.
    """
    said = f"its workflow is gone, and {by} released the cell: {reason}"
    if visit.phase is VisitPhase.PREFLIGHT:
        return EndVisit(visit.id, VisitOutcome.REFUSED, None, "", f"{said}. Nothing was touched")
    message = (
        f"{said}. It died in phase {visit.phase} on the way to {visit.release}: see what the cell "
        "runs and whether it is well, then lift its quarantine"
    )
    return EndVisit(visit.id, VisitOutcome.BROKEN, None, "", message)


def left_broken(state: CellState) -> bool:
    """Return whether nobody knows what the last visit left: it may be what it was to bring."""
    last = state.ended_visits[-1] if state.ended_visits else None
    return last is not None and last.outcome is VisitOutcome.BROKEN and state.software is None


def _busy(state: CellState, visit: Visit) -> str:
    asked_by = f", asked for by {visit.by}," if visit.by else ""
    return (
        f"{state.id} is being brought to {visit.release} by visit {visit.id}{asked_by} since "
        f"{visit.since:%Y-%m-%d %H:%M} in phase {visit.phase}: wait until that has ended"
    )


def _ended(state: CellState, visit: str) -> EndedVisit | None:
    return next((ended for ended in state.ended_visits if ended.id == visit), None)
