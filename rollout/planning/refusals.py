"""Why a person may not have what was asked of a rollout, and what to ask instead."""

from datetime import datetime, timedelta
from typing import assert_never

from rollout.planning import skew
from rollout.planning.approvals import evidence_seen, needed, to_come, told
from rollout.planning.budget import LOST, UNDER_WAY, budgets, halt_reason
from rollout.planning.rollback import cells_in, no_way_back
from rollout.policy import Lane, RollbackScope
from rollout.types import CellStatus, Control, ControlKind, Fleet, Phase, RolloutState

OVERRIDE_AT_MOST = timedelta(days=7)
RETRIABLE = LOST | {CellStatus.REVERTED}

_SKIPPABLE = RETRIABLE | {CellStatus.WAITING, CellStatus.DEFERRED}


def refuse_resume(state: RolloutState) -> str | None:
    if state.paused_by:
        return None
    if state.phase is not Phase.HALTED:
        return f"it is neither paused nor halted: it is {state.phase.value}"
    if state.rolling_back is not RollbackScope.NONE:
        return f"it is about to roll back by {state.rolling_back.value}: pause or abort it instead"
    if any(cell.status is CellStatus.BROKEN for cell in state.cells.values()) or _overspent(state):
        return f"{halt_reason(state)}: retry, skip, roll back or abort"
    return None


def refuse_abort(state: RolloutState, control: Control) -> str | None:
    if state.phase is Phase.STOPPING:
        return "it stops already"
    if control.scope is RollbackScope.NONE:
        return None
    return refuse_rollback(state, control)


def refuse_rollback(state: RolloutState, control: Control) -> str | None:
    if state.phase in (Phase.STOPPING, Phase.QUEUED):
        return f"it is {state.phase.value}: there is nothing to roll back"
    if one_way := no_way_back(state):
        return one_way
    match control.scope:
        case RollbackScope.NONE:
            return "say what goes back: cell, batch, ring or all"
        case RollbackScope.CELL:
            if not control.cell:
                return "say which cell goes back"
            progress = state.cells.get(control.cell)
            if progress is None:
                return _unknown(control.cell)
            brought = progress.status is CellStatus.DONE and progress.visits > 0
            return (
                None
                if brought
                else f"this rollout has not brought the release to {control.cell}: "
                f"it is {progress.status.value}"
            )
        case RollbackScope.BATCH | RollbackScope.RING | RollbackScope.ALL:
            under_way = any(cell.status in UNDER_WAY for cell in state.cells.values())
            if under_way or cells_in(state, control.scope):
                return None
            if control.kind is ControlKind.ABORT:
                return None
            return f"no cell of this {control.scope.value} has the release: nothing goes back"
        case other:
            assert_never(other)


def refuse_skip(state: RolloutState, control: Control) -> str | None:
    progress = state.cells.get(control.cell)
    if progress is None:
        return _unknown(control.cell)
    if progress.status in UNDER_WAY:
        return f"{control.cell} is under way: wait until its visit has ended"
    if progress.status is CellStatus.DONE:
        return f"{control.cell} has the release: roll it back instead"
    if progress.status not in _SKIPPABLE:
        return f"{control.cell} is {progress.status.value}: there is nothing to skip"
    others = [
        cell
        for cell, other in state.cells.items()
        if other.ring == progress.ring and cell != control.cell
        if other.status not in (CellStatus.SKIPPED, CellStatus.GONE)
    ]
    if state.lane is Lane.EMERGENCY and not others:
        return (
            f"{control.cell} is the only cell of ring {progress.ring}: the emergency lane does not "
            "do without a first cell"
        )
    return None


def refuse_retry(state: RolloutState, control: Control) -> str | None:
    if control.cell:
        progress = state.cells.get(control.cell)
        if progress is None:
            return _unknown(control.cell)
        if progress.status not in RETRIABLE:
            return f"{control.cell} is {progress.status.value}: there is nothing to retry"
    elif not retried(state, control):
        return "no cell failed or was rolled back: there is nothing to retry; resume it instead"
    if state.phase not in (Phase.FORWARD, Phase.HALTED):
        return f"it is {state.phase.value}: nothing is tried until that is over"
    if state.phase is Phase.HALTED and state.rolling_back is not RollbackScope.NONE:
        return f"it is about to roll back by {state.rolling_back.value}: retry after that"
    return None


