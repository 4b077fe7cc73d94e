"""The way back: which cells, in which order, and when there is none."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from cells.release import NoWay, Release
from rollout.planning.admission import Admission
from rollout.planning.draft import standing_waits
from rollout.planning.order import passive_first
from rollout.planning.patches import forfeit
from rollout.planning.survey import Survey, hops
from rollout.policy import RollbackScope
from rollout.types import (
    CellFacts,
    CellStatus,
    Outcome,
    Phase,
    Plan,
    RingProgress,
    RolloutState,
    Start,
    Wait,
    WaitCode,
)

_FOR_GOOD = (WaitCode.NO_WAY, WaitCode.QUARANTINED)
"""What keeps a cell from going back whatever time passes."""


def no_way_back(state: RolloutState) -> str:
    """Return why this release cannot be taken back; empty when it can."""
    release = state.release
    if not release.finalizes and not release.is_one_way:
        return ""
    of = f" of {release.finalizes}" if release.finalizes else ""
    return (
        f"release {release.name} takes one-way steps{of}, so no cell can go back. Roll forward: "
        f"create a release that corrects it (patch_of {release.name}) and start its rollout"
    )


def by_itself(state: RolloutState) -> RollbackScope:
    """Return what goes back by itself when the rollout halts now."""
    broken = any(progress.status is CellStatus.BROKEN for progress in state.cells.values())
    by_cell = state.policy.rollback in (RollbackScope.NONE, RollbackScope.CELL)
    # A cell that is neither here nor there stops everything of the release, what goes back too.
    return RollbackScope.NONE if broken or by_cell or no_way_back(state) else state.policy.rollback


def cells_in(state: RolloutState, scope: RollbackScope) -> list[str]:
    """Return the cells with the release that a rollback of this scope takes back."""
    match scope:
        case RollbackScope.NONE:
            return []
        case RollbackScope.CELL:
            wanted: Iterable[str] = state.to_revert
        case RollbackScope.BATCH:
            ring = _ring_at_work(state)
            members = ring.members if ring is not None else ()
            wanted = (*members, *(each.late for each in state.rings.values() if each.late))
        case RollbackScope.RING:
            number = _number_at_work(state)
            wanted = (cell for cell, progress in state.cells.items() if progress.ring == number)
        case RollbackScope.ALL:
            wanted = state.cells
    return [cell for cell in dict.fromkeys(wanted) if _has_been_brought(state, cell)]


def begin(state: RolloutState, scope: RollbackScope) -> bool:
    """Take back what has the release within the scope; tell whether there is anything."""
    cells = cells_in(state, scope)
    state.rolling_back = scope if cells else RollbackScope.NONE
    state.to_revert = cells
    if not cells and state.outcome_wanted is None:
        return False
    state.phase = Phase.ROLLING_BACK
    rings = {state.cells[cell].ring for cell in cells}
    for number, ring in state.rings.items():
        if number not in rings:
            continue
        ring.bake, ring.bakes_ring, ring.late, ring.late_bake = None, False, "", None
        forfeit(state, number)
        if scope in (RollbackScope.RING, RollbackScope.ALL):
            ring.baked, ring.batches, ring.members = False, 0, ()
    return True


def plan_back(seen: Survey) -> Plan:
    """Return the next cells to take back, and how it ends when there are none."""
    admission, most = Admission(seen), _most_per_region(seen)
    left = {
        cell: seen.cells[cell].ring
        for cell in seen.state.to_revert
        if cell in seen.facts and seen.status(cell) is CellStatus.DONE
    }
    blockers = passive_first(seen.fleet.replicas, left, across_rings=True)
    starts: list[Start] = []
    waits: list[Wait] = []
    for cell in left:
        facts = seen.facts[cell]
        answer: Start | Wait | None = _wait(seen, facts, blockers.get(cell, ()))
        if answer is None:
            way = _way_back(seen, facts)
            assert not isinstance(way, NoWay), "that is a wait"
            answer = admission.back(facts, way, most[facts.region])
        if isinstance(answer, Start):
            starts.append(answer)
        else:
            waits.append(answer)
    others = standing_waits(seen, WaitCode.HALTED, f"others go back: {seen.state.message}")
    decided = Plan(
        starts=tuple(starts),
        waits=(*waits, *others),
        marks=tuple(seen.marks.values()),
        ring=seen.ring,
        confounded=seen.confounded,
    )
    if starts or seen.under_way or any(wait.code not in _FOR_GOOD for wait in waits):
        return decided
    return _over(seen, decided, waits)


def _over(seen: Survey, decided: Plan, left: Sequence[Wait]) -> Plan:
    """Return how it goes on when nothing more can go back."""
    state = seen.state
    if state.outcome_wanted is not None:
        return replace(decided, finish=state.outcome_wanted)
    if state.rolling_back is RollbackScope.ALL:
        return replace(decided, finish=Outcome.FAILED)
    behind = f"; {left[0].cell} keeps the release: {left[0].message}" if left else ""
    return replace(
        decided,
        halt=f"{state.message}. Rolled back by {state.rolling_back.value}{behind}. Retry, roll "
        "back more, or abort",
    )


def _wait(seen: Survey, cell: CellFacts, before: Iterable[str]) -> Wait | None:
    obstacle = _obstacle(seen, cell)
    if obstacle is not None:
        return obstacle
    way = _way_back(seen, cell)
    if isinstance(way, NoWay):
        return Wait(cell.id, WaitCode.NO_WAY, f"it cannot go back: {way}")
    others = [other for other in before if _will_go(seen, other)]
    if others:
        message = f"{min(others)} has passive replicas of its namespaces and goes back first"
        return Wait(cell.id, WaitCode.PASSIVE_FIRST, message)
    if seen.state.paused_by:
        return Wait(cell.id, WaitCode.PAUSED, f"paused by {seen.state.paused_by}: resume it")
    return None


def _obstacle(seen: Survey, cell: CellFacts) -> Wait | None:
    # One that is sick is not left out: going back may be what makes it well.
    progress = seen.cells[cell.id]
    if cell.quarantine:
        message = f"quarantined: {cell.quarantine}; lift the quarantine once it is well"
        return Wait(cell.id, WaitCode.QUARANTINED, message)
    if cell.visit and cell.visit != progress.visit:
        return Wait(cell.id, WaitCode.BUSY, f"visit {cell.visit} is under way there")
    if progress.not_before is not None and progress.not_before > seen.now:
        return Wait(cell.id, WaitCode.LEASE, progress.message, progress.not_before)
    return None


def _will_go(seen: Survey, cell: str) -> bool:
    facts = seen.facts[cell]
    return not facts.quarantine and not isinstance(_way_back(seen, facts), NoWay)


def _way_back(seen: Survey, cell: CellFacts) -> tuple[str, ...] | NoWay:
    if not seen.state.release.server_version:
        return ()
    before = Release(name="before", server_version=seen.cells[cell.id].before)
    return hops(cell.server_version, before, seen.fleet)


def _most_per_region(seen: Survey) -> dict[str, int]:
    """Return how many of each region's cells may go back at once: half, so that half of it serves.

    There is no bake and no budget on the way back; haste is what it is for.
    """
    sizes = Counter(cell.region for cell in seen.fleet.cells)
    return defaultdict(int, {region: max(size // 2, 1) for region, size in sizes.items()})


def _has_been_brought(state: RolloutState, cell: str) -> bool:
    """Whether this rollout brought the release there: what had it before keeps it."""
    progress = state.cells.get(cell)
    return progress is not None and progress.status is CellStatus.DONE and progress.visits > 0


def _number_at_work(state: RolloutState) -> int | None:
    begun = [number for number, ring in state.rings.items() if ring.batches]
    return next((n for n in sorted(begun) if not state.rings[n].baked), max(begun, default=None))


def _ring_at_work(state: RolloutState) -> RingProgress | None:
    number = _number_at_work(state)
    return None if number is None else state.rings[number]
