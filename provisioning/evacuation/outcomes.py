"""What becomes of an evacuation: what was planned, and what cell and ledger say. Pure."""

from dataclasses import replace
from datetime import datetime

from provisioning.evacuation.journal import note
from provisioning.evacuation.leases import Hindrance
from provisioning.evacuation.policy import EvacuationKind
from provisioning.evacuation.types import (
    EvacuationState,
    Mark,
    MoveKind,
    MoveOutcome,
    Outcome,
    Phase,
    Plan,
    Status,
    Stop,
    WaitCode,
    Wish,
)


def apply(state: EvacuationState, plan: Plan, now: datetime) -> None:
    """Write down what is planned, the moves aside."""
    state.started_at = state.started_at or now
    for mark in plan.marks:
        leave(state, mark, now)
    if plan.blocked and plan.blocked != state.blocked:
        note(state, "blocked", plan.blocked, now)
    state.blocked, state.waits = plan.blocked, list(plan.waits)
    if plan.stop:
        stop(state, Stop(plan.stop), now)
    elif plan.phase is not None:
        _enter(state, plan.phase, plan, now)


def stop(state: EvacuationState, why: Stop, now: datetime) -> None:
    """Begin nothing more; undo the migrations that are under way."""
    state.stop, state.phase, state.paused_by = why, Phase.STOPPING, ""
    state.message = f"stopped by {why.by}: {why.why}" if why.by else f"given up: {why.why}"
    state.moved_at = now
    note(state, "stopped", why.why, now, actor=why.by)
    for name, each in state.namespaces.items():
        if each.status is Status.WAITING:
            message = "the evacuation was stopped before its turn"
            state.namespaces[name] = replace(
                each, status=Status.LEFT, code=WaitCode.STOPPED, message=message, since=now
            )
        elif each.move is not None and each.move.kind is MoveKind.MIGRATION:
            wish(state, name, Wish.UNDO)


def wish(state: EvacuationState, name: str, wanted: Wish) -> None:
    """Write down what a person decided about the move of a namespace."""
    progress = state.namespaces[name]
    assert progress.move is not None, "only what is under way can be decided about"
    move = replace(progress.move, wish=wanted, wish_told=False)
    state.namespaces[name] = replace(progress, move=move)


def told(state: EvacuationState, name: str, wanted: Wish) -> None:
    """Take note that the namespace knows of it."""
    progress = state.namespaces[name]
    if progress.move is not None and progress.move.wish is wanted:
        state.namespaces[name] = replace(progress, move=replace(progress.move, wish_told=True))


def cordoned(state: EvacuationState, *, ours: bool, now: datetime) -> None:
    state.cordoned, state.cordon_refused = ours, ""
    message = "" if ours else "it was cordoned before, and stays so"
    note(state, "cordoned", message, now)


def not_cordoned(state: EvacuationState, why: str, now: datetime) -> None:
    """Write down that the cell's entity did not cordon it: of a lost cell nobody may be left who
    could, and it is emptied all the same."""
    state.cordon_refused = f"{state.cell} could not be cordoned: {why}"
    if state.source_lost:
        state.cordoned = False
        note(state, "not cordoned", state.cordon_refused, now)


def lease_answered(
    state: EvacuationState,
    number: int,
    names: tuple[str, ...],
    hindrance: Hindrance,
    now: datetime,
) -> None:
    """Write down what of the lease was granted; number 0 is none."""
    if number and not state.lease:
        note(state, "leased", f"lease {number}: nobody else disturbs {state.cell}", now)
        state.moved_at = now
    state.lease, state.lease_asked_at = number, now
    state.lease_refused = hindrance.cell
    state.lease_conflicts = dict(hindrance.namespaces)
    if not hindrance.cell:
        state.leased = list(names)


def leave(state: EvacuationState, mark: Mark, now: datetime) -> None:
    progress = state.namespaces[mark.namespace]
    if mark.stage is not None:
        state.namespaces[mark.namespace] = replace(
            progress,
            stage=mark.stage,
            message=mark.message,
            since=now,
            failures=0,
            not_before=None,
        )
        note(state, "to be migrated", mark.message, now, namespace=mark.namespace)
    else:
        state.namespaces[mark.namespace] = replace(
            progress, status=Status.LEFT, code=mark.code, message=mark.message, since=now
        )
        note(state, "left", mark.message, now, namespace=mark.namespace)
    state.moved_at = now


def _enter(state: EvacuationState, phase: Phase, plan: Plan, now: datetime) -> None:
    state.phase, state.moved_at = phase, now
    match phase:
        case Phase.SOAKING:
            state.soak_until = now + state.policy.drill_soak
        case Phase.ENDED:
            state.ended_at = now
            state.outcome, state.message = _outcome(state, plan)
            note(state, "ended", f"{state.outcome.value}: {state.message}", now)
            return
        case _:
            pass
    note(state, phase.value, "", now)


def _outcome(state: EvacuationState, plan: Plan) -> tuple[Outcome, str]:
    if plan.blocked:
        return Outcome.FAILED, plan.blocked
    each = state.namespaces.values()
    left = sum(one.status is Status.LEFT for one in each)
    if state.stop is not None:
        outcome = Outcome.ABORTED if state.stop.by else Outcome.FAILED
        return outcome, state.message
    if state.kind is EvacuationKind.DRILL:
        troubled = sum(any(m.outcome is MoveOutcome.FAILED for m in one.moves) for one in each)
        returned = sum(one.status is Status.RETURNED for one in each)
        away = sum(one.status is Status.LEFT and one.last_done is not None for one in each)
        if troubled or away:
            return Outcome.FAILED, f"{troubled} failed on the way, {away} did not come back"
        if not returned:
            return Outcome.INCOMPLETE, "nothing in the cell could be failed over"
        stayed = f"; {left} stayed, each for its reason" if left else ""
        return Outcome.SUCCEEDED, f"{returned} went and came back{stayed}"
    if left:
        return Outcome.INCOMPLETE, f"{left} could not be moved: each has its reason"
    return Outcome.SUCCEEDED, "everything was moved"
