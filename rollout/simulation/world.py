"""The pretended fleet: what a rollout sees, does and leaves there, and whether that was legal."""

import math
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise

from cells.ledger.types import Acquire, Answer, GiveBack
from cells.release import Version
from cells.visits.types import VisitOutcome, VisitRequest
from rollout.calendar import may_start
from rollout.gates import Evidence, Reading, Verdict
from rollout.policy import ring_policy, share
from rollout.ports import WatchedCells
from rollout.simulation.rollouts import SimulatedRollouts
from rollout.simulation.types import Assumptions, Churn, Run, Simulation
from rollout.simulation.virtual.engine import Engine
from rollout.types import (
    CellFacts,
    Control,
    ControlKind,
    Fleet,
    Phase,
    RolloutView,
    StartRollout,
    WaitCode,
)

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Course:
    """How one visit goes."""

    takes: timedelta
    outcome: VisitOutcome


@dataclass
class SimulatedFleet:
    """Everything a rollout asks of the world, for one run: its ports, and a witness.

    Time is the engine's.
    """

    simulation: Simulation
    start: StartRollout
    engine: Engine
    chance: random.Random
    cells: dict[str, CellFacts] = field(default_factory=dict)
    under_way: dict[str, VisitRequest] = field(default_factory=dict)
    visited: Counter[str] = field(default_factory=Counter)
    failed: Counter[int] = field(default_factory=Counter)
    """Failures by ring."""
    first_start: dict[int, timedelta] = field(default_factory=dict)
    view: RolloutView | None = None
    violations: list[str] = field(default_factory=list)
    looks: int = 0
    _churn: list[Churn] = field(default_factory=list)

    def __post_init__(self) -> None:
        assumed = self.simulation.assumptions
        for cell in self.simulation.fleet.cells:
            sick = self.chance.random() < assumed.sick_share
            self.cells[cell.id] = replace(cell, ready=False, why_not_ready="sick") if sick else cell
            if sick:
                self._churn.append(Churn(ONE_DAY, joins=cell))
        self._churn += self.simulation.churn
        self._churn.sort(key=lambda each: each.after)
        self.began_at = self.engine.now

    @property
    def has_ended(self) -> bool:
        return self.view is not None and self.view.phase is Phase.ENDED

    async def take(self) -> Fleet:
        self._live()
        self.looks += 1
        fleet = self.simulation.fleet
        return replace(fleet, seen_at=self.engine.now, cells=tuple(self.cells.values()))

    async def gather(self, watched: WatchedCells) -> Evidence:
        self._live()
        window = watched.until - watched.since
        readings = tuple(
            Reading(gate.name, cell, Verdict.PASS, window)
            for gate in watched.gates
            for cell in watched.cells[:1]
        )
        return Evidence(watched.since, watched.until, readings)

    async def acquire(self, _: Acquire) -> Answer:
        # This run has the fleet to itself: what the ledger forbids, the witness finds.
        return Answer(lease=1)

    async def give_back(self, _: GiveBack) -> None:
        return None

    async def supersede(self, workflow_id: str, by: str) -> None:
        raise AssertionError(f"{workflow_id} is in the way of {by}, and there is no other rollout")

    async def publish_rollout(self, view: RolloutView) -> None:
        self.view = view
        if any(wait.code is WaitCode.APPROVAL for wait in view.waits):
            self._approve(view)

    def begin(self, request: VisitRequest) -> Course:
        """Take note of a visit that begins, and say how it goes."""
        now = self.engine.now
        self._live()
        cell = self.cells[request.cell]
        self._witness(request, cell, now)
        self.under_way[cell.id] = request
        self.visited[cell.id] += 1
        self.first_start.setdefault(cell.ring, now - self.began_at)
        return _course(self.simulation.assumptions, self.chance)

    def end(self, request: VisitRequest, outcome: VisitOutcome) -> None:
        self.under_way.pop(request.cell, None)
        cell = self.cells.get(request.cell)
        if cell is None:
            return
        if outcome is VisitOutcome.DONE:
            release, back_to = request.release, request.back_to
            self.cells[cell.id] = replace(
                cell,
                server_version=release.server_version or cell.server_version,
                release=release.digest if back_to is None else back_to.release,
            )
        else:
            self.failed[cell.ring] += 1

    def run(self) -> Run:
        """Return what came of it."""
        view = self.view
        ended = None if view is None else view.ended_at
        waits = () if view is None else view.waits
        counted = Counter(f"{wait.code.value}: {wait.message}" for wait in waits)
        stuck = "; ".join(f"{text} ({n} cells)" for text, n in counted.most_common(3))
        digest = self.start.release.digest
        return Run(
            outcome=None if view is None else view.outcome,
            ended_after=None if ended is None else ended - self.began_at,
            rings=dict(sorted(self.first_start.items())),
            cells=sum(cell.release == digest for cell in self.cells.values()),
            violations=tuple(self.violations),
            stuck="" if ended is not None else (view.blocked if view else "") or stuck,
            looks=self.looks,
        )

    def _live(self) -> None:
        """Let change what changes until now."""
        passed = self.engine.now - self.began_at
        while self._churn and self._churn[0].after <= passed:
            change = self._churn.pop(0)
            if change.joins is not None:
                known = self.cells.get(change.joins.id)
                joins = change.joins
                self.cells[joins.id] = (
                    joins
                    if known is None
                    else replace(joins, server_version=known.server_version, release=known.release)
                )
            self.cells.pop(change.leaves, None)

    def _witness(self, request: VisitRequest, cell: CellFacts, now: datetime) -> None:
        """Check what must hold of every start, without asking the planner."""
        at = f"{request.cell} at {now:%Y-%m-%d %H:%M}"
        others = {other for other in self.under_way if other != cell.id}
        for replicas in self.simulation.fleet.replicas:
            places = {replicas.active, *replicas.passive}
            if cell.id in places and (both := places & others):
                self.violations.append(f"{at}: pair {replicas.namespace} with {sorted(both)}")
        versions = [Version.parse(v) for v in (cell.server_version, *request.hops)]
        if any(abs(b.minor - a.minor) > 1 for a, b in pairwise(versions)):
            self.violations.append(f"{at}: {' to '.join(map(str, versions))} skips a minor version")
        forward = request.release.digest == self.start.release.digest
        if forward:
            self._witness_forward(cell, others, now, at)
        elif cell.release != self.start.release.digest:
            self.violations.append(f"{at}: goes back from what it does not have")

    def _witness_forward(self, cell: CellFacts, others: set[str], now: datetime, at: str) -> None:
        digest = self.start.release.digest
        in_ring = sum(self.cells[o].ring == cell.ring for o in others if o in self.cells)
        size = sum(c.ring == cell.ring for c in self.cells.values())
        rules = ring_policy(self.start.policy, cell.ring)
        left = share(rules.tolerance, size, at_least=0) - self.failed[cell.ring] + 1
        if in_ring >= left:
            self.violations.append(f"{at}: {in_ring} under way, {left} may be")
        late = [
            c.id
            for c in self.cells.values()
            if c.ring < cell.ring
            and c.ready
            and not c.quarantine
            and c.release != digest
            and not self.visited[c.id]
            and not self._came_later(c)
        ]
        if late:
            self.violations.append(f"{at}: before {late[:3]} of lower rings")
        if not may_start(self.simulation.fleet.calendar, cell, now, timedelta(0), True).allowed:
            self.violations.append(f"{at}: against the calendar")
        if cell.release == digest:
            self.violations.append(f"{at}: once more")

    def _came_later(self, cell: CellFacts) -> bool:
        """Whether it was not in its ring from the first: nobody waits for it then."""
        was_there = {(known.id, known.ring) for known in self.simulation.fleet.cells}
        return (cell.id, cell.ring) not in was_there

    def _approve(self, view: RolloutView) -> None:
        """Play the people who approve: all they have to, at once."""
        rollouts = SimulatedRollouts(self.engine)
        wanted = ring_policy(self.start.policy, view.ring or 0).approvals or 2
        for number in range(wanted):
            rollouts.control(
                view.id,
                Control(
                    id=f"approval-{view.plan_hash}-{view.ring}-{number}",
                    kind=ControlKind.APPROVE,
                    actor=f"approver-{number}",
                    reason="simulated",
                    ring=view.ring,
                    plan=view.plan_hash,
                ),
            )


def _course(assumed: Assumptions, chance: random.Random) -> Course:
    takes = assumed.visit_median * math.exp(chance.gauss(0, assumed.visit_spread))
    failed = chance.random() < assumed.failure_share
    return Course(takes, VisitOutcome.UNDONE if failed else VisitOutcome.DONE)
