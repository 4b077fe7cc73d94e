"""What a look at the fleet tells an evacuation of its namespaces. Pure."""

from dataclasses import replace
from datetime import datetime

from provisioning.evacuation.facts import NamespaceFacts, Survey
from provisioning.evacuation.journal import note
from provisioning.evacuation.policy import EvacuationKind
from provisioning.evacuation.types import EvacuationState, Phase, Progress, Status, WaitCode

_STAGES = (Phase.FAILING_OVER, Phase.MIGRATING)
_TAKING_IN = (Phase.BEGINNING, Phase.FAILING_OVER, Phase.MIGRATING)


def unfinished(state: EvacuationState) -> tuple[str, ...]:
    """Return the namespaces that have to be looked at wherever they are."""
    over = {Status.RETURNED, Status.LEFT, Status.GONE}
    if state.kind is not EvacuationKind.DRILL:
        over.add(Status.MOVED)
    return tuple(sorted(n for n, each in state.namespaces.items() if each.status not in over))


def take_in(state: EvacuationState, survey: Survey, now: datetime) -> None:
    """Write down what is there to be moved, and what is not there any more."""
    found = {each.id: each for each in survey.namespaces}
    for name in list(state.namespaces):
        progress, facts = state.namespaces[name], found.get(name)
        if progress.status in (Status.WAITING, Status.MOVED):
            _update(state, name, progress, facts, now)
    if state.phase in _TAKING_IN:
        for facts in survey.namespaces:
            if facts.id not in state.namespaces and _concerns(state, facts):
                state.namespaces[facts.id] = Progress(
                    tier=facts.tier, uid=facts.uid, stage=_stage(state, facts), since=now
                )
    for name in unfinished(state):
        if name not in found:
            _has_gone(state, name, now)


def _update(
    state: EvacuationState,
    name: str,
    progress: Progress,
    facts: NamespaceFacts | None,
    now: datetime,
) -> None:
    if facts is None:
        return
    if facts.uid != progress.uid:
        # It was deleted, and another one took its name.
        del state.namespaces[name]
        return
    if progress.moves and facts.revision < progress.moves[-1].revision:
        return  # What was seen is older than what was done.
    if progress.status is Status.WAITING:
        if not _concerns(state, facts):
            message = f"it is not in {state.cell} any more"
            if state.kind is not EvacuationKind.DRAIN:
                message = f"it is not active in {state.cell} any more"
            _set(state, name, replace(progress, status=Status.MOVED, message=message), now)
        else:
            stage = max(progress.stage, _stage(state, facts), key=_STAGES.index)
            state.namespaces[name] = replace(progress, tier=facts.tier, stage=stage)
    elif state.phase in _TAKING_IN and _concerns(state, facts):
        # Once moved, it is not moved again: whoever brought it back meant to.
        message = f"somebody brought it back to {state.cell}"
        left = replace(progress, status=Status.LEFT, code=WaitCode.MOVED_ON, message=message)
        _set(state, name, left, now)
        note(state, "left", message, now, namespace=name)


def _has_gone(state: EvacuationState, name: str, now: datetime) -> None:
    progress = state.namespaces[name]
    if progress.move is None:  # How a move has ended is told by who follows it.
        _set(state, name, replace(progress, status=Status.GONE, message="it was deleted"), now)


def _concerns(state: EvacuationState, facts: NamespaceFacts) -> bool:
    """Return whether the namespace has something in the cell that is to be moved."""
    if state.kind is EvacuationKind.DRAIN:
        return state.cell in facts.cells
    return facts.active is not None and facts.active.cell == state.cell


def _stage(state: EvacuationState, facts: NamespaceFacts) -> Phase:
    """Return the phase in which the namespace has its turn."""
    is_active = facts.active is not None and facts.active.cell == state.cell
    if state.kind is not EvacuationKind.DRAIN:
        return Phase.FAILING_OVER
    if state.phase is Phase.MIGRATING or not is_active or not facts.passive:
        return Phase.MIGRATING
    return Phase.FAILING_OVER


def _set(state: EvacuationState, name: str, progress: Progress, now: datetime) -> None:
    state.namespaces[name] = replace(progress, since=now)
