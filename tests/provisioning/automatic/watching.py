"""A fleet whose cells fall silent, and the watch over it, in time that is an argument."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from controlplane.resource import ConditionStatus
from provisioning.automatic import explaining, progress, votes
from provisioning.automatic import plan as planner
from provisioning.automatic.choices import Sight
from provisioning.automatic.plan import Plan
from provisioning.automatic.sight import (
    AskedOperation,
    CellFacts,
    FleetSurvey,
    NamespaceFacts,
    PeerSays,
    ProbeReport,
    ReplicaFacts,
    Round,
    Trouble,
)
from provisioning.automatic.types import (
    AvailabilityState,
    AvailabilityView,
    Ballot,
    CellAvailability,
    CellRecord,
    Move,
    MoveAnswer,
    NamespaceDecision,
    Verdict,
)
from provisioning.types import FailoverCause, OperationState

START = datetime(2026, 11, 22, 9, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
EAST, WEST, NORTH = "aws-us-east-1", "aws-us-west-2", "gcp-europe-north1"
E1, E2, W1, W2, N1, N2 = (f"{r}-c{n}" for r in (EAST, WEST, NORTH) for n in (1, 2))
ORDERS, BILLS, LONELY, PROUD = "orders.acme1", "bills.acme1", "lonely.acme1", "proud.acme1"


def namespace(name: str, active: str, *passive: str, managed: bool = True) -> NamespaceFacts:
    replicas = tuple(ReplicaFacts(cell, cell.rpartition("-")[0]) for cell in passive)
    return NamespaceFacts(name, f"uid-{name}", active, replicas, managed=managed)


@dataclass
class Watched:
    """Three regions with two cells each, unless said otherwise."""

    cells: tuple[str, ...] = (E1, E2, W1, W2, N1, N2)
    namespaces: dict[str, NamespaceFacts] = field(default_factory=dict)
    state: AvailabilityState = field(default_factory=AvailabilityState)
    now: datetime = START
    # What the world does.
    lost: set[str] = field(default_factory=set)
    ingress_lost: set[str] = field(default_factory=set)
    """Cells whose Temporal answers, and whose ingress does not."""
    silent: set[str] = field(default_factory=set)
    """Regions whose workers say nothing: they are gone, or slow."""
    isolated: set[str] = field(default_factory=set)
    """Regions whose workers and cells reach no other region."""
    liars: dict[str, set[str]] = field(default_factory=dict)
    """Cells that the workers of a region find lost, though they are not."""
    deaf: set[tuple[str, str]] = field(default_factory=set)
    """Who gets nothing from whom, though both are well."""
    stale: set[str] = field(default_factory=set)
    """Cells whose entities have said nothing for long."""
    unreadable: bool = False
    """Whether the store says nothing of namespaces."""
    wrong: set[str] = field(default_factory=set)
    """Cells whose entities take them for not ready, though they serve."""
    changed: dict[str, CellFacts] = field(default_factory=dict)
    """What is told of a cell beside what is seen of it."""
    failing: set[str] = field(default_factory=set)
    """Namespaces whose failovers fail."""
    refusing: set[str] = field(default_factory=set)
    # What came of it.
    plan: Plan = field(default_factory=Plan)
    moved: list[Move] = field(default_factory=list)
    sight: Sight | None = None
    vantages: tuple[object, ...] = ()

    def has(self, *namespaces: NamespaceFacts) -> "Watched":
        self.namespaces |= {each.id: each for each in namespaces}
        return self

    def look(self, after: timedelta = 10 * SECOND, took: timedelta = SECOND) -> Plan:
        """Let some time go by, look once as the workflow does, and do what is decided."""
        self.now += after
        state, policy = self.state, self.state.policy
        survey = FleetSurvey(self.now, tuple(map(self._facts, self.cells)))
        reports = tuple(
            self._report(region)
            for region in votes.looking_regions(survey, policy)
            if region not in self.silent
        )
        seen = Round(self.now, self.now + took, survey, reports)
        unsettled = {
            cell
            for cell, record in state.cells.items()
            if record.verdict not in (Verdict.WELL, Verdict.UNKNOWN)
        }
        asked = votes.doubted(seen, policy) | unsettled
        peers = tuple(
            self._peer(peer, cell.id)
            for cell in survey.cells
            if cell.id in asked
            for peer in cell.peers
            if _region(peer) not in self.silent
        )
        seen = replace(seen, peers=peers)
        self.now += took
        self.vantages = votes.vantages(seen, policy)
        counts = votes.counts(seen, policy, peers_asked=asked)
        self.sight = sight = progress.take_in(state, survey, counts, self.now)
        found = {
            cell: [n for n in self.namespaces.values() if cell in _cells(n)]
            for cell in planner.to_survey(state, sight)
            if not self.unreadable
        }
        progress.settle(state, found, self.now)
        self.plan = planner.plan(state, sight, found)
        progress.forget_returned(state, self.plan, found, sight)
        progress.ask(state, self.plan.moves, self.now)
        progress.hear(state, [self._move(move) for move in self.plan.moves], self.now)
        return self.plan

    def watch(self, span: timedelta, every: timedelta = 10 * SECOND) -> list[Move]:
        """Look again and again for so long, and return what was moved."""
        before, until = len(self.moved), self.now + span
        while self.now < until:
            self.look(every - SECOND)
        return self.moved[before:]

    def record(self, cell: str) -> CellRecord:
        return self.state.cells[cell]

    def verdict(self, cell: str) -> Verdict:
        return self.state.cells[cell].verdict

    def decision(self, namespace: str) -> NamespaceDecision:
        return next(each for each in self.plan.decisions if each.namespace == namespace)

    def told(self, cell: str) -> CellAvailability:
        return next(each for each in self.view.cells if each.cell == cell)

    @property
    def view(self) -> AvailabilityView:
        return explaining.view(self.state, self.sight, (), self.plan, now=self.now, next_round=None)

    def _facts(self, cell: str) -> CellFacts:
        told = self.changed.get(cell, CellFacts(cell, _region(cell)))
        down = cell in self.lost | self.ingress_lost | self.wrong
        region_is_silent = _region(cell) in self.silent
        peers = {
            peer
            for each in self.namespaces.values()
            if cell in _cells(each)
            for peer in _cells(each)
        }
        ready = ConditionStatus.FALSE if down and not region_is_silent else ConditionStatus.TRUE
        if cell in self.stale:
            ready = ConditionStatus.UNKNOWN
        return replace(
            told,
            ready=ready if told.ready is ConditionStatus.UNKNOWN else told.ready,
            ready_message="Temporal does not answer" if down else told.ready_message,
            said_at=self.now - (HOUR if region_is_silent or cell in self.stale else SECOND),
            peers=tuple(sorted(peers - {cell})),
        )

    def _report(self, region: str) -> ProbeReport:
        lost = {
            cell
            for cell in self.cells
            if cell in self.lost | self.ingress_lost | self.liars.get(region, set())
            or not self._reaches(region, cell)
        }
        return ProbeReport(
            region,
            well=tuple(cell for cell in self.cells if cell not in lost),
            lost=tuple(
                Trouble(cell, "no answer", frontend_answers=cell in self.ingress_lost)
                for cell in sorted(lost)
            ),
        )

    def _peer(self, peer: str, cell: str) -> PeerSays:
        if peer in self.lost:
            return PeerSays(cell, peer, Ballot.ABSTAINS, "cannot be asked")
        gets_it = (
            cell not in self.lost
            and (peer, cell) not in self.deaf
            and self._reaches(_region(peer), cell)
        )
        return PeerSays(cell, peer, Ballot.WELL if gets_it else Ballot.LOST)

    def _reaches(self, region: str, cell: str) -> bool:
        return region == _region(cell) or not self.isolated & {region, _region(cell)}

    def _move(self, move: Move) -> MoveAnswer:
        self.moved.append(move)
        if move.namespace in self.refusing:
            return MoveAnswer(move.namespace, "not now")
        found = self.namespaces[move.namespace]
        failed = move.namespace in self.failing
        state = OperationState.FAILED if failed else OperationState.FULFILLED
        asked = (*found.asked, AskedOperation(move.operation, state, "no luck" if failed else ""))
        found = replace(found, asked=asked)
        if not failed:
            found = failed_over(found, move.target, move.cause)
        self.namespaces[move.namespace] = found
        return MoveAnswer(move.namespace)


def failed_over(found: NamespaceFacts, target: str, cause: FailoverCause) -> NamespaceFacts:
    others = tuple(each for each in found.passive if each.cell != target)
    automatic = cause is FailoverCause.AUTOMATIC
    return replace(
        found,
        active=target,
        passive=(*others, ReplicaFacts(found.active, _region(found.active))),
        last_cause=cause,
        last_source=found.active,
        last_target=target,
        driven_from=found.active if automatic else found.driven_from,
    )


def names(moves: Iterable[Move]) -> list[str]:
    return [move.namespace for move in moves]


def _region(cell: str) -> str:
    return cell.rpartition("-")[0]


def _cells(found: NamespaceFacts) -> set[str]:
    return {found.active, *(replica.cell for replica in found.passive)}
