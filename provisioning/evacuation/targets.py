"""Where a namespace can go, and why not elsewhere. Pure."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from cells.types import NOTHING, Capacity
from provisioning.evacuation.facts import CellFacts, NamespaceFacts, Survey
from provisioning.evacuation.types import EvacuationState, MoveKind, WaitCode
from provisioning.types import DEMAND


@dataclass(frozen=True)
class Obstacle:
    code: WaitCode
    message: str


@dataclass
class Room:
    """The cells, and what is on its way to them though their capacity does not show it yet."""

    state: EvacuationState
    cells: dict[str, CellFacts]
    coming: Counter[str] = field(default_factory=Counter)

    def target(self, kind: MoveKind, namespace: NamespaceFacts) -> str | Obstacle:
        """Return the cell that the namespace moves to, or why it cannot move to any now."""
        match kind:
            case MoveKind.FAILOVER:
                return self._replica(namespace)
            case MoveKind.RETURN:
                obstacle = self._unfit(self.state.cell, WaitCode.SOURCE_SICK)
                return obstacle or _closed(namespace, self.state.cell) or self.state.cell
            case MoveKind.MIGRATION:
                return self._new_home(namespace)

    def _replica(self, namespace: NamespaceFacts) -> str | Obstacle:
        if namespace.behind and not self.state.source_lost:
            return Obstacle(WaitCode.BEHIND, f"its replicas are behind: {namespace.behind}")
        obstacles = []
        for replica in namespace.passive:
            obstacle = self._unfit(replica.cell, WaitCode.TARGET_SICK)
            obstacle = obstacle or _closed(namespace, replica.cell)
            if obstacle is None:
                return replica.cell
            obstacles.append(obstacle)
        return Obstacle(obstacles[0].code, "; ".join(each.message for each in obstacles))

    def _unfit(self, cell: str, if_sick: WaitCode) -> Obstacle | None:
        """Return why a namespace cannot be active in a cell that has a replica of it."""
        facts = self.cells.get(cell)
        if facts is None:
            return Obstacle(if_sick, f"nothing is known of {cell}")
        if facts.sick:
            return Obstacle(if_sick, f"{cell} is sick: {facts.sick}")
        if cell == self.state.cell:
            return None  # It is cordoned and disturbed by nobody but us, and keeps their places.
        if facts.disturbed:
            return Obstacle(WaitCode.TARGET_DISTURBED, f"{cell} is disturbed: {facts.disturbed}")
        if facts.cordon and not self.state.source_lost:
            return Obstacle(WaitCode.TARGET_CORDONED, f"{cell} is {facts.cordon}")
        if shortage := self._shortage(facts, NOTHING):
            return Obstacle(WaitCode.NO_HEADROOM, f"{cell} has no headroom: {shortage}")
        return None

    def _new_home(self, namespace: NamespaceFacts) -> str | Obstacle:
        """Choose as placement does: the most headroom on the tightest dimension, the smaller id."""
        regions = (self._home_region(namespace), *self.state.policy.other_regions)
        reasons = []
        for region in regions:
            fitting = []
            for cell in sorted(self.cells.values(), key=lambda each: each.id):
                if cell.region != region or cell.id == self.state.cell:
                    continue
                if reason := next(self._against(cell, namespace), ""):
                    reasons.append(f"{cell.id}: {reason}")
                else:
                    fitting.append(cell)
            if fitting:
                return max(fitting, key=self._headroom).id  # The first of those that are equal.
        why = "; ".join(reasons) or "there is no other cell"
        return Obstacle(WaitCode.NO_CELL, f"no cell in {' or '.join(regions)} can take it: {why}")

    def _home_region(self, namespace: NamespaceFacts) -> str:
        replicas = [*namespace.passive, *([namespace.active] if namespace.active else [])]
        return next(each.region for each in replicas if each.cell == self.state.cell)

    def _against(self, cell: CellFacts, namespace: NamespaceFacts) -> Iterator[str]:
        """Yield why the cell cannot take a new replica of the namespace."""
        if cell.synthetic:
            yield "holds synthetic load only"
        if cell.id in namespace.cells:
            yield "has a replica of it already"
        domains = {
            self.cells[other].failure_domain
            for other in namespace.cells
            if other != self.state.cell and other in self.cells
        }
        if cell.failure_domain and cell.failure_domain in domains:
            yield f"fails together with another replica, as part of {cell.failure_domain}"
        if not cell.replicates:
            yield "cannot replicate with other cells"
        for problem in (cell.sick, cell.cordon, cell.disturbed):
            if problem:
                yield problem
        if shortage := self._shortage(cell, DEMAND):
            yield shortage

    def _shortage(self, cell: CellFacts, demand: Capacity) -> str:
        """Say what the cell would lack with that much more, and what is coming, in it."""
        kept = math.ceil(cell.capacity.actions_per_second * self.state.policy.keep_free / 100)
        left = self._left(cell)
        if left.namespaces < 0 or left.actions_per_second < 0:
            return "more of it is given out than there is"
        return "; ".join(left.shortages(demand + Capacity(0, kept)))

    def _left(self, cell: CellFacts) -> Capacity:
        coming = self.coming[cell.id]
        return cell.free - Capacity(DEMAND.namespaces * coming, DEMAND.actions_per_second * coming)

    def _headroom(self, cell: CellFacts) -> float:
        left, offered = self._left(cell) - DEMAND, cell.capacity
        return min(
            left.namespaces / max(offered.namespaces, 1),
            left.actions_per_second / max(offered.actions_per_second, 1),
        )


def _closed(namespace: NamespaceFacts, cell: str) -> Obstacle | None:
    """Return that the namespace would be active where its clients are not let in."""
    if all(replica.is_open for replica in namespace.passive if replica.cell == cell):
        return None
    return Obstacle(WaitCode.NOT_OPEN, f"its clients are not let in at {cell} yet")


def room(state: EvacuationState, survey: Survey) -> Room:
    """Return the cells with what this evacuation's migrations under way may still take of them."""
    coming = Counter(
        progress.move.target
        for progress in state.namespaces.values()
        if progress.move is not None and progress.move.kind is MoveKind.MIGRATION
    )
    return Room(state, {cell.id: cell for cell in survey.cells}, coming)
