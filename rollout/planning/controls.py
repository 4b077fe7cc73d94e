"""What people may ask of a running rollout, why they may not, and what it changes."""

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from rollout import bake as bakes
from rollout.gates import Evidence, Reading, Verdict
from rollout.people import Approval, GateOverride, Hold
from rollout.planning import refusals
from rollout.planning.approvals import evidence_seen
from rollout.planning.budget import halt_reason
from rollout.planning.progress import note
from rollout.policy import RollbackScope
from rollout.types import (
    CellStatus,
    Control,
    ControlKind,
    Fleet,
    Outcome,
    Phase,
    RingProgress,
    RolloutState,
)

CONTROLS_KEPT = 1000


def refusal(
    state: RolloutState,
    control: Control,
    plan_hash: str,
    now: datetime,
    fleet: Fleet | None = None,
) -> str | None:
    """Return why this cannot be done now, and what can; None when it can, or has been.

    `fleet` is as it was last seen; None before that.
    """
    if control.id in state.controls:
        return None
    if not control.actor:
        return "a control needs an actor: say who asks for it"
    if not control.reason:
        return f"{control.kind.value} needs a reason: say why, for those who read the audit log"
    if state.phase is Phase.ENDED:
        outcome = state.outcome.value if state.outcome else "ended"
        return f"rollout {state.id} has ended ({outcome}): start another"
    match control.kind:
        case ControlKind.PAUSE:
            return f"it is paused already, by {state.paused_by}" if state.paused_by else None
        case ControlKind.RESUME:
            return refusals.refuse_resume(state)
        case ControlKind.ABORT:
            return refusals.refuse_abort(state, control)
        case ControlKind.ROLL_BACK:
            return refusals.refuse_rollback(state, control)
        case ControlKind.SKIP:
            return refusals.refuse_skip(state, control)
        case ControlKind.RETRY:
            return refusals.refuse_retry(state, control)
        case ControlKind.APPROVE:
            return refusals.refuse_approval(state, control, plan_hash)
        case ControlKind.HOLD:
            return refusals.refuse_hold(state, control, now, fleet)
        case ControlKind.UNHOLD:
            held = control.cell in state.holds
            return None if held else f"{control.cell or 'no cell'} is not held"
        case ControlKind.COMPLETE_GATE:
            return refusals.refuse_override(state, control, now)
        case ControlKind.SUPERSEDE:
            return "it stops already" if state.phase is Phase.STOPPING else None
        case other:
            assert_never(other)


def take(state: RolloutState, control: Control, now: datetime) -> None:
    """Do what was asked for and was not refused. Asked for again, it is not done again."""
    if control.id in state.controls:
        return
    state.controls = [*state.controls, control.id][-CONTROLS_KEPT:]
    _look_anew(state)
    note(state, control.kind.value, control.reason, now, control.actor, control.cell)
    said = f"{control.actor}: {control.reason}"
    match control.kind:
        case ControlKind.PAUSE:
            state.paused_by = said
        case ControlKind.RESUME:
            _resume(state, now)
        case ControlKind.ABORT:
            if control.scope is RollbackScope.NONE:
                _stop(state, Outcome.ABORTED, f"aborted by {said}")
            else:
                _go_back(state, control, f"aborted by {said}")
                state.outcome_wanted = Outcome.ABORTED
        case ControlKind.ROLL_BACK:
            _go_back(state, control, f"rolled back by {said}")
        case ControlKind.SKIP:
            _set(state, control.cell, CellStatus.SKIPPED, f"skipped by {said}", now)
            _go_on_if_well(state)
        case ControlKind.RETRY:
            for cell in refusals.retried(state, control):
                _set(state, cell, CellStatus.WAITING, f"retried by {said}", now)
            _go_on_if_well(state)
        case ControlKind.APPROVE:
            ring = refusals.ring_to_come(state)
            assert ring is not None, "refused"
            progress = state.rings.setdefault(ring, RingProgress())
            seen = evidence_seen(state)
            progress.approvals.append(Approval(control.actor, control.plan, now, seen))
        case ControlKind.HOLD:
            state.holds[control.cell] = Hold(control.actor, control.reason, control.until)
        case ControlKind.UNHOLD:
            state.holds.pop(control.cell, None)
        case ControlKind.COMPLETE_GATE:
            assert control.until is not None, "refused"
            state.overrides[control.gate] = GateOverride(
                control.actor, control.reason, control.until
            )
        case ControlKind.SUPERSEDE:
            _stop(state, Outcome.SUPERSEDED, f"superseded by {said}")
        case other:
            assert_never(other)


def overridden(state: RolloutState, evidence: Evidence, now: datetime) -> Evidence:
    """Return the evidence with the gates that a person answers for as passed."""
    window = evidence.until - evidence.since
    readings = []
    for reading in evidence.readings:
        override = state.overrides.get(reading.gate)
        if override is None or override.until <= now or reading.verdict is Verdict.PASS:
            readings.append(reading)
        else:
            message = f"{override.actor} answers for it: {override.reason}"
            readings.append(Reading(reading.gate, reading.cell, Verdict.PASS, window, message))
    return replace(evidence, readings=tuple(readings))


def _resume(state: RolloutState, now: datetime) -> None:
    if state.paused_by:
        state.paused_by = ""
        return
    # Whoever resumes vouches for what the evidence held against it: it is gathered anew.
    for ring in state.rings.values():
        if ring.bake is not None and ring.bake.verdict is Verdict.FAIL:
            ring.bake = bakes.begin(ring.bake.needed, now)
        if ring.late_bake is not None and ring.late_bake.verdict is Verdict.FAIL:
            ring.late_bake = bakes.begin(ring.late_bake.needed, now)
    state.phase, state.message, state.outcome_wanted = Phase.FORWARD, "", None


def _look_anew(state: RolloutState) -> None:
    # A person is there now, and may have mended what was looked at ever less often.
    for ring in state.rings.values():
        if ring.bake is not None:
            ring.bake = bakes.look_anew(ring.bake)
        if ring.late_bake is not None:
            ring.late_bake = bakes.look_anew(ring.late_bake)


def _go_on_if_well(state: RolloutState) -> None:
    if state.phase is not Phase.HALTED or state.rolling_back is not RollbackScope.NONE:
        return
    reason = halt_reason(state)
    if reason:
        state.message = reason
    else:
        state.phase, state.message, state.outcome_wanted = Phase.FORWARD, "", None


def _stop(state: RolloutState, outcome: Outcome, message: str) -> None:
    state.phase, state.outcome_wanted, state.message = Phase.STOPPING, outcome, message
    state.rolling_back, state.to_revert = RollbackScope.NONE, []


def _go_back(state: RolloutState, control: Control, message: str) -> None:
    """Halt, and roll back as soon as what is under way has come to its end."""
    state.phase, state.message = Phase.HALTED, message
    state.rolling_back, state.outcome_wanted = control.scope, None
    state.to_revert = [control.cell] if control.scope is RollbackScope.CELL else []


def _set(state: RolloutState, cell: str, status: CellStatus, message: str, now: datetime) -> None:
    state.cells[cell] = replace(
        state.cells[cell], status=status, message=message, since=now, not_before=None
    )
