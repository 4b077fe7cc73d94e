"""What a rollout may do next, and why everything else waits. Pure: no clock, no I/O, no Temporal.

`plan` decides; what it is made of is in `rollout.planning`, where `progress` writes down what came
of it. On the way forward the ring at work takes its batches one after the other (`ringwork`); cells
that come when the batches of their ring are over follow one at a time (`latecomers`).
"""

from dataclasses import replace
from datetime import datetime, timedelta

from rollout.bake import next_look
from rollout.planning.approvals import plan_hash
from rollout.planning.budget import LOST, halt_reason
from rollout.planning.draft import Draft, draft, standing_waits, watched, watched_late
from rollout.planning.latecomers import late_cells
from rollout.planning.outcomes import ended, lease_refused, lease_unanswered, started
from rollout.planning.problems import laggards, problems
from rollout.planning.progress import apply, new_state, note
from rollout.planning.ringwork import work
from rollout.planning.rollback import plan_back
from rollout.planning.skew import holds_too_long
from rollout.planning.survey import AT_THEIR_TURN, Survey, survey
from rollout.planning.view import view
from rollout.policy import RollbackScope
from rollout.types import (
    CellStatus,
    Fleet,
    Outcome,
    Phase,
    Plan,
    RolloutState,
    WaitCode,
)

__all__ = [
    "apply",
    "ended",
    "lease_refused",
    "lease_unanswered",
    "new_state",
    "note",
    "plan",
    "plan_hash",
    "problems",
    "started",
    "view",
]

LOOK_AGAIN = timedelta(minutes=5)
"""When something may have changed that nobody tells us of."""
LOOK_LESS = timedelta(minutes=30)
"""The same, when only cells are missing that stay away for days."""

SEEN_BY_LOOKING = frozenset(
    {
        WaitCode.SICK,
        WaitCode.QUARANTINED,
        WaitCode.BUSY,
        WaitCode.LAG,
        WaitCode.PAIR,
        WaitCode.CONFOUNDED,
        WaitCode.DEFERRALS,
        WaitCode.NO_WAY,
        WaitCode.FINALIZE,
        WaitCode.CALENDAR,
        WaitCode.DRIFTED,
    }
)
"""What may be over without anybody telling us."""
_NEEDS_A_PERSON = (
    WaitCode.NO_WAY,
    WaitCode.QUARANTINED,
    WaitCode.HELD,
    WaitCode.DRIFTED,
)


def plan(state: RolloutState, fleet: Fleet, now: datetime) -> Plan:
    """Return the legal next actions, and a reason for everything that is not done."""
    if state.phase is Phase.ENDED:
        return Plan()
    if not fleet.cells and state.phase is not Phase.STOPPING:
        # An empty answer says more about the inventory than about the fleet.
        return Plan(blocked="the fleet has no cells: add one", wake_at=now + LOOK_AGAIN)
    seen = survey(state, fleet, now)
    match state.phase:
        case Phase.QUEUED:
            decided = _standing(seen, WaitCode.QUEUED, state.message or "it is not its turn yet")
        case Phase.FORWARD:
            decided = _forward(seen)
        case Phase.HALTED:
            decided = _halted(seen)
        case Phase.ROLLING_BACK:
            decided = plan_back(seen)
        case Phase.STOPPING:
            decided = _stopping(seen)
    return _timed(seen, decided)


def _standing(seen: Survey, code: WaitCode, message: str) -> Plan:
    """Return a plan in which nothing starts, for a reason that all cells share."""
    return Plan(
        waits=standing_waits(seen, code, message),
        marks=tuple(seen.marks.values()),
        ring=seen.ring,
        confounded=seen.confounded,
    )


def _stopping(seen: Survey) -> Plan:
    standing = _standing(seen, WaitCode.STOPPING, "the rollout stops")
    if seen.under_way:
        return standing
    return replace(standing, finish=seen.state.outcome_wanted or Outcome.ABORTED)


def _halted(seen: Survey) -> Plan:
    state = seen.state
    standing = replace(
        _standing(seen, WaitCode.HALTED, state.message),
        # Whether it gets well by itself is worth knowing for who decides how to go on.
        watch=watched(seen),
        late=watched_late(seen),
    )
    goes_back = state.rolling_back is not RollbackScope.NONE and not state.paused_by
    if goes_back and not seen.under_way:
        return replace(standing, roll_back=state.rolling_back)
    return standing


def _forward(seen: Survey) -> Plan:
    state = seen.state
    if reason := halt_reason(state):
        return replace(_standing(seen, WaitCode.HALTED, reason), halt=reason)
    if held := holds_too_long(state, seen.fleet, seen.now):
        standing = _standing(seen, WaitCode.SKEW, held)
        return replace(standing, blocked=held, watch=watched(seen), late=watched_late(seen))
    if behind := laggards(state.release, seen.fleet):
        return replace(_standing(seen, WaitCode.FINALIZE, behind), blocked=behind)
    made = draft(seen)
    made.waits |= seen.obstacles
    # Those that come late go first: they were to have gone before.
    for ring in seen.rings:
        progress = state.rings.get(ring)
        its_turn = seen.ring is None or ring <= seen.ring
        if its_turn and progress is not None and (progress.baked or progress.bakes_ring):
            late_cells(made, ring, progress)
    if seen.ring is not None:
        work(made, seen.ring)
        _let_later_rings_wait(made, seen.ring)
    made.wait_for_persons()
    decided = Plan(
        starts=tuple(made.starts),
        waits=tuple(made.waits.values()),
        marks=tuple(seen.marks.values()),
        ring=seen.ring,
        begin_batch=made.begin_batch,
        begin_bake=made.begin_bake,
        bakes_ring=made.bakes_ring,
        complete_ring=made.complete_ring,
        watch=watched(seen),
        late=watched_late(seen),
        confounded=seen.confounded,
        blocked=made.blocked,
    )
    return decided if seen.ring is not None or seen.under_way else _near_the_end(seen, decided)


