"""Rollouts to plan by hand: small fleets, and a world in which what is planned happens."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from cells.release import Release
from cells.visits.types import VisitOutcome, VisitReport
from rollout import bake
from rollout.gates import Evidence, Reading, Verdict
from rollout.plan import apply, ended, new_state, plan, started
from rollout.planning import controls, lane
from rollout.policy import Lane, RingPolicy, RollbackScope, RolloutPolicy
from rollout.types import (
    CellFacts,
    CellStatus,
    Control,
    ControlKind,
    Fleet,
    Phase,
    Plan,
    Replicas,
    RolloutState,
    Start,
    StartRollout,
    Wait,
    WaitCode,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MIDNIGHT = NOW.replace(hour=0, tzinfo=None)
"""As the wall clock shows it."""
OLD, NEW = "1.30.2", "1.31.2"
RELEASE = Release("r-1.31", server_version=NEW)
SERVERS = (OLD, NEW)
QUICK = RolloutPolicy(
    rings=(
        RingPolicy(0, ("1", "all"), HOUR, 2 * HOUR),
        RingPolicy(1, ("1", "2", "all"), HOUR, 2 * HOUR, tolerance="1"),
    ),
    rollback=RollbackScope.NONE,
)

Judge = Callable[[str], Verdict]


def cell(name: str, in_ring: int = 0, **facts: object) -> CellFacts:
    """Return a healthy cell with the old version. `b2` is in region `b`, of provider `aws`."""
    return replace(
        CellFacts(name, "aws", name[0], in_ring, OLD, "", ready=True),
        **facts,  # type: ignore[arg-type]
    )


def ring_of(size: int, ring: int = 0, prefix: str = "a") -> list[CellFacts]:
    return [cell(f"{prefix}{n}", ring) for n in range(size)]


def fleet(*cells: CellFacts, **rest: object) -> Fleet:
    return replace(
        Fleet(NOW, cells, servers=SERVERS),
        **rest,  # type: ignore[arg-type]
    )


def rollout(
    policy: RolloutPolicy = QUICK, release: Release = RELEASE, lane: Lane = Lane.NORMAL
) -> RolloutState:
    """Return a rollout whose turn it is."""
    state = new_state(StartRollout("r1", release, policy, "ann", "monthly", lane))
    state.phase = Phase.FORWARD
    return state


@dataclass
class World:
    """A fleet, a rollout, and a clock that moves when told to."""

    cells: dict[str, CellFacts]
    state: RolloutState = field(default_factory=rollout)
    replicas: tuple[Replicas, ...] = ()
    now: datetime = NOW
    rest: dict[str, object] = field(default_factory=dict)
    """Of the fleet: servers, calendar."""
    judge: Judge = lambda _: Verdict.PASS
    latest: Plan = field(default_factory=Plan)
    started: list[tuple[str, ...]] = field(default_factory=list)
    """What was started, turn by turn."""

    @property
    def fleet(self) -> Fleet:
        made = Fleet(self.now, tuple(self.cells.values()), self.replicas, servers=SERVERS)
        return replace(made, **self.rest)  # type: ignore[arg-type]

    def plan(self) -> Plan:
        """Plan and write it down; start nothing."""
        lane.keep_up(self.state, self.now)
        self.latest = plan(self.state, self.fleet, self.now)
        apply(self.state, self.latest, self.fleet, self.now)
        return self.latest

    def turn(self) -> Plan:
        """Plan, write it down, and start what may start."""
        self.plan()
        for start in self.latest.starts:
            self.start(start)
        if self.latest.starts:
            self.started.append(tuple(start.cell for start in self.latest.starts))
        return self.latest

    def start(self, start: Start) -> None:
        visit = f"r1/{start.cell}/{self.state.cells[start.cell].visits + 1}"
        started(self.state, start, visit, self.now)
        self.cells[start.cell] = replace(self.cells[start.cell], visit=visit)

    def end(self, name: str, outcome: VisitOutcome = VisitOutcome.DONE) -> None:
        """Let a cell's visit end, an instant after it began."""
        progress = self.state.cells[name]
        back = progress.status is CellStatus.REVERTING
        report = VisitReport(
            progress.visit,
            name,
            outcome,
            1,
            None,
            f"{name} says {outcome}",
            self.now,
            self.now,
            timedelta(seconds=1),
        )
        ended(self.state, report, self.now)
        if name not in self.cells:
            return
        facts = replace(self.cells[name], visit="")
        release = self.state.release
        if outcome is VisitOutcome.DONE and back:
            facts = replace(facts, server_version=progress.before, release=progress.before_release)
        elif outcome is VisitOutcome.DONE:
            version = release.server_version or facts.server_version
            facts = replace(facts, server_version=version, release=release.digest)
        elif outcome is VisitOutcome.BROKEN:
            facts = replace(facts, ready=False, quarantine="its visit broke it")
        self.cells[name] = facts

    def under_way(self) -> list[str]:
        going = (CellStatus.VISITING, CellStatus.REVERTING)
        return [name for name, p in self.state.cells.items() if p.status in going]

    def pass_time(self, length: timedelta) -> None:
        """Let time pass, in which the gates see what `judge` says."""
        self.now += length
        ring = None if self.latest.ring is None else self.state.rings.get(self.latest.ring)
        if ring is not None and ring.bake is not None and self.latest.watch:
            ring.bake = self._accrue(ring.bake, self.latest.watch)
        for number, cells in self.latest.late.items():
            late = self.state.rings[number]
            if late.late_bake is not None:
                late.late_bake = self._accrue(late.late_bake, cells)

    def run(self, turns: int = 1000, *, until: Callable[[], bool] = lambda: False) -> None:
        """Let everything go well until it ends, or waits for a person."""
        for _ in range(turns):
            before = self.now
            self.turn()
            if self.state.phase is Phase.ENDED or until():
                return
            going = self.under_way()
            for name in going:
                self.end(name)
            if not going:
                if self.latest.wake_at is None:
                    return
                self.pass_time(max(self.latest.wake_at - before, timedelta(seconds=1)))
        raise AssertionError(f"it did not come to an end: {self.latest}")

    def control(self, kind: ControlKind, **rest: object) -> str | None:
        """Ask for something; return the refusal, or have it done."""
        asked = replace(
            Control(f"c{len(self.state.controls)}", kind, "bob", "because"),
            **rest,  # type: ignore[arg-type]
        )
        refused = controls.refusal(self.state, asked, self.state.plan_hash, self.now, self.fleet)
        if refused is None:
            controls.take(self.state, asked, self.now)
        return refused

    def _accrue(self, baking: bake.Bake, cells: Iterable[str]) -> bake.Bake:
        window = self.now - baking.counted_until
        readings = tuple(
            Reading("health", name, verdict, window, f"{name} is seen")
            for name in cells
            if (verdict := self.judge(name))
        )
        seen = Evidence(baking.counted_until, self.now, readings)
        return bake.accrue(baking, controls.overridden(self.state, seen, self.now))


def world(*cells: CellFacts, **rest: object) -> World:
    return World({each.id: each for each in cells}, **rest)  # type: ignore[arg-type]


def wait(planned: Plan, name: str) -> Wait:
    """Return why a cell waits."""
    (found,) = [each for each in planned.waits if each.cell == name]
    return found


def codes(planned: Plan) -> dict[str, WaitCode]:
    return {each.cell: each.code for each in planned.waits}


def starts(planned: Plan) -> list[str]:
    return [start.cell for start in planned.starts]
