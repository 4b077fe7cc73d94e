"""The fleet and a rollout side by side, looked through once."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import datetime

from cells.release import NoWay, Release, Version, way
from rollout.calendar import CalendarAt
from rollout.planning.budget import UNDER_WAY, Budget, budgets
from rollout.planning.order import Blockers, passive_first
from rollout.planning.skew import is_on, warning
from rollout.policy import Drift
from rollout.types import (
    CellFacts,
    CellProgress,
    CellStatus,
    Fleet,
    Mark,
    Phase,
    Replicas,
    RolloutState,
    Wait,
    WaitCode,
)

STAYING = frozenset({CellStatus.FAILED, CellStatus.BROKEN}) | UNDER_WAY
"""What is not forgotten of a cell that left the fleet: its visit, and what it cost."""
AT_THEIR_TURN = frozenset({CellStatus.WAITING, CellStatus.DEFERRED})


@dataclass
class Survey:
    state: RolloutState
    fleet: Fleet
    now: datetime
    calendar: CalendarAt
    digest: str
    facts: dict[str, CellFacts]
    cells: dict[str, CellProgress]
    """As `marks` leave them."""
    marks: dict[str, Mark] = field(default_factory=dict)
    rings: dict[int, list[str]] = field(default_factory=dict)
    """The cells of each ring that are in the fleet and not skipped; no ring without some."""
    ring: int | None = None
    """The ring at work: the first that is not through."""
    under_way: list[str] = field(default_factory=list)
    replicas: dict[str, list[Replicas]] = field(default_factory=dict)
    """By cell, of the namespaces that it shares with others."""
    obstacles: dict[str, Wait] = field(default_factory=dict)
    """Why a cell whose turn it is cannot be visited, whatever the others do."""
    confounded: dict[str, str] = field(default_factory=dict)
    blockers: Blockers = field(default_factory=dict)
    budgets: dict[int, Budget] = field(default_factory=dict)
    ways: dict[str, tuple[str, ...] | NoWay] = field(default_factory=dict)
    """By present server version."""
    versions: dict[str, Version | None] = field(default_factory=dict)

    def status(self, cell: str) -> CellStatus:
        return self.cells[cell].status

    def mark(self, cell: str, status: CellStatus, message: str, ring: int) -> None:
        self.marks[cell] = Mark(cell, status, message, ring)
        self.cells[cell] = replace(
            self.cells.get(cell, CellProgress()), status=status, message=message, ring=ring
        )

    def way(self, cell: CellFacts) -> tuple[str, ...] | NoWay:
        """Return the hops that bring a cell to the release, or why none do."""
        known = self.ways.get(cell.server_version)
        if known is None:
            known = hops(cell.server_version, self.state.release, self.fleet)
            self.ways[cell.server_version] = known
        return known

    def version(self, text: str) -> Version | None:
        """Return a server version; None where it cannot be read."""
        if text not in self.versions:
            try:
                self.versions[text] = Version.parse(text)
            except ValueError:
                self.versions[text] = None
        return self.versions[text]


def survey(state: RolloutState, fleet: Fleet, now: datetime) -> Survey:
    """Return what there is to plan with."""
    seen = Survey(
        state,
        fleet,
        now,
        calendar=fleet.calendar.at(now),
        digest=state.release.digest,
        facts={cell.id: cell for cell in fleet.cells},
        cells=dict(state.cells),
        budgets=budgets(state),
    )
    _keep_up_with_members(seen)
    for cell, progress in seen.cells.items():
        if progress.status in UNDER_WAY:
            seen.under_way.append(cell)
    seen.rings = _rings(seen)
    seen.ring = next((r for r in seen.rings if not _is_through(state, r)), None)
    for each in fleet.replicas:
        for cell in {each.active, *each.passive}:
            seen.replicas.setdefault(cell, []).append(each)
    seen.confounded = _confounded(seen)
    if state.phase is Phase.FORWARD:
        last = seen.ring if seen.ring is not None else max(seen.rings, default=0)
        _find_obstacles(seen, last)
        waiting = {
            cell: progress.ring
            for cell, progress in seen.cells.items()
            if progress.status is CellStatus.WAITING and progress.ring <= last
        }
        seen.blockers = passive_first(fleet.replicas, waiting) if fleet.replicas else {}
    return seen


def hops(present: str, release: Release, fleet: Fleet) -> tuple[str, ...] | NoWay:
    """Return the server versions to go through, or why there is no way."""
    try:
        return way(present, release, fleet.servers)
    except NoWay as no_way:
        return no_way
    except ValueError as unreadable:
        return NoWay(f"what runs there is not known: {unreadable}")


def awaits_lease(progress: CellProgress) -> bool:
    """Return whether it was the ledger that refused: a visit that did so is remembered."""
    return progress.not_before is not None and not progress.visit


def _keep_up_with_members(seen: Survey) -> None:
    """Let cells join, leave, come back and change rings. Nothing of it is an error."""
    release, digest = seen.state.release, seen.digest
    for cell in seen.fleet.cells:
        progress = seen.cells.get(cell.id)
        ring = cell.ring
        if progress is not None:
            # The stricter ring wins; a cell that was begun stays in the budget it was begun on.
            ring = progress.ring if progress.visits else max(progress.ring, ring)
        has_it = cell.release == digest and release.server_version in ("", cell.server_version)
        if progress is None or progress.status is CellStatus.GONE:
            if has_it:
                seen.mark(cell.id, CellStatus.DONE, "it has the release already", ring)
            else:
                seen.mark(cell.id, CellStatus.WAITING, "", ring)
        elif progress.status is CellStatus.DONE and _is_to_be_done_anew(seen, cell):
            seen.mark(cell.id, CellStatus.WAITING, f"changed by hand since: {cell.drift}", ring)
        elif has_it and progress.status in AT_THEIR_TURN:
            seen.mark(cell.id, CellStatus.DONE, "it has the release already", ring)
        elif ring != progress.ring:
            seen.mark(cell.id, progress.status, progress.message, ring)
    if len(seen.cells) > len(seen.facts):
        for name, progress in list(seen.cells.items()):
            gone = name not in seen.facts and progress.status not in STAYING
            if gone and progress.status is not CellStatus.GONE:
                seen.mark(name, CellStatus.GONE, "it left the fleet", progress.ring)


def _is_to_be_done_anew(seen: Survey, cell: CellFacts) -> bool:
    """Whether a cell that had the release has been changed by hand, and that matters."""
    moves = seen.state.phase is Phase.FORWARD and not cell.visit
    return moves and bool(cell.drift) and seen.state.policy.drift is not Drift.REPORT


def _rings(seen: Survey) -> dict[int, list[str]]:
    rings: dict[int, list[str]] = defaultdict(list)
    for cell in seen.fleet.cells:
        progress = seen.cells[cell.id]
        if progress.status is not CellStatus.SKIPPED:
            rings[progress.ring].append(cell.id)
    return dict(sorted(rings.items()))


def _is_through(state: RolloutState, ring: int) -> bool:
    progress = state.rings.get(ring)
    return progress is not None and progress.baked


def _confounded(seen: Survey) -> dict[str, str]:
    most = seen.state.policy.confounded_cells
    if most < 1:
        return {}
    down: Counter[str] = Counter()
    for cell in seen.fleet.cells:
        if not cell.ready and not cell.visit:
            status = seen.cells[cell.id].status
            # What we do to cells, and did, is no sign of their region.
            down[cell.region] += status not in UNDER_WAY and status is not CellStatus.BROKEN
    return {
        region: f"{count} cells of {region} are not ready at once: nothing starts there until "
        f"fewer than {most} are"
        for region, count in sorted(down.items())
        if count >= most
    }


def _find_obstacles(seen: Survey, last: int) -> None:
    for cell in seen.fleet.cells:
        progress = seen.cells[cell.id]
        if progress.status not in AT_THEIR_TURN or progress.ring > last:
            continue
        obstacle = _obstacle(seen, cell, progress)
        if obstacle is not None:
            seen.obstacles[cell.id] = obstacle
            if progress.status is CellStatus.WAITING:
                seen.mark(cell.id, CellStatus.DEFERRED, obstacle.message, progress.ring)
        elif progress.status is CellStatus.DEFERRED:
            told = progress.message if awaits_lease(progress) else ""
            seen.mark(cell.id, CellStatus.WAITING, told, progress.ring)


def _obstacle(seen: Survey, cell: CellFacts, progress: CellProgress) -> Wait | None:
    """Return what keeps this cell from being visited, whatever the others do."""
    hold = seen.state.holds.get(cell.id)
    if hold is not None and is_on(hold, seen.now):
        until = "until it is lifted" if hold.until is None else f"until {_minute(hold.until)}"
        message = f"held by {hold.actor} {until}: {hold.reason} (it has {cell.server_version})"
        if costs := warning(cell, seen.state.release):
            message += f"; {costs}"
        return Wait(cell.id, WaitCode.HELD, message, hold.until)
    if cell.quarantine:
        message = f"quarantined: {cell.quarantine}; lift the quarantine once it is well"
        return Wait(cell.id, WaitCode.QUARANTINED, message)
    if cell.visit and cell.visit != progress.visit:
        return Wait(cell.id, WaitCode.BUSY, f"visit {cell.visit} is under way there")
    if cell.drift and seen.state.policy.drift is Drift.HOLD:
        message = (
            f"somebody changed it by hand: {cell.drift}. Bring it back, or start the rollout with "
            "drift: repair"
        )
        return Wait(cell.id, WaitCode.DRIFTED, message)
    if not cell.ready:
        message = f"it is not ready: {cell.why_not_ready or 'no reason is known'}"
        return Wait(cell.id, WaitCode.SICK, message)
    if progress.not_before is not None and progress.not_before > seen.now:
        code = WaitCode.LEASE if awaits_lease(progress) else WaitCode.SICK
        return Wait(cell.id, code, progress.message, progress.not_before)
    way = seen.way(cell)
    if isinstance(way, NoWay):
        return Wait(cell.id, WaitCode.NO_WAY, str(way))
    return _too_far_apart(seen, cell) if way and cell.id in seen.replicas else None


def _too_far_apart(seen: Survey, cell: CellFacts) -> Wait | None:
    """Return why replicas would run servers too far apart, which may lose what one sends."""
    target = seen.version(seen.state.release.server_version)
    for each in seen.replicas[cell.id]:
        for other in (each.active, *each.passive):
            facts = seen.facts.get(other)
            if other == cell.id or facts is None or seen.status(other) is CellStatus.DONE:
                continue
            at = seen.version(facts.server_version)
            if target is not None and at is not None and target.minor - at.minor > 1:
                message = (
                    f"it shares {each.namespace} with {other}, which has {at}: with {target} here "
                    f"they would be {target.minor - at.minor} minor versions apart, and replicas "
                    f"may lose data. Roll out a release of {at.major}.{target.minor - 1} first"
                )
                return Wait(cell.id, WaitCode.NO_WAY, message)
    return None


def _minute(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M UTC")