def refuse_approval(state: RolloutState, control: Control, plan_hash: str) -> str | None:
    ring = ring_to_come(state)
    if ring is None:
        return "every ring has begun: there is nothing to approve"
    if control.ring is not None and control.ring != ring:
        return f"ring {ring} is the next to begin: ring {control.ring} cannot be approved now"
    if not needed(state, ring, min(_rings(state), default=None)):
        return f"ring {ring} needs no approval"
    if control.plan != plan_hash:
        return (
            f"plan {control.plan or '(none given)'} is not the present one, which is {plan_hash}: "
            "look at it, and approve that"
        )
    seen = evidence_seen(state)
    if control.evidence and control.evidence != seen.digest:
        return (
            f"the evidence is not what was looked at ({control.evidence}): now {told(seen)} "
            f"({seen.digest}); look at it, and approve that"
        )
    if control.actor == state.actor:
        return f"{control.actor} started this rollout: somebody else has to approve it"
    progress = state.rings.get(ring)
    given = progress.approvals if progress else []
    if any(each.actor == control.actor and each.plan == plan_hash for each in given):
        return f"{control.actor} has approved plan {plan_hash} already: another person has to"
    return None


def refuse_hold(
    state: RolloutState, control: Control, now: datetime, fleet: Fleet | None
) -> str | None:
    progress = state.cells.get(control.cell)
    if progress is None:
        return _unknown(control.cell)
    if progress.status in UNDER_WAY:
        return f"{control.cell} is under way: wait until its visit has ended"
    if progress.status is CellStatus.DONE:
        return f"{control.cell} has the release already: there is nothing to hold"
    if control.until is not None and control.until <= now:
        return f"{control.until.isoformat()} is past: name a time to come"
    held = next((c for c in fleet.cells if c.id == control.cell), None) if fleet else None
    if fleet is None or held is None:
        return None  # What it has is not known yet; the plan says so once it is.
    shares = {
        other
        for each in fleet.replicas
        if control.cell in (each.active, *each.passive)
        for other in (each.active, *each.passive)
        if other != control.cell
    }
    return skew.refuse_hold(held, state.release, sorted(shares))


def refuse_override(state: RolloutState, control: Control, now: datetime) -> str | None:
    gates = [gate.name for gate in state.policy.gates]
    if control.gate not in gates:
        return f"there is no gate {control.gate!r}: it is one of {', '.join(gates)}"
    if control.until is None:
        return "say until when you answer for the gate: an override needs an expiry"
    if control.until <= now:
        return f"{control.until.isoformat()} is past: name a time to come"
    if control.until - now > OVERRIDE_AT_MOST:
        return (
            f"{control.until.isoformat()} is more than {OVERRIDE_AT_MOST.days} days away: answer "
            "for it for less, and again if need be"
        )
    return None


def retried(state: RolloutState, control: Control) -> list[str]:
    """Return the cells that a retry is about: the one it names, or all that failed or went back."""
    if control.cell:
        return [control.cell]
    return [cell for cell, progress in state.cells.items() if progress.status in RETRIABLE]


def ring_to_come(state: RolloutState) -> int | None:
    """Return the ring that an approval given now is for; None when all have begun."""
    return to_come(state, _rings(state))


def _unknown(cell: str) -> str:
    return f"rollout has no cell {cell!r}" if cell else "say which cell"


def _overspent(state: RolloutState) -> bool:
    return any(budget.is_overspent for budget in budgets(state).values())


def _rings(state: RolloutState) -> set[int]:
    not_there = (CellStatus.SKIPPED, CellStatus.GONE)
    return {cell.ring for cell in state.cells.values() if cell.status not in not_there}
