"""Laws that hold for whatever happens to a rollout."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cells.ledger.types import Conflict, ConflictKind
from cells.release import Release, Version
from cells.visits.types import VisitOutcome
from rollout.calendar import Calendar, Freeze
from rollout.gates import Verdict
from rollout.people import Hold
from rollout.plan import lease_refused
from rollout.policy import Lane, RingPolicy, RollbackScope, RolloutPolicy, ring_policy, share
from rollout.types import (
    CellFacts,
    CellStatus,
    ControlKind,
    Outcome,
    Phase,
    Replicas,
    Start,
    WaitCode,
)
from tests.rollout.rollouts import HOUR, NOW, World, rollout

UNDER_WAY = (CellStatus.VISITING, CellStatus.REVERTING)
LOST = (CellStatus.FAILED, CellStatus.BROKEN)
UNFINISHED = (CellStatus.WAITING, CellStatus.DEFERRED, *LOST)
DAY = timedelta(days=1)
VISIT_TAKES = HOUR / 2
CONFLICT = Conflict(ConflictKind.PAIR, "n", "c99", "migration/m1")

names = st.integers(0, 11).map(lambda n: f"{'abc'[n % 3]}{n}")
cells = st.builds(
    lambda name, ring, provider, version, namespaces: CellFacts(
        name, provider, name[0], ring, version, "", ready=True, namespaces=namespaces
    ),
    names,
    st.integers(0, 2),
    st.sampled_from(("aws", "gcp")),
    st.sampled_from(("1.29.1", "1.30.2", "1.30.2", "1.30.2", "1.31.0", "1.31.2")),
    st.integers(0, 5),
)
replicas = st.builds(
    lambda n, a, b: Replicas(f"ns{n}", a, tuple(sorted({*b} - {a}))),
    st.integers(0, 20),
    names,
    st.lists(names, min_size=1, max_size=2),
)
amounts = st.sampled_from(("1", "2", "25%", "50%", "all"))
rings = st.builds(
    RingPolicy,
    ring=st.just(0),
    batches=st.lists(amounts, min_size=1, max_size=3).map(tuple),
    batch_bake=st.sampled_from((timedelta(0), HOUR)),
    ring_bake=st.sampled_from((timedelta(0), 2 * HOUR)),
    tolerance=st.sampled_from(("0", "1", "2", "34%")),
    approvals=st.sampled_from((0, 0, 0, 2)),
    most_per_region=st.sampled_from((0, 0, 1)),
    most_per_provider=st.sampled_from((0, 0, 2)),
)
policies = st.builds(
    lambda many, scope, cap, confounded: RolloutPolicy(
        rings=tuple(replace(each, ring=n) for n, each in enumerate(many)),
        rollback=scope,
        deferral_cap=cap,
        deferral_patience=2 * DAY,
        confounded_cells=confounded,
        visit_takes=VISIT_TAKES,
        bake_at_most=5 * DAY,
    ),
    st.lists(rings, min_size=1, max_size=3),
    st.sampled_from(RollbackScope),
    st.sampled_from(("20%", "50%", "100%")),
    st.sampled_from((2, 3)),
)


class Rollouts(RuleBasedStateMachine):
    """Everything that can happen to a rollout, in any order; people heal it in the end."""

    @initialize(
        fleet=st.lists(cells, min_size=1, max_size=12, unique_by=lambda each: each.id),
        policy=policies,
        lane=st.sampled_from((Lane.NORMAL, Lane.NORMAL, Lane.EMERGENCY)),
        pairs=st.lists(replicas, max_size=5, unique_by=lambda each: each.namespace),
    )
    def begin(
        self,
        fleet: list[CellFacts],
        policy: RolloutPolicy,
        lane: Lane,
        pairs: list[Replicas],
    ) -> None:
        release = Release("r-1.31", server_version="1.31.2")
        self.world = World(
            {each.id: each for each in fleet},
            rollout(policy, release, lane),
            tuple(pairs),
            rest={"servers": ("1.29.1", "1.30.2", "1.31.2")},
        )
        self.freezes: list[Freeze] = []
        self.may_be_changed: Counter[str] = Counter()
        """How often a cell may have been changed already: retries, refusals, other incarnations."""
        self.went_back: Counter[str] = Counter()
        self.refused: set[str] = set()
        self.most_lost: Counter[int] = Counter()

    # What time brings.

    @rule()
    def plan(self) -> None:
        self._turn()

    @rule(hours=st.sampled_from((1, 1, 3, 12, 60)))
    def time_passes(self, hours: int) -> None:
        self.world.pass_time(hours * HOUR)
        self._turn()

    @rule(
        pick=st.integers(0, 100),
        outcome=st.sampled_from((*VisitOutcome, VisitOutcome.DONE, VisitOutcome.DONE)),
    )
    def a_visit_ends(self, pick: int, outcome: VisitOutcome) -> None:
        going = self.world.under_way()
        if going:
            self._end(going[pick % len(going)], outcome)
            self._turn()

    @rule(verdict=st.sampled_from((*Verdict, Verdict.PASS)))
    def gates_see(self, verdict: Verdict) -> None:
        self.world.judge = lambda _: verdict

    # What the world does.

    @rule(name=names)
    def a_cell_falls_sick_or_is_well_again(self, name: str) -> None:
        if name in self.world.cells:
            facts = self.world.cells[name]
            self.world.cells[name] = replace(facts, ready=not facts.ready)

    @rule(joins=cells)
    def a_cell_joins_or_changes_rings(self, joins: CellFacts) -> None:
        known = self.world.cells.get(joins.id)
        self.world.cells[joins.id] = joins if known is None else replace(known, ring=joins.ring)

    @rule(name=names)
    def a_cell_leaves(self, name: str) -> None:
        # Should it come back, it is another cell, and may be changed for itself.
        self.may_be_changed[name] += self.world.cells.pop(name, None) is not None

    @rule(pair=replicas)
    def a_namespace_gets_replicas(self, pair: Replicas) -> None:
        others = (each for each in self.world.replicas if each.namespace != pair.namespace)
        self.world.replicas = (*others, pair)

    @rule(name=names)
    def somebody_else_visits(self, name: str) -> None:
        facts = self.world.cells.get(name)
        if facts is not None and (not facts.visit or facts.visit == "another"):
            self.world.cells[name] = replace(facts, visit="" if facts.visit else "another")

    @rule(name=names)
    def the_ledger_refuses_a_cell_or_does_no_more(self, name: str) -> None:
        self.refused ^= {name}

    @rule(name=names)
    def a_replica_lags_or_catches_up(self, name: str) -> None:
        self.world.replicas = tuple(
            replace(each, caught_up=not each.caught_up) if each.active == name else each
            for each in self.world.replicas
        )

    @rule(hours=st.integers(0, 30), selector=st.sampled_from(("all", "region/a", "ring/1")))
    def a_freeze_is_called(self, hours: int, selector: str) -> None:
        begins = self.world.now + timedelta(hours=hours)
        name = f"f{len(self.freezes)}"
        self.freezes.append(Freeze(name, "sale", begins, begins + DAY, selector))
        self.world.rest["calendar"] = Calendar(freezes=tuple(self.freezes))

    # What people do. What is refused is refused: that is another test's concern.

    @rule(kind=st.sampled_from((ControlKind.PAUSE, ControlKind.RESUME, ControlKind.RETRY)))
    def somebody_wants(self, kind: ControlKind) -> None:
        self._control(kind)
        self._turn()

    @rule(
        kind=st.sampled_from(
            (ControlKind.SKIP, ControlKind.RETRY, ControlKind.HOLD, ControlKind.UNHOLD)
        ),
        name=names,
    )
    def somebody_wants_for_a_cell(self, kind: ControlKind, name: str) -> None:
        self._control(kind, cell=name)
        self._turn()

    @rule(scope=st.sampled_from(RollbackScope), name=names)
    def somebody_rolls_back(self, scope: RollbackScope, name: str) -> None:
        self._control(ControlKind.ROLL_BACK, scope=scope, cell=name)
        self._turn()

    @rule(kind=st.sampled_from((ControlKind.ABORT, ControlKind.SUPERSEDE)), pick=st.integers(0, 9))
    def somebody_ends_it(self, kind: ControlKind, pick: int) -> None:
        if not pick:
            self._control(kind)

    @rule(actor=st.sampled_from(("ann", "bob", "cleo")))
    def somebody_approves(self, actor: str) -> None:
        self._control(ControlKind.APPROVE, actor=actor, plan=self.world.state.plan_hash)
        self._turn()

    # What must hold.

    @invariant()
    def nothing_is_lost_beyond_tolerance_and_one(self) -> None:
        lost = Counter(p.ring for p in self.world.state.cells.values() if p.status in LOST)
        for ring, count in lost.items():
            assert count <= self.most_lost[ring], f"{count} of ring {ring} failed"

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.judge = lambda _: Verdict.PASS
        for _ in range(400):
            if world.state.phase is Phase.ENDED:
                break
            self._heal()
            self._turn()
            going = world.under_way()
            for name in going:
                self._end(name, VisitOutcome.DONE)
            if not going and not world.latest.starts:
                wake = world.latest.wake_at or world.now + HOUR
                world.pass_time(max(wake - world.now, HOUR / 2))
        else:
            pytest.fail(f"it never ends: {world.latest}")
        failed = any(p.status in LOST for p in world.state.cells.values())
        if failed:
            assert world.state.outcome not in (
                Outcome.SUCCEEDED,
                Outcome.SUCCEEDED_WITH_DEFERRALS,
            )

    def _heal(self) -> None:
        world, state = self.world, self.world.state
        self.refused.clear()
        world.replicas = tuple(replace(each, caught_up=True) for each in world.replicas)
        world.cells.setdefault("d0", CellFacts("d0", "aws", "d", 0, "1.30.2", "", ready=True))
        for name, facts in list(world.cells.items()):
            visit = "" if facts.visit == "another" else facts.visit
            world.cells[name] = replace(facts, ready=True, quarantine="", visit=visit)
        for kind in (ControlKind.RESUME, ControlKind.RETRY):
            self._control(kind)
        for name in list(state.holds):
            self._control(ControlKind.UNHOLD, cell=name)
        for actor in ("bob", "cleo"):
            self._control(ControlKind.APPROVE, actor=actor, plan=state.plan_hash)
        # A ring whose cells have no way to the release proves nothing: a person skips them.
        for each in world.latest.waits:
            if each.code is WaitCode.NO_WAY:
                self._control(ControlKind.SKIP, cell=each.cell)
                if state.lane is Lane.EMERGENCY:
                    # Which does not do without its first cell.
                    self._control(ControlKind.ABORT)

    def _control(self, kind: ControlKind, **rest: object) -> None:
        before = {name: p.status for name, p in self.world.state.cells.items()}
        if self.world.control(kind, **rest) is None and kind is ControlKind.RETRY:
            for name, progress in self.world.state.cells.items():
                if progress.status is CellStatus.WAITING and before[name] not in UNFINISHED[:2]:
                    self.may_be_changed[name] += 1

    def _end(self, name: str, outcome: VisitOutcome) -> None:
        forward = self.world.state.cells[name].status is CellStatus.VISITING
        self.world.end(name, outcome)
        if outcome is VisitOutcome.REFUSED and forward:
            self.may_be_changed[name] += 1

    def _turn(self) -> None:
        """Plan, check what is to start, and start it."""
        world, state = self.world, self.world.state
        world.plan()
        self._check_reasons()
        sizes = Counter(p.ring for p in state.cells.values())
        for ring, size in sizes.items():
            tolerance = share(ring_policy(state.policy, ring).tolerance, size, at_least=0)
            self.most_lost[ring] = max(self.most_lost[ring], tolerance + 1)
        for start in world.latest.starts:
            if start.cell in self.refused:
                lease_refused(state, start.cell, [CONFLICT], world.now)
                continue
            if start.back:
                self._check_back(start)
            else:
                self._check_forward(start)
            self._check_pairs(start)
            self._check_way(start)
            world.start(start)

    def _check_reasons(self) -> None:
        world, latest = self.world, self.world.latest
        state = world.state
        if state.phase is Phase.ENDED:
            return
        waiting = Counter(wait.cell for wait in latest.waits)
        assert not [cell for cell, count in waiting.items() if count > 1], "two reasons"
        assert all(wait.message for wait in latest.waits)
        if world.cells:
            starting = {start.cell for start in latest.starts}
            unfinished = {n for n, p in state.cells.items() if p.status in UNFINISHED} - starting
            assert unfinished <= set(waiting), "no reason"
        goes_on = latest.starts or world.under_way() or latest.wake_at
        person = state.paused_by or state.phase is Phase.HALTED
        assert goes_on or person or latest.blocked, "silent stop"
        assert "defect" not in latest.blocked

    def _check_forward(self, start: Start) -> None:
        world, state = self.world, self.world.state
        facts, progress = world.cells[start.cell], state.cells[start.cell]
        rules = ring_policy(state.policy, progress.ring)
        assert state.phase is Phase.FORWARD
        assert not state.paused_by
        assert progress.status is CellStatus.WAITING
        assert facts.ready
        assert not facts.quarantine
        assert facts.visit in ("", progress.visit)
        held = state.holds.get(start.cell, Hold("", "", NOW))
        assert held.until is not None
        in_ring = [p for p in state.cells.values() if p.ring == progress.ring]
        lost = sum(p.status in LOST for p in in_ring)
        going = sum(p.status is CellStatus.VISITING for p in in_ring)
        left = share(rules.tolerance, len(in_ring), at_least=0) - lost
        assert going <= left, "more under way than may fail, and one"
        for other, p in state.cells.items():
            there = other in world.cells and p.status is not CellStatus.SKIPPED
            if there and p.ring < progress.ring:
                assert state.rings[p.ring].baked, f"{other} of a lower ring is not through"
        first = not state.rings[progress.ring].bakes_ring and state.rings[progress.ring].batches < 2
        assert not (first and going), "the first batch is one cell"
        where = [world.cells[name] for name in world.under_way() if name in world.cells]
        for most, count in (
            (rules.most_per_region, sum(c.region == facts.region for c in where)),
            (rules.most_per_provider, sum(c.provider == facts.provider for c in where)),
        ):
            assert not most or count < most
        takes = VISIT_TAKES if not state.durations else timedelta(0)
        for freeze in self.freezes:
            concerned = freeze.selector in (
                "all",
                f"region/{facts.region}",
                f"ring/{max(progress.ring, facts.ring)}",
            )
            assert not concerned or not (
                freeze.since < world.now + max(takes, timedelta(seconds=1))
                and world.now < freeze.until
            )
        assert progress.visits <= self.may_be_changed[start.cell] + self.went_back[start.cell]

    def _check_back(self, start: Start) -> None:
        assert self.world.state.phase is Phase.ROLLING_BACK
        assert not self.world.state.paused_by
        assert self.world.state.cells[start.cell].status is CellStatus.DONE
        self.went_back[start.cell] += 1

    def _check_pairs(self, start: Start) -> None:
        going = set(self.world.under_way())
        for each in self.world.replicas:
            places = {each.active, *each.passive}
            assert start.cell not in places or not (places - {start.cell}) & going, "pair"

    def _check_way(self, start: Start) -> None:
        at = Version.parse(self.world.cells[start.cell].server_version)
        for hop in start.hops:
            to = Version.parse(hop)
            assert to.major == at.major
            assert to.minor - at.minor in (-1, 0, 1)
            at = to
        if not start.back:
            assert str(at) == "1.31.2"


Rollouts.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
test_a_rollout_keeps_every_law = Rollouts.TestCase
