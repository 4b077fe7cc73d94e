"""The emergency lane: who opened it, until when, and what holds once it is closed."""

from dataclasses import replace
from datetime import datetime

from rollout.people import Emergency
from rollout.planning.budget import LOST
from rollout.planning.pace import batch_bake, ring_bake
from rollout.planning.progress import note
from rollout.policy import Lane
from rollout.types import CellStatus, RolloutState


def declare(state: RolloutState, now: datetime) -> None:
    """Open the lane for a rollout that asks for it, once."""
    if state.lane is Lane.EMERGENCY and state.emergency is None:
        until = now + state.policy.emergency_for
        state.emergency = Emergency(state.actor, state.reason, now, until)


def keep_up(state: RolloutState, now: datetime) -> None:
    """Close the lane once its time is over, or the first cell did not take the release."""
    if state.lane is not Lane.EMERGENCY:
        return
    declare(state, now)
    assert state.emergency is not None, "it was declared"
    if state.emergency.until <= now:
        _close(state, f"it was open until {state.emergency.until:%Y-%m-%d %H:%M UTC}", now)
    elif failed := _failed_first(state):
        _close(state, f"the first cell, {failed}, did not take the release", now)


def was_asked_for(state: RolloutState) -> Lane:
    """Return the lane that the rollout began in."""
    return state.lane if state.emergency is None else Lane.EMERGENCY


def _close(state: RolloutState, why: str, now: datetime) -> None:
    """Let the ordinary rules hold: bakes under way, too, last as long as they say."""
    assert state.emergency is not None, "it was open"
    state.lane = Lane.NORMAL
    state.emergency = replace(state.emergency, closed=why)
    hurried = []
    for number, ring in sorted(state.rings.items()):
        if ring.baked:
            hurried.append(str(number))
        elif ring.bake is not None:
            ordinary = (ring_bake if ring.bakes_ring else batch_bake)(state, number)
            ring.bake = replace(ring.bake, needed=max(ring.bake.needed, ordinary))
        if ring.late_bake is not None:
            ordinary = batch_bake(state, number)
            ring.late_bake = replace(ring.late_bake, needed=max(ring.late_bake.needed, ordinary))
    message = f"{why}: from now on the ordinary rules hold"
    if hurried:
        message += (
            f". Rings that baked only as long as an emergency lets them: {', '.join(hurried)}; "
            "keep an eye on their cells"
        )
    note(state, "emergency lane closed", message, now)


def _failed_first(state: RolloutState) -> str:
    cells = state.cells.items()
    if any(p.status is CellStatus.DONE and p.visits for _, p in cells):
        return ""
    return next((cell for cell, p in cells if p.status in LOST), "")
