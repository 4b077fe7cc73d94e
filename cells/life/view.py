"""A cell's life as others see it. Pure."""

from datetime import datetime

from cells.life import plan
from cells.life.types import Layer, LifeState, LifeView, Phase


def view(state: LifeState, now: datetime) -> LifeView:
    return LifeView(
        blueprint=state.blueprint,
        phase=state.phase,
        revision=state.revision,
        layers=tuple(state.layers[layer] for layer in plan.ORDER if layer in state.layers),
        account=state.account,
        foundation=state.foundation,
        leftovers=state.leftovers,
        message=message(state),
        changed_at=state.changed_at or now,
        requested_by=state.requested_by,
        retry_at=state.retry_at,
    )


def message(state: LifeState) -> str:
    """Say in a sentence where the life is, why, and what can be done about it."""
    match state.phase:
        case Phase.BUILDING:
            layer = plan.next_layer(state.assured)
            return "all layers stand" if layer is None else f"layer {layer.value} is being built"
        case Phase.WAITING:
            obstacles = state.layers[Layer.PREFLIGHT].problem
            return f"it cannot be built there yet: {obstacles}{_again(state)}"
        case Phase.FAILED:
            failed = plan.next_layer(state.assured) or Layer.OPENING
            return (
                f"layer {failed.value} could not be built: {state.layers[failed].problem}. Mend "
                "the cause and retry, or abandon the cell"
            )
        case Phase.READY:
            return "it serves, and takes namespaces"
        case Phase.DRAINING:
            return _draining(state)
        case Phase.DISMANTLING:
            return _dismantling(state)
        case Phase.GONE:
            return "nothing of it is left; its name and its network are never used again"


def _draining(state: LifeState) -> str:
    if problem := state.layers[Layer.OPENING].problem:
        return f"the fleet does not answer: {problem}{_again(state)}"
    if state.is_kept:
        return "it is kept, and about to take namespaces again"
    if not state.is_cordoned:
        return "it is to go: nothing more is placed there from now on"
    if not state.residents.count:
        return "it is looked whether anybody still lives there"
    return f"{state.residents.described}. It is taken down when all have moved{_again(state)}"


def _dismantling(state: LifeState) -> str:
    layer = plan.last_standing(state.layers)
    if layer is None:
        return "all layers are gone"
    problem = state.layers[layer].problem
    if not problem:
        return f"layer {layer.value} is being dismantled"
    return f"layer {layer.value} is not gone yet: {problem}{_again(state)}"


def _again(state: LifeState) -> str:
    at = state.retry_at
    return "" if at is None else f"; it is looked at again at {at:%H:%M:%S} UTC"
