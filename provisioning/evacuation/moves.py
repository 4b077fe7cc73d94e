"""What becomes of a namespace's moves: how each begins, goes on and ends. Pure."""

from dataclasses import replace
from datetime import datetime, timedelta

from provisioning.evacuation.facts import MoveFacts
from provisioning.evacuation.journal import note
from provisioning.evacuation.outcomes import leave, stop
from provisioning.evacuation.policy import Confirm, EvacuationKind
from provisioning.evacuation.turns import later_stage
from provisioning.evacuation.types import (
    EvacuationState,
    Mark,
    Move,
    MoveKind,
    MoveOutcome,
    Phase,
    Progress,
    Start,
    Status,
    Stop,
    WaitCode,
    Wish,
)
from provisioning.types import OperationState

MOST_DURATIONS = 100
FIRST_RETRY = timedelta(seconds=30)
"""After a move has failed; twice as long each time."""
LONGEST_RETRY = timedelta(minutes=10)
REFUSED_FOR = timedelta(seconds=5)
RETURN_ATTEMPTS = 3
"""At least: a namespace is not left away because one attempt failed."""
ITSELF = "the evacuation itself"
_MOVED = {
    MoveKind.FAILOVER: Status.MOVED,
    MoveKind.MIGRATION: Status.MOVED,
    MoveKind.RETURN: Status.RETURNED,
}


def began(state: EvacuationState, start: Start, now: datetime) -> Move:
    """Write down that a move begins, and return it: after that it may have been asked for."""
    progress = state.namespaces[start.namespace]
    number = len(progress.moves) + 1
    asks = start.kind is MoveKind.MIGRATION and state.policy.confirm is Confirm.ASK
    move = Move(
        operation=f"{state.id}-{start.namespace}-{number}",
        kind=start.kind,
        source=start.source,
        target=start.target,
        mode=start.mode,
        began_at=now,
        soak=state.policy.migration_soak,
        wish=None if asks or start.kind is not MoveKind.MIGRATION else Wish.CONFIRM,
        wish_told=True,
    )
    status = Status.RETURNING if start.kind is MoveKind.RETURN else Status.MOVING
    state.namespaces[start.namespace] = replace(
        progress, status=status, move=move, since=now, message="", not_before=None
    )
    state.begun = [at for at in [*state.begun, now] if now - at < timedelta(minutes=1)]
    return move


def agreed(state: EvacuationState, name: str, revision: int, now: datetime) -> None:
    """Write down that the namespace has taken the request."""
    progress = state.namespaces[name]
    assert progress.move is not None, "only what was asked is answered"
    state.namespaces[name] = replace(progress, move=replace(progress.move, revision=revision))
    state.moved_at = now


def refused(state: EvacuationState, name: str, why: str, now: datetime) -> None:
    """Write down that the namespace did not take the request: nothing was done, so nothing failed.

    It is asked again when it has had time; how long in vain is a matter of the policy's patience.
    """
    progress = state.namespaces[name]
    assert progress.move is not None, "only what was asked is answered"
    returning = progress.move.kind is MoveKind.RETURN
    state.namespaces[name] = replace(
        progress,
        status=Status.MOVED if returning else Status.WAITING,
        message=why,
        move=None,
        since=now,
        not_before=now + REFUSED_FOR,
        refused=True,
    )
    if state.phase is Phase.STOPPING:
        message = "the evacuation was stopped before its turn"
        leave(state, Mark(name, WaitCode.STOPPED, message), now)


def followed(state: EvacuationState, facts: MoveFacts, now: datetime) -> bool:
    """Write down how far a move is; return whether that is news."""
    progress = state.namespaces.get(facts.namespace)
    move = None if progress is None else progress.move
    if progress is None or move is None or move.operation != facts.operation:
        return False
    if not facts.exists:
        ended = replace(move, outcome=MoveOutcome.FAILED, ended_at=now, message="it was deleted")
        state.namespaces[facts.namespace] = replace(
            progress,
            status=Status.GONE,
            message="it was deleted",
            move=None,
            moves=(*progress.moves, ended),
            since=now,
        )
        return True
    if facts.revision < move.revision:
        return False
    match facts.state:
        case OperationState.FULFILLED:
            _done(state, facts, now)
            return True
        case OperationState.FAILED | OperationState.CANCELLED:
            why = facts.failure or "it was undone"
            _failed(state, facts.namespace, why, now, revision=facts.revision)
            return True
        case OperationState.PENDING | OperationState.IN_PROGRESS:
            return _under_way(state, progress, move, facts)
        case None:
            pass  # It has forgotten the operation, or never knew it.
    if facts.change:
        return False  # What is done there is another's: it is seen what is left then.
    if _is_reached(move, facts):
        _done(state, facts, now)
    else:
        why = "the namespace does not know of it any more"
        _failed(state, facts.namespace, why, now, revision=facts.revision)
    return True


