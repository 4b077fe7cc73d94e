"""A pretended fleet that a test directs: the real rollouts over it, in virtual time."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cells.ledger.book import Book
from cells.ledger.plan import decide, lease_for, to_strike
from cells.ledger.types import Acquire, Answer, GiveBack
from cells.release import Release
from cells.visits.types import VisitOutcome, VisitRequest
from controlplane.ids import rollout_workflow_id
from rollout.gates import Evidence
from rollout.memory import Judge, all_is_well
from rollout.policy import Lane, RolloutPolicy
from rollout.ports import WatchedCells
from rollout.simulation.rollouts import SimulatedRollouts
from rollout.simulation.run import WORKFLOWS, activities
from rollout.simulation.types import Simulation
from rollout.simulation.virtual.engine import Engine, Update
from rollout.simulation.world import Course, SimulatedFleet
from rollout.types import (
    CellStatus,
    Control,
    ControlKind,
    Event,
    Fleet,
    RolloutView,
    StartRollout,
    WaitCode,
)
from tests.rollout.rollouts import QUICK, RELEASE
from tests.rollout.scenarios.oracle import (
    assert_each_change_is_made_once,
    assert_each_kept_run_replays,
    assert_explained,
)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
A_MOMENT = timedelta(seconds=5)
"""In which what is asked is answered, and what is due now is done."""
TAKES = 10 * MINUTE
"""A visit for which nothing else is said."""


@dataclass(frozen=True)
class Begun:
    """A visit that has begun, and when."""

    at: datetime
    request: VisitRequest

    @property
    def cell(self) -> str:
        return self.request.cell

    @property
    def release(self) -> str:
        return self.request.release.name


@dataclass
class Stage(SimulatedFleet):
    """A simulated fleet with a ledger, in which happens what the test says."""

    judge: Judge = all_is_well
    courses: dict[str, Course] = field(default_factory=dict)
    """How visits of a cell go; those of others take ten minutes and go well."""
    blind: str = ""
    """Why the fleet cannot be seen."""
    unpublished: str = ""
    """Why nothing can be published."""
    book: Book = field(default_factory=lambda: Book({}))
    begun: list[Begun] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)
    """How often each visit has."""
    views: dict[str, RolloutView] = field(default_factory=dict)
    journals: dict[str, dict[int, Event]] = field(default_factory=dict)
    """Every event of each rollout that was published, by number: its audit log."""
    fleets: dict[str, SimulatedFleet] = field(default_factory=dict)
    """This one, by workflow id of each rollout."""
    _parts: dict[str, tuple[StartRollout, Counter[str], Counter[int]]] = field(default_factory=dict)
    """What the witness knows of each rollout: what it is, visits by cell, failures by ring."""
    _leases: int = 0

    def enter(self, start: StartRollout) -> None:
        """Witness this rollout, too; one that is known stays what it is."""
        workflow_id = rollout_workflow_id(start.id)
        if workflow_id in self.fleets:
            return
        self.fleets[workflow_id] = self
        self._parts[workflow_id] = (start, Counter(), Counter())

    def change(self, *cells: str, **facts: object) -> None:
        for cell in cells:
            self.cells[cell] = replace(self.cells[cell], **facts)  # type: ignore[arg-type]

    def arrange(self, **facts: object) -> None:
        """Let the fleet be otherwise: its calendar, its replicas."""
        arranged = replace(self.simulation.fleet, **facts)  # type: ignore[arg-type]
        self.simulation = replace(self.simulation, fleet=arranged)

    async def take(self) -> Fleet:
        if self.blind:
            raise ConnectionError(self.blind)
        fleet = await super().take()
        visits = {cell: request.id for cell, request in self.under_way.items()}
        cells = (replace(cell, visit=visits.get(cell.id, cell.visit)) for cell in fleet.cells)
        return replace(fleet, cells=tuple(cells))

    async def gather(self, watched: WatchedCells) -> Evidence:
        self._live()
        return Evidence(watched.since, watched.until, self.judge(watched))

    async def acquire(self, asked: Acquire) -> Answer:
        return self.lend(asked)

    async def give_back(self, request: GiveBack) -> None:
        self.take_back(request)

    def lend(self, asked: Acquire) -> Answer:
        """Do as the ledger does."""
        answer = decide(self.book, asked)
        if not answer.granted:
            return answer
        self._leases += 1
        lease = lease_for(self.book, asked, self.simulation.fleet.seen_at, self._leases)
        self.book.enter(lease)
        return Answer(lease=lease.number)

    def take_back(self, request: GiveBack) -> None:
        lease = to_strike(self.book, request)
        if lease is not None:
            self.book.strike(lease.cell)

    async def supersede(self, workflow_id: str, by: str) -> None:
        request = Control(
            id=f"superseded-by-{by}",
            kind=ControlKind.SUPERSEDE,
            actor=by,
            reason=f"{by} takes over",
        )
        self.engine.update(workflow_id, "control", request)

    async def publish_rollout(self, view: RolloutView) -> None:
        if self.unpublished:
            raise ConnectionError(self.unpublished)
        known = self.views.get(view.id)
        if known is None or known.revision < view.revision:
            self.views[view.id] = view
        self.journals.setdefault(view.id, {}).update({e.number: e for e in view.events})

    def begin(self, request: VisitRequest) -> Course:
        self._act(request)
        other = self.under_way.get(request.cell)
        if other is not None and other.id != request.id:
            self.violations.append(f"{request.id} begins during {other.id}")
        lease = self.book.at(request.cell)
        if lease is None or lease.holder != request.report_to:
            self.violations.append(f"{request.id} has no lease")
        super().begin(request)
        self.begun.append(Begun(self.engine.now, request))
        return self.courses.get(request.cell, Course(TAKES, VisitOutcome.DONE))

    def end(self, request: VisitRequest, outcome: VisitOutcome) -> None:
        self._act(request)
        self.ended[request.id] += 1
        if outcome is VisitOutcome.REFUSED:
            self.under_way.pop(request.cell, None)
            self.visited[request.cell] -= 1
            return
        super().end(request, outcome)
        if outcome is VisitOutcome.BROKEN and request.cell in self.cells:
            self.change(request.cell, ready=False, quarantine="its visit broke it")

    def _act(self, request: VisitRequest) -> None:
        """Be the witness of the rollout that asked for the visit."""
        self.start, self.visited, self.failed = self._parts[request.report_to]


@dataclass
class Play:
    """A scenario under way."""

    engine: Engine
    stage: Stage

    @property
    def now(self) -> datetime:
        return self.engine.now

    def start(
        self,
        release: Release = RELEASE,
        policy: RolloutPolicy = QUICK,
        id: str = "r1",
        lane: Lane = Lane.NORMAL,
    ) -> None:
        self.begin(StartRollout(id, release, policy, "ann", "monthly", lane))
        self.at_once(lambda: id in self.stage.views or bool(self.stage.unpublished))

    def begin(self, request: StartRollout) -> RolloutView:
        """Ask for a rollout; return it, or raise its refusal."""
        self.stage.enter(request)
        return self._answer(SimulatedRollouts(self.engine).start(request))

    def control(self, kind: ControlKind, rollout: str = "r1", **rest: object) -> RolloutView:
        control = Control(f"c-{kind}-{len(rest)}-{rest}", kind, "bob", "because")
        return self.ask(replace(control, **rest), rollout)  # type: ignore[arg-type]

    def ask(self, control: Control, rollout: str = "r1") -> RolloutView:
        return self._answer(SimulatedRollouts(self.engine).control(rollout, control))

    def view(self, rollout: str = "r1") -> RolloutView:
        return self.stage.views[rollout]

    def status(self, cell: str, rollout: str = "r1") -> CellStatus:
        return self.view(rollout).cells[cell].status

    def waits(self, rollout: str = "r1") -> dict[str, WaitCode]:
        return {wait.cell: wait.code for wait in self.view(rollout).waits}

    def why(self, cell: str, rollout: str = "r1") -> str:
        (wait,) = [wait for wait in self.view(rollout).waits if wait.cell == cell]
        return wait.message

    def told(self, what: str, rollout: str = "r1") -> list[str]:
        """Return the messages of these events, in order."""
        journal = self.stage.journals.get(rollout, {})
        return [event.message for _, event in sorted(journal.items()) if event.what == what]

    def requests(self, rollout: str = "r1") -> list[VisitRequest]:
        """Return the visits of this rollout that have begun, in order."""
        by = rollout_workflow_id(rollout)
        requests = (each.request for each in self.stage.begun)
        return [request for request in requests if request.report_to == by]

    def visited(self, rollout: str = "r1") -> list[str]:
        return [request.cell for request in self.requests(rollout)]

    def pass_time(self, length: timedelta) -> None:
        """Let time pass, with all that happens in it."""
        self.engine.go_on(self.now + length)

    def until(self, condition: Callable[[], bool], *, within: timedelta = 2 * DAY) -> None:
        """Let time pass until it is so."""
        self.engine.go_on(self.now + within, stop=condition)
        assert condition(), f"not within {within}: {self._state()}"

    def at_once(self, condition: Callable[[], bool]) -> None:
        """Let happen what has been asked for; hardly any time passes."""
        self.until(condition, within=A_MOMENT)

    def replace_workers(self) -> None:
        """Let other workers go on, who know nothing but the histories."""
        self.engine.forget()

    def lengths(self, rollout: str = "r1") -> list[int]:
        """Return how many events each run of the rollout has, the latest last."""
        return [run.history.length for run in self.engine.runs[rollout_workflow_id(rollout)]]

    def end(self) -> None:
        """Stop what is not over."""
        for rollout in self.stage.fleets:
            self.engine.terminate(rollout, "the scenario is over")

    def _answer(self, update: Update) -> RolloutView:
        self.at_once(lambda: update.is_answered)
        return update.result(RolloutView)

    def _state(self) -> str:
        return "; ".join(
            f"{view.id} {view.phase} {view.message} {view.blocked} {view.waits[:5]}"
            for view in self.stage.views.values()
        )


@contextmanager
def playing(fleet: Fleet) -> Iterator[Play]:
    """Play over the fleet; what came of it has to stand up to the oracle in the end."""
    start = StartRollout("", RELEASE, QUICK, "", "")
    nothing_assumed = Simulation(start, fleet, at_most=timedelta(days=10_000))
    chance = random.Random(1)  # noqa: S311 - nothing secret comes of it.
    with Engine(WORKFLOWS, began_at=fleet.seen_at, keeps_histories=True) as engine:
        stage = Stage(nothing_assumed, start, engine, chance)
        engine.offer(activities(stage, stage.fleets))
        play = Play(engine, stage)
        yield play
        play.end()
        assert not stage.violations, "\n".join(stage.violations)
        assert_each_change_is_made_once([each.request for each in stage.begun], stage.ended)
        for view in stage.views.values():
            assert_explained(view, stage.journals[view.id], play.requests(view.id))
        assert_each_kept_run_replays(engine, stage.fleets)
