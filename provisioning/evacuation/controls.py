"""What people may ask of a running evacuation, why they may not, and what it changes. Pure."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import assert_never

from provisioning.evacuation import outcomes
from provisioning.evacuation.journal import note
from provisioning.evacuation.policy import EvacuationKind
from provisioning.evacuation.types import (
    Control,
    ControlKind,
    EvacuationState,
    MoveKind,
    Phase,
    Progress,
    Status,
    Stop,
    WaitCode,
    Wish,
)

CONTROLS_KEPT = 1000
_STOPPABLE = (Phase.BEGINNING, Phase.FAILING_OVER, Phase.MIGRATING, Phase.SOAKING)
_MOVING_AWAY = (Phase.FAILING_OVER, Phase.MIGRATING)


def refusal(state: EvacuationState, control: Control) -> str | None:
    """Return why this cannot be done now, and what can; None when it can, or has been."""
    if control.id in state.controls:
        return None
    if control.evacuation != state.id:
        return f"{control.evacuation} has ended: {state.id} empties {state.cell} now"
    if not control.actor:
        return "a control needs an actor: say who asks for it"
    if not control.reason:
        return f"{control.kind.value} needs a reason: say why, for those who read the audit log"
    if state.phase is Phase.ENDED:
        outcome = state.outcome.value if state.outcome else "ended"
        return f"evacuation {state.id} has ended ({outcome}): start another"
    match control.kind:
        case ControlKind.PAUSE:
            return _refuse_pause(state)
        case ControlKind.RESUME:
            return None if state.paused_by else "it is not paused"
        case ControlKind.ABORT:
            if state.phase in _STOPPABLE:
                return None
            return f"it is {state.phase.value} already, and comes to its end by itself"
        case ControlKind.RETRY | ControlKind.SKIP | ControlKind.CONFIRM:
            return _refuse_namespace(state, control)
        case ControlKind.RETURN:
            soaks = state.phase is Phase.SOAKING
            return (
                None if soaks else f"only a drill that soaks returns; this is {state.phase.value}"
            )
        case other:
            assert_never(other)


def take(state: EvacuationState, control: Control, now: datetime) -> None:
    """Do what was asked for and was not refused. Asked for again, it is not done again."""
    if control.id in state.controls:
        return
    state.controls = [*state.controls, control.id][-CONTROLS_KEPT:]
    note(
        state,
        control.kind.value,
        control.reason,
        now,
        actor=control.actor,
        namespace=control.namespace,
    )
    said = f"{control.actor}: {control.reason}"
    # Nobody's patience runs out over what a person has just said.
    state.moved_at = now
    match control.kind:
        case ControlKind.PAUSE:
            state.paused_by = said
        case ControlKind.RESUME:
            state.paused_by, state.forgiven = "", state.failed
        case ControlKind.ABORT:
            outcomes.stop(state, Stop(control.reason, control.actor), now)
        case ControlKind.RETRY:
            for name in _meant(state, control):
                again = replace(
                    state.namespaces[name], status=Status.WAITING, code=None, failures=0
                )
                state.namespaces[name] = replace(again, since=now, not_before=None)
        case ControlKind.SKIP:
            for name in _meant(state, control):
                state.namespaces[name] = replace(
                    state.namespaces[name],
                    status=Status.LEFT,
                    code=WaitCode.SKIPPED,
                    message=f"skipped by {said}",
                    since=now,
                )
        case ControlKind.CONFIRM:
            for name in _meant(state, control):
                outcomes.wish(state, name, Wish.CONFIRM)
        case ControlKind.RETURN:
            state.soak_until = now
        case other:
            assert_never(other)


def _refuse_pause(state: EvacuationState) -> str | None:
    if state.paused_by:
        return f"it is paused already, by {state.paused_by}"
    if state.phase is Phase.STOPPING:
        return "it is stopping: nothing more begins"
    return None


def _refuse_namespace(state: EvacuationState, control: Control) -> str | None:
    if not control.namespace and control.kind is ControlKind.SKIP:
        return "skip needs a namespace: to leave all where they are, abort"
    if control.namespace and control.namespace not in state.namespaces:
        return f"{control.namespace} is not moved by this evacuation"
    if control.kind is not ControlKind.CONFIRM and state.phase not in _MOVING_AWAY:
        return f"{control.kind.value} is for while namespaces move away; it is {state.phase.value}"
    if any(True for _ in _meant(state, control)):
        return None
    name = control.namespace
    status = state.namespaces[name].status.value if name else ""
    match control.kind:
        case ControlKind.RETRY:
            return f"{name} is {status}, not left" if name else "nothing was left where it is"
        case ControlKind.SKIP:
            return f"{name} is {status}: only what waits is skipped"
        case _:
            waits = f"{name} does not wait" if name else "nothing waits"
            return f"{waits} for a confirmation"


def _meant(state: EvacuationState, control: Control) -> Iterator[str]:
    names = [control.namespace] if control.namespace else sorted(state.namespaces)
    for name in names:
        progress = state.namespaces[name]
        match control.kind:
            case ControlKind.RETRY:
                means = _can_be_retried(state, progress, by_name=bool(control.namespace))
            case ControlKind.SKIP:
                means = progress.status is Status.WAITING
            case _:
                move = progress.move
                means = (
                    move is not None
                    and move.kind is MoveKind.MIGRATION
                    and bool(move.waits_for)
                    and move.wish is None
                )
        if means:
            yield name


def _can_be_retried(state: EvacuationState, progress: Progress, *, by_name: bool) -> bool:
    if progress.status is Status.WAITING:
        return progress.not_before is not None
    if progress.status is not Status.LEFT or state.kind is EvacuationKind.DRILL:
        return False
    return by_name or progress.code is not WaitCode.SKIPPED
