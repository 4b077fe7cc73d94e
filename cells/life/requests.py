"""What a cell's life agrees to when something is asked of it. Pure."""

from datetime import datetime

from cells.life import plan, record
from cells.life.types import (
    CreateCell,
    Layer,
    LifeCommand,
    LifeCommandKind,
    LifeState,
    Phase,
    Residents,
)

KNOWN = 20
"""So many commands are remembered: asked for again, they are not taken again."""


def new_state(request: CreateCell) -> LifeState:
    return LifeState(request.blueprint, request.requested_by, operation=request.operation)


def conflict(state: LifeState, request: CreateCell) -> str:
    """Say why the cell that is asked for is not this one; nothing when it is."""
    if request.blueprint == state.blueprint:
        return ""
    cell = state.blueprint.cell
    if request.operation == state.operation:
        return f"operation {request.operation} has asked for another {cell}: use another operation"
    return (
        f"{cell} is there already, {state.phase.value}, asked for by {state.requested_by} in "
        f"operation {state.operation}: choose another name"
    )


def is_taken(state: LifeState, command: LifeCommand) -> bool:
    return command in state.commands


def reused(state: LifeState, command: LifeCommand) -> str:
    """Say what the command's operation has been used for; nothing when it is new, or repeated."""
    known = [*state.commands, *([] if state.asked is None else [state.asked])]
    for other in known:
        if other.operation == command.operation and other != command:
            return f"operation {other.operation} was to {other.kind.value.lower()}: use another one"
    return ""


def refusal(state: LifeState, command: LifeCommand) -> str:
    """Say why the command cannot be taken now, and what can be done; nothing when it can."""
    cell, phase = state.blueprint.cell, state.phase
    match command.kind, phase:
        case _, Phase.GONE:
            return f"{cell} is gone"
        case LifeCommandKind.RETRY, Phase.FAILED | Phase.WAITING:
            return ""
        case LifeCommandKind.RETRY, Phase.DRAINING | Phase.DISMANTLING:
            return ""
        case LifeCommandKind.RETRY, _:
            return f"{cell} is {phase.value}: there is nothing to try again"
        case LifeCommandKind.ABANDON, Phase.BUILDING | Phase.WAITING | Phase.FAILED:
            return ""
        case LifeCommandKind.ABANDON, Phase.READY:
            return f"{cell} is Ready: decommission it"
        case LifeCommandKind.ABANDON, _:
            return f"{cell} is {phase.value}: it is taken down already"
        case LifeCommandKind.DECOMMISSION, Phase.READY:
            return _asked_already(state, command)
        case LifeCommandKind.DECOMMISSION, Phase.DRAINING | Phase.DISMANTLING:
            return f"{cell} is {phase.value}: it is taken down already"
        case LifeCommandKind.DECOMMISSION, _:
            return f"{cell} is {phase.value}, and was never Ready: abandon it"
        case LifeCommandKind.KEEP, Phase.DRAINING if _was_ready(state):
            return ""
        case LifeCommandKind.KEEP, Phase.READY:
            return f"{cell} is Ready, and nobody takes it down"
        case LifeCommandKind.KEEP, Phase.DISMANTLING:
            return f"{cell} is Dismantling: it is too late to keep it"
        case LifeCommandKind.KEEP, _:
            return f"{cell} is {phase.value}, and was never Ready: there is nothing to keep"


def refusal_for(residents: Residents, command: LifeCommand) -> str:
    """Say why a cell in which these live is not decommissioned; nothing when it is."""
    if command.drain or not residents.count:
        return ""
    return (
        f"{residents.described}. Move them, or decommission it with drain: then it waits until "
        "they have moved"
    )


def take(state: LifeState, command: LifeCommand, now: datetime) -> None:
    """Record what was asked for, and is not refused."""
    state.commands = [*state.commands, command][-KNOWN:]
    state.retry_at, state.looks = None, 0
    match command.kind:
        case LifeCommandKind.RETRY if state.phase is Phase.FAILED:
            state.phase = Phase.BUILDING
            state.assured = _asked_once(state)
        case LifeCommandKind.RETRY:
            pass  # What it waits for is looked at now.
        case LifeCommandKind.ABANDON | LifeCommandKind.DECOMMISSION:
            state.ends_for, state.asked = command, None
            state.phase = _way_out(state)
        case LifeCommandKind.KEEP:
            state.is_kept = True
    record.touch(state, now)


def _way_out(state: LifeState) -> Phase:
    """Return how a cell that is to go begins to."""
    if Layer.OPENING in state.layers:
        return Phase.DRAINING  # It was opened, or may have been: namespaces may live there.
    if plan.last_standing(state.layers) is None:
        return Phase.GONE  # Nothing of it was begun.
    return Phase.DISMANTLING


def _asked_already(state: LifeState, command: LifeCommand) -> str:
    if state.asked is None or state.asked == command:
        return ""
    return f"{state.asked.by} has just asked for the same: wait for the answer to that"


def _asked_once(state: LifeState) -> list[Layer]:
    """Return the layers that are not looked at again: may a cell be built at all is asked before
    it takes up any of the quota that it is asked about."""
    return [Layer.PREFLIGHT] if Layer.ACCOUNT in state.layers else []


def _was_ready(state: LifeState) -> bool:
    opening = state.layers.get(Layer.OPENING)
    return opening is not None and opening.built_at is not None
