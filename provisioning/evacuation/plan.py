"""What an evacuation may do next, and why everything else waits. Pure: no clock, no I/O.

`plan` decides. What it is told is taken in before (`seen`), what comes of it is written down after
(`outcomes`, `moves`). Namespaces move in the order of their tiers, as fast as the policy lets them;
one that cannot move now does not hold back those behind it (`turns`).
"""

from dataclasses import replace
from datetime import datetime, timedelta

from provisioning.evacuation.facts import Survey
from provisioning.evacuation.policy import EvacuationKind, check_policy
from provisioning.evacuation.turns import (
    LOOK_AGAIN,
    UNDER_WAY,
    confirmations,
    is_away,
    take_turns,
)
from provisioning.evacuation.types import (
    EvacuationState,
    Phase,
    Plan,
    StartEvacuation,
    Status,
    Wait,
    WaitCode,
)

ASK_LEDGER_AGAIN = timedelta(seconds=5)


def check_start(request: StartEvacuation) -> None:
    """Raise ValueError, naming the value and the remedy, for what can never be begun."""
    if not request.actor or not request.reason:
        raise ValueError(
            f"evacuation {request.id} needs an actor and a reason: say who asks for it, and why"
        )
    if request.source_lost and request.kind is not EvacuationKind.EVACUATE:
        raise ValueError(
            f"a {request.kind.value} needs a cell that answers: evacuate {request.cell} if it is "
            "lost"
        )
    check_policy(request.kind, request.policy)


def new_state(request: StartEvacuation) -> EvacuationState:
    """Return an evacuation that has not begun."""
    return EvacuationState(
        id=request.id,
        cell=request.cell,
        kind=request.kind,
        policy=request.policy,
        actor=request.actor,
        reason=request.reason,
        source_lost=request.source_lost,
    )


def plan(state: EvacuationState, survey: Survey, now: datetime) -> Plan:
    """Return the legal next actions, and a reason for everything that is not done."""
    match state.phase:
        case Phase.BEGINNING:
            return _begin(state, survey, now)
        case Phase.FAILING_OVER | Phase.MIGRATING | Phase.RETURNING:
            if trouble := _trouble(state, survey):
                return Plan(stop=trouble)
            return replace(take_turns(state, survey, now), tell=_untold(state))
        case Phase.SOAKING:
            return _soak(state, survey, now)
        case Phase.STOPPING:
            return _stop(state)
        case Phase.ENDED:
            return Plan()


def _begin(state: EvacuationState, survey: Survey, now: datetime) -> Plan:
    if state.cell not in {cell.id for cell in survey.cells}:
        return Plan(phase=Phase.ENDED, blocked=f"there is no cell {state.cell}")
    if state.cordoned is None:
        message = state.cordon_refused or f"{state.cell} is not cordoned yet"
        waits = _all_wait(state, WaitCode.BEGINNING, message)
        return Plan(waits=waits, blocked=state.cordon_refused, wake_at=now + LOOK_AGAIN)
    if not state.lease:
        refused = state.lease_refused
        message = refused or "the disruption ledger has not answered yet"
        again = (state.lease_asked_at or now) + ASK_LEDGER_AGAIN
        waits = _all_wait(state, WaitCode.LEASE, message)
        return Plan(waits=waits, blocked=refused, wake_at=max(again, now))
    if state.paused_by:
        return Plan(waits=_all_wait(state, WaitCode.PAUSED, f"paused by {state.paused_by}"))
    return Plan(phase=Phase.FAILING_OVER)


def _soak(state: EvacuationState, survey: Survey, now: datetime) -> Plan:
    if trouble := _trouble(state, survey):
        return Plan(stop=trouble)
    until = state.soak_until or now
    away = [n for n, each in sorted(state.namespaces.items()) if each.status is Status.MOVED]
    if state.paused_by:
        message = f"paused by {state.paused_by}"
        return Plan(waits=tuple(Wait(name, WaitCode.PAUSED, message) for name in away))
    if now >= until:
        return Plan(phase=Phase.RETURNING)
    message = f"it stays away until {until:%H:%M:%S}"
    waits = tuple(Wait(name, WaitCode.SOAK, message, until) for name in away)
    return Plan(waits=waits, wake_at=min(until, now + LOOK_AGAIN))


def _stop(state: EvacuationState) -> Plan:
    if any(each.status in UNDER_WAY for each in state.namespaces.values()):
        return Plan(tell=_untold(state), waits=tuple(confirmations(state)))
    comes_back = state.kind is EvacuationKind.DRILL and is_away(state)
    return Plan(phase=Phase.RETURNING if comes_back else Phase.ENDED)


def _all_wait(state: EvacuationState, code: WaitCode, message: str) -> tuple[Wait, ...]:
    return tuple(
        Wait(name, code, message)
        for name, each in sorted(state.namespaces.items())
        if each.status is Status.WAITING
    )


def _trouble(state: EvacuationState, survey: Survey) -> str:
    """Say why a drill has to be given up: where its namespaces are, they cannot be relied on."""
    if state.kind is not EvacuationKind.DRILL or state.phase is Phase.RETURNING:
        return ""
    cells = {cell.id: cell for cell in survey.cells}
    for _, each in sorted(state.namespaces.items()):
        moved = each.last_done
        if each.status is Status.MOVED and moved is not None:
            target = cells.get(moved.target)
            if target is not None and target.sick:
                return f"{target.id} is sick: {target.sick}"
    return ""


def _untold(state: EvacuationState) -> tuple[str, ...]:
    return tuple(
        name
        for name, each in sorted(state.namespaces.items())
        if each.move is not None
        and each.move.wish is not None
        and not each.move.wish_told
        and each.move.change
    )
