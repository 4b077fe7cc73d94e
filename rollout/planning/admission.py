"""Whether one more cell may be disturbed now, next to those that are."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

from cells.release import NoWay
from rollout.planning.budget import Budget
from rollout.planning.eta import usual_visit
from rollout.planning.survey import Survey
from rollout.policy import ring_policy
from rollout.types import CellFacts, Replicas, Start, Wait, WaitCode


class Admission:
    """Admits cells one after the other: each that starts counts against those asked after it."""

    def __init__(self, seen: Survey) -> None:
        self._seen = seen
        self._takes: timedelta = usual_visit(seen.state, 0.95)
        self._disturbed: dict[str, str] = {}
        """The cell that is disturbed, by namespace."""
        self._regions: Counter[str] = Counter()
        self._providers: Counter[str] = Counter()
        self._started: Counter[int] = Counter()
        for cell in seen.under_way:
            self._count(cell)
        for facts in seen.fleet.cells:
            if facts.visit and facts.id in seen.replicas:
                self._occupy(facts.id)

    def forward(self, cell: CellFacts) -> Start | Wait:
        """Return the visit that brings the release to a cell, or why it does not start now."""
        seen, ring = self._seen, self._seen.cells[cell.id].ring
        wait = (
            self._passive_first(cell)
            or self.hindrance(cell)
            or self._budget(cell, seen.budgets.get(ring) or Budget(0, 0, 0), ring)
            or self._caps(cell, ring)
        )
        if wait is not None:
            return wait
        way = seen.way(cell)
        assert not isinstance(way, NoWay), "that is an obstacle"
        self._count(cell.id)
        self._started[ring] += 1
        return Start(
            cell.id,
            way,
            before=cell.server_version,
            before_release=cell.release,
            before_software=cell.software,
        )

    def hindrance(self, cell: CellFacts) -> Wait | None:
        """Return what stands against starting this cell that other cells might be free of."""
        return (
            self._confounded(cell)
            or self._calendar(cell, self._seen.cells[cell.id].ring, forward=True)
            or self._lag(cell)
            or self._pair(cell)
        )

    def back(self, cell: CellFacts, hops: tuple[str, ...], most: int) -> Start | Wait:
        """Return the visit that takes the release away; at most so many of a region at once."""
        wait = self._calendar(cell, cell.ring, forward=False) or self._pair(cell)
        if wait is None and self._regions[cell.region] >= most:
            message = f"{self._regions[cell.region]} cells of {cell.region} go back already"
            wait = Wait(cell.id, WaitCode.REGION_CAP, message)
        if wait is not None:
            return wait
        self._count(cell.id)
        return Start(cell.id, hops, back=True)

    def _count(self, cell: str) -> None:
        facts = self._seen.facts.get(cell)
        if facts is not None:
            self._regions[facts.region] += 1
            self._providers[facts.provider] += 1
        self._occupy(cell)

    def _occupy(self, cell: str) -> None:
        for each in self._seen.replicas.get(cell, ()):
            self._disturbed.setdefault(each.namespace, cell)

    def _confounded(self, cell: CellFacts) -> Wait | None:
        why = self._seen.confounded.get(cell.region)
        return None if why is None else Wait(cell.id, WaitCode.CONFOUNDED, why)

    def _calendar(self, cell: CellFacts, ring: int, *, forward: bool) -> Wait | None:
        place = cell if cell.ring == ring else replace(cell, ring=ring)
        verdict = self._seen.calendar.may_start(place, self._takes, forward)
        if verdict.allowed:
            return None
        return Wait(cell.id, WaitCode.CALENDAR, verdict.reason, verdict.until)

    def _passive_first(self, cell: CellFacts) -> Wait | None:
        before = self._seen.blockers.get(cell.id)
        if not before:
            return None
        message = f"{min(before)} has passive replicas of its namespaces and goes first"
        return Wait(cell.id, WaitCode.PASSIVE_FIRST, message)

    def _lag(self, cell: CellFacts) -> Wait | None:
        for each in self._seen.replicas.get(cell.id, ()):
            if each.active == cell.id and not each.caught_up and self._lags(each):
                message = f"replicas of {each.namespace} have not caught up with {cell.id}"
                return Wait(cell.id, WaitCode.LAG, message)
        return None

    def _lags(self, replicas: Replicas) -> bool:
        # A replica that is down lags by nature: to wait for it would let one dead cell keep its
        # partner back for ever. The versions stay within a minor of each other all the same.
        facts = (self._seen.facts.get(passive) for passive in replicas.passive)
        return any(cell is not None and cell.ready for cell in facts)

    def _pair(self, cell: CellFacts) -> Wait | None:
        for each in self._seen.replicas.get(cell.id, ()):
            other = self._disturbed.get(each.namespace, cell.id)
            if other != cell.id:
                message = f"pair:{each.namespace}: {other} is disturbed and has a replica of it too"
                return Wait(cell.id, WaitCode.PAIR, message)
        return None

    def _budget(self, cell: CellFacts, budget: Budget, ring: int) -> Wait | None:
        if budget.startable > self._started[ring]:
            return None
        message = (
            f"ring {ring} may lose {budget.tolerance} cells, has lost {budget.failures}, and "
            f"{budget.under_way + self._started[ring]} are under way"
        )
        return Wait(cell.id, WaitCode.BUDGET, message)

    def _caps(self, cell: CellFacts, ring: int) -> Wait | None:
        rules = ring_policy(self._seen.state.policy, ring)
        for code, most, count, where in (
            (
                WaitCode.REGION_CAP,
                rules.most_per_region,
                self._regions[cell.region],
                cell.region,
            ),
            (
                WaitCode.PROVIDER_CAP,
                rules.most_per_provider,
                self._providers[cell.provider],
                cell.provider,
            ),
        ):
            if most and count >= most:
                message = f"{count} cells of {where} are under way, {most} may be"
                return Wait(cell.id, code, message)
        return None
