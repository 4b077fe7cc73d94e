"""What becomes of a rollout: by what was planned, and by how visits begin and end."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from rollout import bake as bakes
from rollout.people import Approval
from rollout.planning import rollback
from rollout.planning.approvals import evidence_seen, plan_hash, worse
from rollout.planning.patches import head_start
from rollout.planning.survey import awaits_lease
from rollout.policy import RollbackScope
from rollout.types import (
    CellProgress,
    CellStatus,
    Event,
    Fleet,
    Mark,
    Phase,
    Plan,
    RingProgress,
    RolloutState,
    StartRollout,
)

MOST_EVENTS = 200
MOST_DURATIONS = 100
ASK_LEDGER_AGAIN = timedelta(minutes=1)
REFUSED_FOR = timedelta(minutes=15)
"""How long a cell is let alone after it refused a visit; twice as long each time."""
REFUSED_AT_MOST = timedelta(hours=6)


def new_state(request: StartRollout) -> RolloutState:
    """Return a rollout that has not begun."""
    return RolloutState(
        id=request.id,
        release=request.release,
        policy=request.policy,
        lane=request.lane,
        actor=request.actor,
        reason=request.reason,
        patch_credit=request.patch_credit,
    )


def note(
    state: RolloutState, what: str, message: str, now: datetime, actor: str = "", cell: str = ""
) -> None:
    """Write down something that was decided; the latest are kept."""
    state.events_made += 1
    state.events.append(Event(state.events_made, now, what, message, actor, cell))
    del state.events[:-MOST_EVENTS]


def apply(state: RolloutState, plan: Plan, fleet: Fleet, now: datetime) -> None:
    """Write down what is planned, visits aside: marks, batches, bakes, phases."""
    if state.started_at is None and state.phase is not Phase.QUEUED:
        state.started_at = now
    known = len(state.cells)
    _mark(state, plan.marks, now, joined=known > 0)
    _forget_expired(state, now)
    _confound(state, plan, now)
    _tell_drift(state, plan, now)
    _move_ring(state, plan, now)
    _close_late_bakes(state, now)
    state.deferrals_since = (state.deferrals_since or now) if plan.only_deferred else None
    if plan.blocked and plan.blocked != state.blocked:
        note(state, "blocked", plan.blocked, now)
    state.blocked = plan.blocked
    if plan.halt:
        _halt(state, plan.halt, now)
    if plan.roll_back is not None:
        taken = rollback.begin(state, plan.roll_back)
        note(state, "rolls back" if taken else "nothing to roll back", state.message, now)
    if plan.finish is not None:
        state.phase, state.outcome, state.ended_at = Phase.ENDED, plan.finish, now
        note(state, "ended", plan.finish.value, now)
    _void_approvals(state, fleet, now)


def went_through(state: RolloutState, cells: Sequence[str]) -> bool:
    """Return whether one of these cells has the release."""
    return any(
        (progress := state.cells.get(cell)) is not None and progress.status is CellStatus.DONE
        for cell in cells
    )


def _mark(state: RolloutState, marks: Sequence[Mark], now: datetime, *, joined: bool) -> None:
    told: Counter[str] = Counter()
    first: dict[str, Mark] = {}
    for mark in marks:
        before = state.cells.get(mark.cell)
        progress = before or CellProgress()
        same = before is not None and before.status is mark.status
        state.cells[mark.cell] = replace(
            progress,
            status=mark.status,
            ring=mark.ring,
            message=mark.message,
            since=progress.since if same else now,
            # What is tried again by itself keeps its time; anything else starts afresh.
            not_before=progress.not_before if mark.status is CellStatus.DEFERRED else None,
        )
        # A cell that waits for a lease is asked for every minute; the refusal has been told.
        quiet = before is not None and awaits_lease(before)
        if (before is None and joined) or (before is not None and not same and not quiet):
            what = "cell joined" if before is None else f"cell {mark.status.value}"
            told[what] += 1
            first.setdefault(what, mark)
    for what, count in told.items():
        more = f"; and {count - 1} more" if count > 1 else ""
        mark = first[what]
        why = mark.message or f"nothing stands in its way in ring {mark.ring}"
        note(state, what, f"{why}{more}", now, cell=mark.cell)


def _forget_expired(state: RolloutState, now: datetime) -> None:
    for gate, override in list(state.overrides.items()):
        if override.until <= now:
            del state.overrides[gate]
            note(state, "gate counts again", f"{gate}: the override has expired", now)
    for cell, hold in list(state.holds.items()):
        if hold.until is not None and hold.until <= now:
            del state.holds[cell]
            note(state, "hold expired", hold.reason, now, cell=cell)


def _confound(state: RolloutState, plan: Plan, now: datetime) -> None:
    for region, why in plan.confounded.items():
        if region not in state.confounded:
            note(state, "confounded", f"{region}: {why}", now)
    for region in state.confounded.keys() - plan.confounded.keys():
        note(state, "confounded no more", region, now)
    state.confounded = dict(plan.confounded)


def _tell_drift(state: RolloutState, plan: Plan, now: datetime) -> None:
    for cell, how in plan.drifted.items():
        if state.drifted.get(cell) != how:
            note(state, "drifted", how, now, cell=cell)
    for cell in state.drifted.keys() - plan.drifted.keys():
        note(state, "drifted no more", "", now, cell=cell)
    state.drifted = dict(plan.drifted)


def _move_ring(state: RolloutState, plan: Plan, now: datetime) -> None:
    if plan.ring is None:
        return
    ring = state.rings.setdefault(plan.ring, RingProgress())
    if plan.begin_batch:
        # A batch in which nothing was done has proven nothing: the next one takes its number.
        counts = not ring.members or went_through(state, ring.members)
        ring.batches += counts or ring.batches == 0
        ring.members = plan.begin_batch
        ring.began_at = ring.began_at or now
        cells = ", ".join(plan.begin_batch[:10])
        more = " ..." if len(plan.begin_batch) > 10 else ""
        note(state, "batch begins", f"ring {plan.ring}, batch {ring.batches}: {cells}{more}", now)
    if plan.begin_bake is not None:
        # What was seen since the last cell was done counts for the ring as it does for the batch.
        ring.bake = (
            bakes.begin(plan.begin_bake, now)
            if ring.bake is None
            else replace(ring.bake, needed=plan.begin_bake)
        )
        ring.bakes_ring = plan.bakes_ring
        what = "ring bakes" if plan.bakes_ring else "batch bakes"
        inherited = ""
        if plan.bakes_ring and (ahead := head_start(state, plan.ring, plan.begin_bake)):
            ring.bake = bakes.inherit(ring.bake, ahead)
            assert state.patch_credit is not None, "that is where it comes from"
            inherited = f", of which {ahead} count from {state.patch_credit.release}"
        message = f"ring {plan.ring}: {plan.begin_bake} of green evidence{inherited}"
        note(state, what, message, now)
    if plan.complete_ring:
        ring.baked = True
        ring.began_at = ring.began_at or now
        note(state, "ring is through", f"ring {plan.ring}", now)


def _close_late_bakes(state: RolloutState, now: datetime) -> None:
    for number, ring in state.rings.items():
        if ring.late_bake is not None and ring.late_bake.is_complete:
            note(state, "late cell baked", f"ring {number}", now, cell=ring.late)
            ring.late, ring.late_bake = "", None


def _halt(state: RolloutState, message: str, now: datetime) -> None:
    by_itself = state.phase is Phase.FORWARD
    state.rolling_back = rollback.by_itself(state) if by_itself else RollbackScope.NONE
    state.phase, state.message, state.to_revert = Phase.HALTED, message, []
    note(state, "halted", message, now)


def _void_approvals(state: RolloutState, fleet: Fleet, now: datetime) -> None:
    state.plan_hash = plan_hash(state, fleet)
    seen = evidence_seen(state)
    for number, ring in state.rings.items():
        if ring.batches or ring.baked or not ring.approvals:
            continue
        void: dict[str, list[Approval]] = {}
        for each in ring.approvals:
            if each.plan != state.plan_hash:
                void.setdefault("the plan has changed", []).append(each)
            elif turned := worse(each, seen):
                void.setdefault(f"the evidence has turned worse ({turned})", []).append(each)
        for why, given in void.items():
            ring.approvals = [each for each in ring.approvals if each not in given]
            actors = ", ".join(sorted({each.actor for each in given}))
            message = f"ring {number}: {why} since {actors} agreed: approve it anew"
            note(state, "approvals void", message, now)
