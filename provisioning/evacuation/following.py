"""How far a move is, as the namespace's view says. Pure."""

from dataclasses import dataclass
from datetime import datetime

from provisioning.evacuation.facts import MoveFacts
from provisioning.evacuation.types import Move
from provisioning.types import Failover, NamespaceView, OperationState

_OPEN = (OperationState.PENDING, OperationState.IN_PROGRESS)


@dataclass(frozen=True)
class Followed:
    """A move that is followed, and what is known of it."""

    namespace: str
    uid: str
    move: Move


def move_facts(view: NamespaceView | None, followed: Followed, now: datetime) -> MoveFacts:
    """Return what the view says of the move; None is a namespace that does not exist."""
    move = followed.move
    if view is None or view.uid != followed.uid:
        return MoveFacts(followed.namespace, move.operation, now, exists=False)
    operation = next((each for each in view.operations if each.id == move.operation), None)
    change = view.change
    is_ours = change is not None and change.operation == move.operation
    failover = _failover(view, move)
    return MoveFacts(
        namespace=view.id,
        operation=move.operation,
        seen_at=now,
        exists=True,
        revision=view.revision,
        state=None if operation is None else operation.state,
        failure="" if operation is None else operation.failure_reason,
        active=view.cell or "",
        cells=view.cells,
        change=change.id if change is not None and (is_ours or operation is None) else "",
        phase=change.progress.phase if change is not None and is_ours else "",
        waits_for=change.progress.waits_for if change is not None and is_ours else "",
        forced=failover is not None and failover.forced,
        took=move.took if failover is None else failover.took,
    )


def is_news(facts: MoveFacts, move: Move) -> bool:
    """Return whether these facts say something that is to be written down at once."""
    if not facts.exists:
        return True
    if facts.revision < move.revision:
        return False
    if facts.state in _OPEN:
        known = (move.change, move.waits_for)
        return (facts.change or move.change, facts.waits_for) != known
    return facts.state is not None or not facts.change


def _failover(view: NamespaceView, move: Move) -> Failover | None:
    """Return the namespace's own record of what this move did to it."""
    return next(
        (
            each
            for each in reversed(view.failovers)
            if each.source == move.source and each.target == move.target
            if each.at >= move.began_at
        ),
        None,
    )
