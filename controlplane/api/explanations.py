"""Why a cell is where it is in a rollout: the answer to "why not yet?". Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from cells.types import CellView
from controlplane.api.rollout_types import CellExplanation, PresentPlan
from controlplane.errors import not_found
from controlplane.store.inventory import cell_facts
from rollout.bake import Bake
from rollout.calendar import Calendar
from rollout.planning.approvals import told
from rollout.types import (
    CellProgress,
    CellStatus,
    Event,
    Phase,
    RingProgress,
    RolloutView,
    Wait,
)

_UNDER_WAY = frozenset({CellStatus.VISITING, CellStatus.REVERTING})
_TO_COME = frozenset({CellStatus.WAITING, CellStatus.DEFERRED})


def explain(
    view: RolloutView,
    cell: str,
    present: CellView | None,
    calendar: Calendar,
    visit_takes: timedelta,
    history: Sequence[Event],
    now: datetime,
) -> CellExplanation:
    """Return what is known of a cell in a rollout; raise `not_found` for one that it does not know.

    `present` is the cell as it is now, None when it has left the fleet.
    """
    waits = tuple(wait for wait in view.waits if wait.cell == cell)
    known = view.cells.get(cell)
    if known is None and not waits:
        raise not_found(
            f"rollout {view.id} does not know a cell {cell!r}: it may have joined after the last "
            "look at the fleet, or be none"
        )
    progress = known or CellProgress(ring=0 if present is None else present.spec.ring)
    ring = view.rings.get(progress.ring, RingProgress())
    closed = "" if present is None else _closed(calendar, present, visit_takes, now)
    return CellExplanation(
        rollout=view.id,
        cell=cell,
        status=progress.status,
        words=tuple(_words(view, cell, progress, ring, waits, present, closed)),
        progress=progress,
        ring=progress.ring,
        in_batch=cell in ring.members,
        batch=ring.batches,
        waits=waits,
        budget=view.budgets.get(progress.ring, ""),
        bake=ring.bake,
        approvals=tuple(ring.approvals),
        hold=view.holds.get(cell),
        calendar=closed,
        history=tuple(history),
    )


def present_plan(view: RolloutView) -> PresentPlan:
    """Return what the rollout means to do, and what an approval given now is bound to."""
    given = [each for ring in view.rings.values() for each in ring.approvals]
    return PresentPlan(
        rollout=view.id,
        revision=view.revision,
        plan_hash=view.plan_hash,
        ring=view.ring,
        approvals=tuple(each for each in given if each.plan == view.plan_hash),
        under_way=tuple(c for c, p in sorted(view.cells.items()) if p.status in _UNDER_WAY),
        waits=view.waits,
        done=sum(p.status is CellStatus.DONE for p in view.cells.values()),
        cells=len(view.cells),
        evidence_digest=view.evidence_digest,
        evidence=told(view.evidence),
    )


def _words(
    view: RolloutView,
    cell: str,
    progress: CellProgress,
    ring: RingProgress,
    waits: Sequence[Wait],
    present: CellView | None,
    closed: str,
) -> Iterator[str]:
    yield _status(view, cell, progress)
    if view.outcome is not None:
        yield f"The rollout has ended: {view.outcome}."
        return
    if view.blocked:
        yield f"The rollout cannot go on by itself: {view.blocked}."
    if view.phase is not Phase.FORWARD:
        yield f"The rollout is {view.phase}{_because(view.message)}."
    if view.paused_by:
        yield f"It is paused: {view.paused_by}."
    if view.emergency is not None and not view.emergency.closed:
        yield (
            f"It is an emergency that {view.emergency.actor} declared"
            f"{_until(view.emergency.until)}: {view.emergency.reason}."
        )
    if (how := view.drifted.get(cell)) is not None:
        yield f"Somebody changed it by hand: {how}."
    for wait in waits:
        yield f"It waits: {wait.message}{_until(wait.until)}."
    if progress.status in _TO_COME:
        if (hold := view.holds.get(cell)) is not None:
            yield f"{hold.actor} holds it{_until(hold.until)}: {hold.reason}."
        if closed:
            yield f"The calendar: {closed}."
        if present is not None and (why := view.confounded.get(present.spec.region)):
            yield f"Nothing starts in {present.spec.region}: {why}."
        if budget := view.budgets.get(progress.ring):
            yield f"Failures that ring {progress.ring} may have: {budget}."
    if ring.bake is not None and not ring.bake.is_complete:
        yield _baking(progress.ring, ring.bake)


def _status(view: RolloutView, cell: str, progress: CellProgress) -> str:
    what = f"{cell} is {progress.status} in rollout {view.id} of release {view.release}"
    return f"{what}{_because(progress.message)}."


def _baking(ring: int, bake: Bake) -> str:
    seen = "nothing was seen yet" if bake.verdict is None else f"the last verdict is {bake.verdict}"
    given = f", {bake.inherited} of it for what it is a patch of" if bake.inherited else ""
    return (
        f"Ring {ring} bakes: {bake.credit} of {bake.needed} green evidence{given}, and {seen}"
        f"{_because(bake.message)}."
    )


def _because(message: str) -> str:
    return f": {message}" if message else ""


def _until(until: datetime | None) -> str:
    return "" if until is None else f", until {until:%Y-%m-%d %H:%M} UTC"


def _closed(calendar: Calendar, present: CellView, visit_takes: timedelta, now: datetime) -> str:
    verdict = calendar.at(now).may_start(cell_facts(present), visit_takes, forward=True)
    return "" if verdict.allowed else f"{verdict.reason}{_until(verdict.until)}"
