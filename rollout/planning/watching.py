"""Which evidence is due of which cells, and what becomes of a bake by it."""

from dataclasses import dataclass
from datetime import datetime

from rollout import bake as bakes
from rollout.bake import Bake
from rollout.gates import Evidence, Verdict
from rollout.planning.controls import overridden
from rollout.planning.patches import forfeit
from rollout.planning.progress import note
from rollout.ports import WatchedCells
from rollout.types import CellStatus, Fleet, Plan, RingProgress, RolloutState


@dataclass(frozen=True)
class Watch:
    """A window in which the cells of one bake are looked at."""

    ring: int
    late: bool
    """It is for the bake of the cell that came late."""
    cells: WatchedCells


def due(state: RolloutState, plan: Plan, fleet: Fleet, now: datetime) -> tuple[Watch, ...]:
    """Return what has to be looked at now; nothing is while no bake wants it."""
    return tuple(
        Watch(ring, late, _window(state, fleet, ring, cells, bake, now))
        for ring, late, cells, bake in _open(state, plan)
        if now >= bakes.next_look(bake, now, state.policy.alert_without_data_after)
    )


def next_look(state: RolloutState, plan: Plan, now: datetime) -> datetime | None:
    """Return when evidence is due next; None when no bake wants any."""
    patience = state.policy.alert_without_data_after
    times = [bakes.next_look(bake, now, patience) for *_, bake in _open(state, plan)]
    return min(times, default=None)


def credit(state: RolloutState, watch: Watch, evidence: Evidence, now: datetime) -> None:
    """Add what was seen to the bake it is for, and tell people once when nothing is to be seen."""
    progress = state.rings[watch.ring]
    before = progress.late_bake if watch.late else progress.bake
    if before is None:
        # It was ended while the evidence was gathered.
        return
    after = bakes.accrue(before, overridden(state, evidence, now))
    if watch.late:
        progress.late_bake = after
    else:
        progress.bake = after
    if after.verdict is Verdict.FAIL:
        forfeit(state, watch.ring)
    since = after.without_data_since
    if since is not None and _is_alarming(state, after) and not _is_alarming(state, before):
        message = f"ring {watch.ring} has had no evidence since {since:%Y-%m-%d %H:%M UTC}"
        note(state, "no data", f"{message}: its bake stands still: {after.message}", now)
    elif after.verdict is Verdict.PASS and before.verdict not in (None, Verdict.PASS):
        note(state, "evidence is green again", f"ring {watch.ring}", now)


def _is_alarming(state: RolloutState, bake: Bake) -> bool:
    since, seen = bake.without_data_since, bake.looked_at
    if since is None or seen is None:
        return False
    return seen - since >= state.policy.alert_without_data_after


def _open(state: RolloutState, plan: Plan) -> list[tuple[int, bool, tuple[str, ...], Bake]]:
    found = []
    progress = None if plan.ring is None else state.rings.get(plan.ring)
    if plan.ring is not None and progress is not None and progress.bake and plan.watch:
        found.append((plan.ring, False, plan.watch, progress.bake))
    for ring, cells in plan.late.items():
        late_bake = state.rings.get(ring, RingProgress()).late_bake
        if late_bake is not None:
            found.append((ring, True, cells, late_bake))
    return found


def _window(
    state: RolloutState,
    fleet: Fleet,
    ring: int,
    cells: tuple[str, ...],
    bake: Bake,
    now: datetime,
) -> WatchedCells:
    changed = [p.changed_at for cell in cells if (p := state.cells.get(cell)) and p.changed_at]
    return WatchedCells(
        gates=tuple(gate for gate in state.policy.gates if not gate.rings or ring in gate.rings),
        cells=cells,
        siblings=_siblings(state, fleet, ring),
        changed_at=min(changed, default=bake.began_at),
        since=bake.counted_until,
        until=now,
        settled_at=bake.began_at,
    )


def _siblings(state: RolloutState, fleet: Fleet, ring: int) -> tuple[str, ...]:
    """Return the unchanged cells of the ring, or if it has none left, of the next that has."""
    by_ring: dict[int, list[str]] = {}
    for cell in fleet.cells:
        progress = state.cells.get(cell.id)
        if (
            cell.ready
            and progress is not None
            and progress.status in (CellStatus.WAITING, CellStatus.DEFERRED)
            and progress.ring >= ring
        ):
            by_ring.setdefault(progress.ring, []).append(cell.id)
    return tuple(by_ring[min(by_ring)]) if by_ring else ()
