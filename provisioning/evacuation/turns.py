"""What moves next in the phases in which namespaces move, and why the others do not. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from provisioning.evacuation.facts import NamespaceFacts, Survey
from provisioning.evacuation.pace import Pace, pace
from provisioning.evacuation.policy import EvacuationKind, TierOrder
from provisioning.evacuation.targets import Obstacle, Room, room
from provisioning.evacuation.types import (
    EvacuationState,
    Mark,
    MoveKind,
    Phase,
    Plan,
    Start,
    Status,
    Wait,
    WaitCode,
)
from provisioning.types import FailoverMode

LOOK_AGAIN = timedelta(seconds=30)
"""When something may have changed that nobody tells us of."""
LOOK_SOON = timedelta(seconds=1)
"""When what has just changed is to be seen any moment."""

UNDER_WAY = (Status.MOVING, Status.RETURNING)
_KINDS = {
    Phase.FAILING_OVER: MoveKind.FAILOVER,
    Phase.MIGRATING: MoveKind.MIGRATION,
    Phase.RETURNING: MoveKind.RETURN,
}
_FINAL = frozenset({WaitCode.SINGLE_REPLICA, WaitCode.OPTED_OUT, WaitCode.MOVED_ON})
"""What does not pass by itself, however long it is waited for."""


@dataclass
class _Draft:
    """A plan in the making."""

    starts: list[Start] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)


def take_turns(state: EvacuationState, survey: Survey, now: datetime) -> Plan:
    """Start what may start in this phase, in order."""
    kind, draft = _KINDS[state.phase], _Draft()
    facts = {each.id: each for each in survey.namespaces}
    speed, space = pace(state, kind, now), room(state, survey)
    for name in candidates(state):
        if name not in facts:
            continue  # It is about to be taken for gone.
        decided = _decide(state, facts[name], kind, space, now)
        match decided:
            case Mark():
                draft.marks.append(decided)
            case Wait():
                draft.waits.append(decided)
            case Start() if (wait := _held_back(state, name, speed)) is not None:
                draft.waits.append(wait)
            case Start():
                draft.starts.append(decided)
                speed.begin()
                if kind is MoveKind.MIGRATION:
                    space.coming[decided.target] += 1
    draft.waits.extend(_later(state))
    under_way = [each for each in state.namespaces.values() if each.status in UNDER_WAY]
    is_idle = not draft.starts and not under_way and not state.paused_by
    if is_idle:
        _lose_patience(state, draft, now)
    draft.waits.extend(confirmations(state))
    over = is_idle and not draft.marks and not any(True for _ in candidates(state))
    return Plan(
        starts=tuple(draft.starts),
        waits=tuple(draft.waits),
        marks=tuple(draft.marks),
        phase=_after(state) if over else None,
        wake_at=_wake_at(state, draft, speed, now, is_idle=is_idle),
    )


def candidates(state: EvacuationState) -> Iterator[str]:
    """Yield the namespaces whose turn is in this phase, in the order in which they go."""
    if state.phase is Phase.RETURNING:
        turn = [n for n, each in state.namespaces.items() if each.was_moved]
    else:
        turn = [
            name
            for name, each in state.namespaces.items()
            if each.status is Status.WAITING and each.stage is state.phase
        ]
    direction = 1 if state.policy.order is TierOrder.HIGHEST_FIRST else -1
    yield from sorted(turn, key=lambda n: (direction * state.namespaces[n].tier.rank, n))


def _decide(
    state: EvacuationState,
    namespace: NamespaceFacts,
    kind: MoveKind,
    space: Room,
    now: datetime,
) -> Start | Wait | Mark:
    """Return what becomes of a namespace whose turn it is, the pace aside."""
    progress = state.namespaces[namespace.id]
    obstacle = _obstacle(state, namespace, kind)
    if obstacle is None:
        target = space.target(kind, namespace)
        if isinstance(target, str):
            if progress.not_before is not None and now < progress.not_before:
                code = WaitCode.REFUSED if progress.refused else WaitCode.RETRY
                return Wait(namespace.id, code, progress.message, progress.not_before)
            return Start(namespace.id, kind, _source(state, namespace, kind), target, _mode(state))
        obstacle = target
    if obstacle.code in _FINAL:
        return Mark(namespace.id, obstacle.code, obstacle.message)
    return Wait(namespace.id, obstacle.code, obstacle.message)


def _obstacle(state: EvacuationState, namespace: NamespaceFacts, kind: MoveKind) -> Obstacle | None:
    """Return what in the namespace itself stands in the way of a move."""
    latest = state.namespaces[namespace.id].moves[-1:]
    if latest and namespace.revision < latest[0].revision:
        return Obstacle(WaitCode.UNSEEN, "its latest move is not to be seen yet")
    if not namespace.is_active:
        return Obstacle(WaitCode.NOT_ACTIVE, f"it is {namespace.life}")
    if kind is MoveKind.RETURN and not _can_return(state, namespace):
        where = namespace.active.cell if namespace.active else "nowhere"
        message = f"it was moved on by somebody else: it is active in {where} now"
        return Obstacle(WaitCode.MOVED_ON, message)
    if kind is MoveKind.FAILOVER and not namespace.passive:
        message = "it has no other replica: add one, or drain the cell"
        return Obstacle(WaitCode.SINGLE_REPLICA, message)
    if namespace.opted_out and kind is MoveKind.FAILOVER and not state.policy.move_opted_out:
        message = "its owner does not want it failed over without being asked"
        return Obstacle(WaitCode.OPTED_OUT, message)
    if namespace.change:
        return Obstacle(WaitCode.CHANGING, f"its replicas are changed: {namespace.change_says}")
    if why := state.lease_conflicts.get(namespace.id):
        return Obstacle(WaitCode.LEASE, why)
    if namespace.id not in state.leased:
        why = state.lease_refused or "the disruption ledger has not answered yet"
        return Obstacle(WaitCode.LEASE, why)
    return None


def _can_return(state: EvacuationState, namespace: NamespaceFacts) -> bool:
    """Return whether it still is where this drill has put it."""
    moved = state.namespaces[namespace.id].last_done
    return (
        moved is not None
        and namespace.active is not None
        and namespace.active.cell == moved.target
        and any(replica.cell == state.cell for replica in namespace.passive)
    )


def _source(state: EvacuationState, namespace: NamespaceFacts, kind: MoveKind) -> str:
    if kind is MoveKind.RETURN and namespace.active is not None:
        return namespace.active.cell
    return state.cell


def _mode(state: EvacuationState) -> FailoverMode:
    return FailoverMode.FORCED if state.source_lost else state.policy.mode


def _held_back(state: EvacuationState, name: str, speed: Pace) -> Wait | None:
    if state.paused_by:
        return Wait(name, WaitCode.PAUSED, f"paused by {state.paused_by}")
    if not speed.may_begin:
        return Wait(name, WaitCode.RATE, speed.why, speed.again_at)
    return None


def _later(state: EvacuationState) -> Iterator[Wait]:
    """Yield why those wait whose turn is in a later phase."""
    for name, each in sorted(state.namespaces.items()):
        if each.status is Status.WAITING and each.stage is not state.phase:
            why = f"; {each.message}" if each.message else ""
            message = f"what can be failed over comes before what has to be migrated{why}"
            yield Wait(name, WaitCode.STAGE, message)


def _lose_patience(state: EvacuationState, draft: _Draft, now: datetime) -> None:
    """Leave what waits for something that has not passed for too long."""
    if now < _patient_until(state, now):
        return
    for wait in [each for each in draft.waits if each.code is not WaitCode.STAGE]:
        draft.waits.remove(wait)
        message = f"{wait.message}; that has not changed for {state.policy.patience}"
        draft.marks.append(Mark(wait.namespace, wait.code, message, later_stage(state)))


def later_stage(state: EvacuationState) -> Phase | None:
    """Return the phase in which something that was left gets another turn."""
    drains = state.kind is EvacuationKind.DRAIN and state.phase is Phase.FAILING_OVER
    return Phase.MIGRATING if drains else None


def _patient_until(state: EvacuationState, now: datetime) -> datetime:
    return (state.moved_at or now) + state.policy.patience


def _wake_at(
    state: EvacuationState, draft: _Draft, speed: Pace, now: datetime, *, is_idle: bool
) -> datetime | None:
    """Return when time alone may change the plan, or another look at the fleet."""
    times = [wait.until for wait in draft.waits if wait.until is not None]
    if any(wait.code is WaitCode.UNSEEN for wait in draft.waits):
        times.append(now + LOOK_SOON)
    if any(wait.until is None and wait.code is not WaitCode.PAUSED for wait in draft.waits):
        times.append(now + LOOK_AGAIN)
    if is_idle and draft.waits:
        times.append(max(_patient_until(state, now), now))
    if draft.waits and speed.again_at is not None:
        times.append(speed.again_at)
    return min(times, default=None)


def confirmations(state: EvacuationState) -> Iterator[Wait]:
    for name, each in sorted(state.namespaces.items()):
        if each.move is not None and each.move.waits_for and each.move.wish is None:
            yield Wait(name, WaitCode.CONFIRMATION, each.move.waits_for)


def _after(state: EvacuationState) -> Phase:
    """Return what follows when nothing is left to do in this phase."""
    match state.phase, state.kind:
        case Phase.FAILING_OVER, EvacuationKind.DRAIN:
            return Phase.MIGRATING
        case Phase.FAILING_OVER, EvacuationKind.DRILL if is_away(state):
            return Phase.SOAKING
        case _:
            return Phase.ENDED


def is_away(state: EvacuationState) -> bool:
    return any(each.was_moved for each in state.namespaces.values())