def _under_way(state: EvacuationState, progress: Progress, move: Move, facts: MoveFacts) -> bool:
    moved = replace(
        move,
        change=facts.change or move.change,
        phase=facts.phase,
        waits_for=facts.waits_for,
    )
    state.namespaces[facts.namespace] = replace(progress, move=moved)
    return moved != move


def _is_reached(move: Move, facts: MoveFacts) -> bool:
    match move.kind:
        case MoveKind.FAILOVER:
            return facts.active != move.source
        case MoveKind.RETURN:
            return facts.active == move.target
        case MoveKind.MIGRATION:
            return move.source not in facts.cells


def _done(state: EvacuationState, facts: MoveFacts, now: datetime) -> None:
    progress = state.namespaces[facts.namespace]
    move = progress.move
    assert move is not None, "what is done was under way"
    ended = replace(
        move,
        outcome=MoveOutcome.DONE,
        ended_at=now,
        revision=max(move.revision, facts.revision),
        phase="",
        waits_for="",
        forced=facts.forced,
        took=facts.took,
        target=_where(move, facts),
    )
    status, stage = _MOVED[move.kind], progress.stage
    if state.kind is EvacuationKind.DRAIN and state.cell in facts.cells:
        status, stage = Status.WAITING, Phase.MIGRATING  # Its replica has to leave the cell yet.
    state.namespaces[facts.namespace] = replace(
        progress,
        status=status,
        stage=stage,
        code=None,
        message="",
        move=None,
        moves=(*progress.moves, ended),
        since=now,
        failures=0,
    )
    seconds = (now - move.began_at).total_seconds()
    if move.kind is MoveKind.MIGRATION:
        state.migration_seconds = [*state.migration_seconds, seconds][-MOST_DURATIONS:]
    else:
        state.failover_seconds = [*state.failover_seconds, seconds][-MOST_DURATIONS:]
    state.moved_at = now
    how = " by force" if ended.forced else ""
    verb = {"failover": "failed over", "return": "failed back", "migration": "migrated"}
    message = f"{verb[move.kind.value]} from {move.source} to {ended.target}{how}"
    note(
        state,
        status.value if status is not Status.WAITING else "moved",
        message,
        now,
        namespace=facts.namespace,
    )


def _where(move: Move, facts: MoveFacts) -> str:
    """Return where a failover led, which somebody else may have decided before us."""
    is_elsewhere = move.kind is MoveKind.FAILOVER and facts.active not in ("", move.source)
    return facts.active if is_elsewhere else move.target


def _failed(state: EvacuationState, name: str, why: str, now: datetime, *, revision: int) -> None:
    progress = state.namespaces[name]
    move = progress.move
    assert move is not None, "what failed was under way"
    returning = move.kind is MoveKind.RETURN
    failures = progress.failures + 1
    ended = replace(
        move,
        outcome=MoveOutcome.FAILED,
        ended_at=now,
        revision=max(move.revision, revision),
        message=why,
    )
    state.namespaces[name] = replace(
        progress,
        status=Status.MOVED if returning else Status.WAITING,
        message=why,
        move=None,
        moves=(*progress.moves, ended),
        since=now,
        failures=failures,
        not_before=now + min(FIRST_RETRY * 2 ** (failures - 1), LONGEST_RETRY),
        refused=False,
    )
    state.moved_at = now
    note(state, "failed", f"{move.kind.value} to {move.target}: {why}", now, namespace=name)
    attempts = state.policy.attempts
    if returning:
        attempts = max(attempts, RETURN_ATTEMPTS)
    if state.phase is Phase.STOPPING:
        mark = Mark(name, WaitCode.STOPPED, f"the evacuation was stopped; {why}")
        leave(state, mark, now)
    elif failures >= attempts:
        state.failed += 1
        times = "once" if failures == 1 else f"{failures} times"
        leave(
            state, Mark(name, WaitCode.FAILED, f"it failed {times}: {why}", later_stage(state)), now
        )
        _heed_failures(state, name, why, now)


def _heed_failures(state: EvacuationState, name: str, why: str, now: datetime) -> None:
    if state.failed - state.forgiven <= state.policy.tolerance or state.source_lost:
        return
    message = f"{state.failed - state.forgiven} failed, {name} the last: {why}"
    match state.kind:
        case EvacuationKind.DRILL:
            if state.phase is not Phase.RETURNING:
                stop(state, Stop(message), now)
        case EvacuationKind.EVACUATE | EvacuationKind.DRAIN:
            state.paused_by = f"{ITSELF}: {message}"
            note(state, "paused", message, now)
