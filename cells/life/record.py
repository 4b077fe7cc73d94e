"""What is written down of a cell's life as it goes on. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from cells.life import plan
from cells.life.plan import Pace
from cells.life.types import NOBODY, Layer, LayerRecord, LifeState, Phase, Residents
from cells.providers.types import Account, Foundation
from cells.types import CellAddresses

Found = Account | Foundation | CellAddresses | None
"""What a layer leaves that those above it need."""


def touch(state: LifeState, now: datetime) -> None:
    state.revision += 1
    state.changed_at = now


def begun(state: LifeState, layer: Layer, now: datetime) -> None:
    """Write a layer down before anything of it is made: what is not written is never undone."""
    known = state.layers.get(layer)
    if known is None:
        state.layers[layer] = LayerRecord(layer, now)
    else:
        state.layers[layer] = replace(known, attempts=known.attempts + 1, progress="")
    state.retry_at = None
    touch(state, now)


def told(state: LifeState, layer: Layer, text: str, now: datetime) -> None:
    """Take note of what is being done to a layer right now."""
    if state.layers[layer].progress != text:
        state.layers[layer] = replace(state.layers[layer], progress=text)
        touch(state, now)


def built(state: LifeState, layer: Layer, found: Found, now: datetime) -> None:
    """Take note that a layer stands, and of what it leaves, wanted any longer or not."""
    match found:
        case Account():
            state.account = found
        case Foundation():
            state.foundation = found
        case CellAddresses():
            state.addresses = found
        case None:
            pass
    known = state.layers[layer]
    state.layers[layer] = replace(known, built_at=known.built_at or now, progress="", problem="")
    touch(state, now)
    if state.phase not in (Phase.BUILDING, Phase.WAITING):
        return
    state.assured.append(layer)
    state.looks = 0
    is_complete = plan.next_layer(state.assured) is None
    state.phase = Phase.READY if is_complete else Phase.BUILDING


def hindered(state: LifeState, obstacles: Sequence[str], now: datetime) -> None:
    """Wait for what stands against the cell to go away."""
    _troubled(state, Layer.PREFLIGHT, "; ".join(obstacles), now)
    if state.phase in (Phase.BUILDING, Phase.WAITING):
        state.phase = Phase.WAITING
        _look_later(state, plan.PREFLIGHT, now)


def failed(state: LifeState, layer: Layer, problem: str, now: datetime) -> None:
    """Stop at a layer that cannot be built."""
    _troubled(state, layer, problem, now)
    # It may have stood before: now nobody knows.
    state.layers[layer] = replace(state.layers[layer], built_at=None)
    if state.phase in (Phase.BUILDING, Phase.WAITING):
        state.phase = Phase.FAILED
        state.looks = 0


def resumed(state: LifeState, now: datetime) -> None:
    """Wait no longer."""
    if state.retry_at is not None:
        state.retry_at = None
        touch(state, now)


def dismantled(state: LifeState, layer: Layer, now: datetime) -> None:
    state.layers[layer] = replace(state.layers[layer], dismantled_at=now, progress="", problem="")
    state.retry_at, state.looks, state.leftovers = None, 0, ()
    if plan.last_standing(state.layers) is None:
        state.phase = Phase.GONE
    touch(state, now)


def left_over(state: LifeState, leftovers: Sequence[str], now: datetime) -> None:
    """Keep the account as long as something is in it."""
    state.leftovers = tuple(leftovers)
    problem = f"the account still has what belongs to the cell: {', '.join(leftovers)}"
    not_dismantled(state, Layer.ACCOUNT, problem, now)


def not_dismantled(state: LifeState, layer: Layer, problem: str, now: datetime) -> None:
    """Try again later: nothing is left behind because it would not go at first."""
    _troubled(state, layer, problem, now)
    _look_later(state, plan.DISMANTLING, now)


def cordoned(state: LifeState, now: datetime) -> None:
    state.is_cordoned, state.looks, state.retry_at = True, 0, None
    _troubled(state, Layer.OPENING, "", now)


def counted(state: LifeState, residents: Residents, now: datetime) -> None:
    """Go on to dismantling once nobody lives there; else look again later."""
    _troubled(state, Layer.OPENING, "", now)
    if state.is_kept:
        return  # Somebody has called it off meanwhile.
    if state.residents != residents:
        state.looks = 0
    state.residents = residents
    if residents.count:
        _look_later(state, plan.DRAINING, now)
        return
    state.phase, state.looks, state.retry_at = Phase.DISMANTLING, 0, None
    touch(state, now)


def unanswered(state: LifeState, problem: str, now: datetime) -> None:
    """Ask the fleet again later: it did not answer while the cell was draining."""
    _troubled(state, Layer.OPENING, problem, now)
    _look_later(state, plan.DRAINING, now)


def reopened(state: LifeState, now: datetime) -> None:
    """Be what it was before anybody wanted it to go."""
    state.phase, state.ends_for = Phase.READY, None
    state.is_cordoned = state.is_kept = False
    state.looks, state.retry_at, state.residents = 0, None, NOBODY
    _troubled(state, Layer.OPENING, "", now)


def _troubled(state: LifeState, layer: Layer, problem: str, now: datetime) -> None:
    state.layers[layer] = replace(state.layers[layer], problem=problem, progress="")
    touch(state, now)


def _look_later(state: LifeState, pace: Pace, now: datetime) -> None:
    state.looks += 1
    state.retry_at = now + pace.pause(state.looks)
    touch(state, now)
