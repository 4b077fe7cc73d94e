"""An evacuation in pretended time: the planner and a fleet that does what it is told, no engine."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush

from cells.types import Capacity
from provisioning.evacuation import controls, leases, moves, outcomes
from provisioning.evacuation.facts import (
    CellFacts,
    MoveFacts,
    NamespaceFacts,
    ReplicaFacts,
    Survey,
)
from provisioning.evacuation.leases import Hindrance
from provisioning.evacuation.plan import new_state, plan
from provisioning.evacuation.policy import EvacuationKind, EvacuationPolicy, default_policy
from provisioning.evacuation.seen import take_in
from provisioning.evacuation.turns import LOOK_AGAIN
from provisioning.evacuation.types import (
    Control,
    EvacuationState,
    Move,
    MoveKind,
    Phase,
    Plan,
    Start,
    StartEvacuation,
    WaitCode,
)
from provisioning.tiers import Tier
from provisioning.types import DEMAND, OperationState

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
HERE = "here"
REGION, OTHER = "aws-us-east-1", "gcp-us-central1"
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


def a_cell(name: str, *, region: str = REGION, room: int = 100, used: int = 0) -> CellFacts:
    capacity = Capacity(room, room * DEMAND.actions_per_second)
    taken = Capacity(used, used * DEMAND.actions_per_second)
    return CellFacts(name, region, "", capacity, capacity - taken)


def a_namespace(
    name: str,
    active: str = HERE,
    passive: Sequence[str] = ("there",),
    *,
    tier: Tier = Tier.BRONZE,
    regions: dict[str, str] | None = None,
) -> NamespaceFacts:
    known = regions or {}
    return NamespaceFacts(
        id=name,
        uid=f"uid-{name}",
        tier=tier,
        active=ReplicaFacts(active, known.get(active, REGION)),
        passive=tuple(ReplicaFacts(cell, known.get(cell, REGION)) for cell in passive),
        revision=1,
    )


def evacuation(
    kind: EvacuationKind = EvacuationKind.EVACUATE,
    policy: EvacuationPolicy | None = None,
    *,
    source_lost: bool = False,
) -> EvacuationState:
    return new_state(
        StartEvacuation(
            "e1", HERE, kind, policy or default_policy(kind), "ann", "a test", source_lost
        )
    )


@dataclass(order=True)
class _Due:
    at: datetime
    number: int
    act: Callable[[], None] = field(compare=False)


@dataclass
class Pretended:
    """A fleet, an evacuation of one of its cells, and a clock that jumps to whatever is next."""

    state: EvacuationState
    cells: dict[str, CellFacts]
    namespaces: dict[str, NamespaceFacts]
    takes: Callable[[str, MoveKind], timedelta] = lambda _, __: 10 * SECOND
    fails: Callable[[str, int], bool] = lambda _, __: False
    """Whether this attempt at a namespace, from 1 on, fails."""
    refused: Callable[[datetime], dict[str, str]] = lambda _: {}
    """The namespaces that the ledger does not let us disturb now."""
    now: datetime = NOW
    plans: list[tuple[datetime, Plan]] = field(default_factory=list)
    begun: list[tuple[datetime, Start]] = field(default_factory=list)
    attempts: Counter[str] = field(default_factory=Counter)
    most_under_way: Counter[MoveKind] = field(default_factory=Counter)
    unleased: list[str] = field(default_factory=list)
    """What was begun though the ledger did not let us disturb it."""
    least_free: dict[str, Capacity] = field(default_factory=dict)
    _due: list[_Due] = field(default_factory=list)

    def later(self, after: timedelta, act: Callable[[], None]) -> None:
        """Let something happen after a while."""
        heappush(self._due, _Due(self.now + after, len(self.begun) + len(self._due), act))

    def control(self, request: Control) -> str | None:
        """Do what a person asks, or return the refusal."""
        if refused := controls.refusal(self.state, request):
            return refused
        controls.take(self.state, request, self.now)
        return None

    def run(self, most_turns: int = 1000) -> EvacuationState:
        """Go on until it has ended, or until nothing would ever happen again."""
        for _ in range(most_turns):
            self.turn()
            if self.state.phase is Phase.ENDED or self._waits_for_a_person() or not self.jump():
                return self.state
        raise AssertionError(f"it does not end: {self.state.phase}, {self.plans[-1]}")

    def turn(self) -> Plan:
        """Look, plan and begin what is planned, as the workflow does."""
        state, seen = self.state, self.survey()
        if state.cordoned is None and state.phase is Phase.BEGINNING:
            outcomes.cordoned(state, ours=True, now=self.now)
        take_in(state, seen, self.now)
        lease = leases.wanted(state, seen)
        if state.phase is not Phase.STOPPING and leases.is_due(state, lease, self.now):
            refused = self.refused(self.now)
            names = tuple(name for name in lease.namespaces if name not in refused)
            hindrance = Hindrance({n: w for n, w in refused.items() if n in lease.namespaces})
            outcomes.lease_answered(state, 7, names, hindrance, self.now)
        decided = plan(state, seen, self.now)
        self.plans.append((self.now, decided))
        self.unleased += [s.namespace for s in decided.starts if s.namespace not in state.leased]
        outcomes.apply(state, decided, self.now)
        for start in decided.starts:
            self._begin(start)
        for name in decided.tell:
            self._tell(name)
        return decided

    def survey(self) -> Survey:
        return Survey(
            self.now,
            tuple(self.cells.values()),
            tuple(each for _, each in sorted(self.namespaces.items())),
        )

    def _waits_for_a_person(self) -> bool:
        """Return whether nothing has happened for longer than anything is waited for."""
        still_for = self.now - (self.state.moved_at or NOW)
        return not self._due and still_for > self.state.policy.patience + HOUR

    def jump(self) -> bool:
        """Go to the next time at which something may happen; return whether there is one."""
        decided = self.plans[-1][1]
        times = [due.at for due in self._due[:1]]
        if decided.wake_at is not None:
            times.append(max(decided.wake_at, self.now))
        conflicts = self.state.lease_conflicts and not self._due
        if decided.phase is not None or decided.marks or decided.stop or conflicts:
            times.append(self.now + (SECOND if not conflicts else LOOK_AGAIN))
        if not times:
            return False
        self.now = max(min(times), self.now + timedelta(milliseconds=1))
        while self._due and self._due[0].at <= self.now:
            heappop(self._due).act()
        return True

    def _begin(self, start: Start) -> None:
        self.begun.append((self.now, start))
        self.attempts[start.namespace] += 1
        move = moves.began(self.state, start, self.now)
        moves.agreed(self.state, start.namespace, 1, self.now)
        kinds = Counter(
            each.move.kind for each in self.state.namespaces.values() if each.move is not None
        )
        self.most_under_way |= kinds
        if start.kind is MoveKind.MIGRATION:
            self._take(start.target, 1)
        self.later(self.takes(start.namespace, start.kind), lambda: self._end(start, move))

    def _end(self, start: Start, move: Move) -> None:
        name = start.namespace
        progress = self.state.namespaces[name]
        waits = start.kind is MoveKind.MIGRATION and (
            progress.move is not None and progress.move.wish is None
        )
        if waits:
            facts = self._facts(name, move, OperationState.IN_PROGRESS)
            told = replace(facts, waits_for="confirm it", change=f"change of {name}")
            moves.followed(self.state, told, self.now)
            return
        is_aborted = progress.move is not None and (
            progress.move.wish is not None and progress.move.wish.value == "undo"
        )
        if is_aborted or self.fails(name, self.attempts[name]):
            if start.kind is MoveKind.MIGRATION:
                self._take(start.target, -1)
            failed = replace(
                self._facts(name, move, OperationState.FAILED), failure="it failed on purpose"
            )
            moves.followed(self.state, failed, self.now)
            return
        self.namespaces[name] = self._moved(self.namespaces[name], start)
        if start.kind is MoveKind.MIGRATION:
            self._take(start.source, -1)
        moves.followed(self.state, self._facts(name, move, OperationState.FULFILLED), self.now)

    def _tell(self, name: str) -> None:
        """Let a migration that waited for a person go on, or back."""
        progress = self.state.namespaces[name]
        assert progress.move is not None, "only what is under way is told something"
        assert progress.move.wish is not None, "only what was decided is told"
        outcomes.told(self.state, name, progress.move.wish)
        move = self.state.namespaces[name].move
        assert move is not None, "to be told something ends nothing"
        start = Start(name, move.kind, move.source, move.target, move.mode)
        self.later(SECOND, lambda: self._end(start, move))

    def _moved(self, namespace: NamespaceFacts, start: Start) -> NamespaceFacts:
        assert namespace.active is not None, "what moves is somewhere"
        passive = {replica.cell: replica for replica in namespace.passive}
        active = namespace.active
        if start.kind is MoveKind.MIGRATION:
            new = ReplicaFacts(start.target, self.cells[start.target].region)
            if active.cell == start.source:
                active = new
            else:
                del passive[start.source]
                passive[new.cell] = new
        else:
            active, passive[active.cell] = passive.pop(start.target), active
        return replace(
            namespace,
            active=active,
            passive=tuple(passive.values()),
            revision=namespace.revision + 1,
        )

    def _facts(self, name: str, move: Move, state: OperationState) -> MoveFacts:
        namespace = self.namespaces[name]
        assert namespace.active is not None, "what moves is somewhere"
        return MoveFacts(
            namespace=name,
            operation=move.operation,
            seen_at=self.now,
            exists=True,
            revision=namespace.revision,
            state=state,
            active=namespace.active.cell,
            cells=namespace.cells,
            took=SECOND,
        )

    def _take(self, cell: str, count: int) -> None:
        amount = Capacity(
            DEMAND.namespaces * count,
            DEMAND.actions_per_second * count,
        )
        known = self.cells[cell]
        self.cells[cell] = replace(known, free=known.free - amount)
        least = self.least_free.get(cell, known.free)
        now_free = self.cells[cell].free
        self.least_free[cell] = min(least, now_free, key=lambda c: c.actions_per_second)


def reasons(decided: Plan) -> dict[str, WaitCode]:
    """Return why what waits does."""
    return {wait.namespace: wait.code for wait in decided.waits}
