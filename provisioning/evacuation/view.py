"""An evacuation as others see it. Pure."""

from collections import Counter
from datetime import datetime

from provisioning.evacuation.eta import durations, estimate
from provisioning.evacuation.policy import EvacuationKind
from provisioning.evacuation.types import (
    EvacuationState,
    EvacuationView,
    MoveKind,
    MoveOutcome,
    Outcome,
    Phase,
    Report,
    Status,
    WaitCode,
)


def view(state: EvacuationState, now: datetime) -> EvacuationView:
    """Return the evacuation with what it waits for, what came of it, and when it may end."""
    counts = Counter(each.status for each in state.namespaces.values())
    return EvacuationView(
        id=state.id,
        cell=state.cell,
        kind=state.kind,
        revision=state.revision,
        policy=state.policy,
        actor=state.actor,
        reason=state.reason,
        source_lost=state.source_lost,
        phase=state.phase,
        outcome=state.outcome,
        message=state.message,
        paused_by=state.paused_by,
        started_at=state.started_at,
        ended_at=state.ended_at,
        cordoned=bool(state.cordoned),
        lease=state.lease,
        soak_until=state.soak_until,
        namespaces=dict(sorted(state.namespaces.items())),
        counts={status: counts[status] for status in Status if counts[status]},
        waits=tuple(state.waits),
        blocked=state.blocked,
        waits_for=_waits_for(state),
        eta_p50=estimate(state, 0.5, now),
        eta_p90=estimate(state, 0.9, now),
        report=report(state),
        events=tuple(state.events),
        events_made=state.events_made,
    )


def report(state: EvacuationState) -> Report:
    """Return what came of it so far."""
    progress = state.namespaces.values()
    moves = [move for each in progress for move in each.moves]
    count = Counter(each.status for each in progress)
    failed = sum(any(m.outcome is MoveOutcome.FAILED for m in each.moves) for each in progress)
    moved = sum(any(m.outcome is MoveOutcome.DONE for m in each.moves) for each in progress)
    return Report(
        verdict=_verdict(state, moved, failed),
        moved=moved,
        returned=count[Status.RETURNED],
        forced=sum(any(move.forced for move in each.moves) for each in progress),
        failed=failed,
        left=count[Status.LEFT],
        away=durations(moves, MoveKind.FAILOVER),
        back=durations(moves, MoveKind.RETURN),
    )


def _verdict(state: EvacuationState, moved: int, failed: int) -> str:
    if state.phase is not Phase.ENDED:
        return "it is not over yet"
    if state.kind is EvacuationKind.DRILL:
        match state.outcome:
            case Outcome.SUCCEEDED:
                return f"passed: {moved} namespaces went and came back, none by force"
            case Outcome.INCOMPLETE:
                return f"proves nothing: {state.message}"
            case _:
                return f"failed: {state.message}"
    kept = f", {failed} not at the first try" if failed else ""
    return f"{state.outcome.value if state.outcome else 'ended'}: {moved} were moved{kept}"


def _waits_for(state: EvacuationState) -> str:
    if state.paused_by:
        return f"to be resumed or aborted: paused by {state.paused_by}"
    asked = [wait.namespace for wait in state.waits if wait.code is WaitCode.CONFIRMATION]
    if asked:
        more = f" and {len(asked) - 1} more" if len(asked) > 1 else ""
        return f"confirm that {asked[0]}{more} may give up {state.cell}: there is no way back"
    return ""