def _let_later_rings_wait(made: Draft, at_work: int) -> None:
    seen = made.seen
    first = {
        passive: each.active
        for each in seen.fleet.replicas
        for passive in each.passive
        if _comes_later(seen, passive, each.active)
    }
    for ring, cells in seen.rings.items():
        if ring <= at_work:
            continue
        message = f"ring {at_work} is not through, and ring {ring} comes after it"
        for cell in cells:
            if seen.status(cell) in AT_THEIR_TURN:
                if active := first.get(cell):
                    told = f"{message}; {active}, whose passive replicas it has, is in a lower ring"
                    made.wait([cell], WaitCode.RING, f"{told}: the order of rings comes first")
                else:
                    made.wait([cell], WaitCode.RING, message)


def _comes_later(seen: Survey, passive: str, active: str) -> bool:
    here, there = seen.cells.get(passive), seen.cells.get(active)
    return here is not None and there is not None and here.ring > there.ring


def _near_the_end(seen: Survey, decided: Plan) -> Plan:
    """Return how it ends, once every ring is through and nothing is under way."""
    state = seen.state
    statuses = {progress.status for progress in seen.cells.values()}
    if CellStatus.WAITING in statuses or decided.late:
        return decided
    if CellStatus.DEFERRED not in statuses:
        return replace(decided, finish=_outcome(seen))
    ends_at = (state.deferrals_since or seen.now) + state.policy.deferral_patience
    if ends_at <= seen.now:
        return replace(decided, finish=_outcome(seen))
    waits = tuple(
        replace(wait, message=f"{wait.message}; it stays behind if that lasts", until=wait.until)
        for wait in decided.waits
    )
    people = [wait for wait in waits if wait.code in _NEEDS_A_PERSON]
    blocked = f"{people[0].cell}: {people[0].message}" if people else ""
    return replace(decided, waits=waits, only_deferred=True, wake_at=ends_at, blocked=blocked)


def _outcome(seen: Survey) -> Outcome:
    cells = seen.cells.values()
    if any(
        cell.status in LOST
        or cell.status is CellStatus.REVERTED
        # Whoever skips a cell that failed lets the others go on; a failure it remains.
        or (cell.status is CellStatus.SKIPPED and cell.failures)
        for cell in cells
    ):
        return Outcome.FAILED
    if any(cell.status is CellStatus.DEFERRED for cell in cells):
        return Outcome.SUCCEEDED_WITH_DEFERRALS
    return Outcome.SUCCEEDED


def _timed(seen: Survey, decided: Plan) -> Plan:
    """Return the plan with the time to plan anew, and never one that stops without a word."""
    starts = {start.cell for start in decided.starts}
    waits = tuple(wait for wait in decided.waits if wait.cell not in starts)
    drifted = {cell.id: cell.drift for cell in seen.fleet.cells if cell.drift}
    decided = replace(decided, waits=waits, drifted=drifted)
    times = [decided.wake_at] if decided.wake_at else []
    times += [wait.until for wait in waits if wait.until is not None and wait.until > seen.now]
    if any(wait.code in SEEN_BY_LOOKING and wait.until is None for wait in waits):
        times.append(seen.now + (LOOK_LESS if decided.only_deferred else LOOK_AGAIN))
    times += [o.until for o in seen.state.overrides.values() if o.until > seen.now]
    holds = (hold.until for hold in seen.state.holds.values())
    times += [until for until in holds if until is not None and until > seen.now]
    emergency = seen.state.emergency
    if emergency is not None and not emergency.closed and emergency.until > seen.now:
        times.append(emergency.until)
    times += _looks_due(seen)
    steps = (decided.begin_bake, decided.complete_ring or None, decided.roll_back)
    if decided.halt or any(step is not None for step in steps):
        # What follows from it is planned at once.
        times.append(seen.now)
    decided = replace(decided, wake_at=min(times, default=None))
    goes_on = decided.starts or seen.under_way or decided.finish or decided.wake_at
    waits_for_person = seen.state.phase is not Phase.FORWARD or seen.state.paused_by
    if goes_on or waits_for_person or decided.blocked:
        return decided
    first = next(iter(waits), None)
    why = f"{first.cell}: {first.message}" if first else "why is not known, which is a defect"
    return replace(decided, blocked=f"nothing can go on: {why}")


def _looks_due(seen: Survey) -> list[datetime]:
    """Return when evidence is due of bakes that are under way."""
    if seen.state.phase is not Phase.FORWARD:
        return []
    return [
        next_look(bake, seen.now, seen.state.policy.alert_without_data_after)
        for number, ring in seen.state.rings.items()
        for bake in (ring.bake if number == seen.ring else None, ring.late_bake)
        if bake is not None and not bake.is_complete
    ]
