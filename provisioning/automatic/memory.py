"""A fleet in memory: what is seen of it from everywhere, and namespaces that move when asked to."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from cells.types import CellView
from controlplane.errors import failed_precondition, not_found
from controlplane.resource import ConditionStatus
from provisioning.automatic.facts import cell_facts, namespace_facts, peers_of
from provisioning.automatic.sight import CellFacts, NamespaceFacts, PeerSays, ProbeReport, Trouble
from provisioning.automatic.types import AvailabilityView, Ballot
from provisioning.types import (
    FailOver,
    Failover,
    FailoverMode,
    NamespaceView,
    Operation,
    OperationKind,
    OperationState,
    PassiveReplica,
)


@dataclass
class MemorySky:
    """Meets all ports of availability. What is lost does not answer; what is isolated sees nothing
    but itself."""

    cells_known: dict[str, CellView] = field(default_factory=dict)
    known: dict[str, NamespaceView] = field(default_factory=dict)
    leases: dict[str, str] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    """Cells that nobody reaches."""
    isolated: set[str] = field(default_factory=set)
    """Regions from which no other is reached."""
    silent: set[str] = field(default_factory=set)
    """Regions whose workers do not answer."""
    refusing: dict[str, str] = field(default_factory=dict)
    """Why a namespace does not agree to move, by namespace."""
    unreadable: str = ""
    """Why the fleet cannot be read; empty when it can."""
    requests: list[tuple[str, FailOver]] = field(default_factory=list)
    """What namespaces were asked for, in order."""
    view: AvailabilityView | None = None
    """The newest that was published."""

    async def cells(self) -> Sequence[CellFacts]:
        if self.unreadable:
            raise ConnectionError(self.unreadable)
        peers = peers_of({view.id: view.cells for view in self.known.values()})
        return [
            self._as_its_entity_says(
                cell_facts(view, self.leases.get(view.id, ""), sorted(peers.get(view.id, ())))
            )
            for view in self.cells_known.values()
        ]

    async def namespaces(self, cell: str) -> Sequence[NamespaceFacts]:
        found = (namespace_facts(view) for view in self.known.values() if cell in view.cells)
        return [facts for facts in found if facts is not None]

    async def probe(self, region: str) -> ProbeReport:
        if region in self.silent:
            raise ConnectionError(f"no worker runs in {region}")
        lost = {cell for cell in self.cells_known if not self._reaches(region, cell)}
        return ProbeReport(
            region,
            well=tuple(cell for cell in self.cells_known if cell not in lost),
            lost=tuple(Trouble(cell, "Temporal gives no answer") for cell in sorted(lost)),
        )

    async def ask(self, peer: str, cell: str) -> PeerSays:
        region = self.cells_known[peer].spec.region
        if peer in self.lost or region in self.silent:
            return PeerSays(cell, peer, Ballot.ABSTAINS, "cannot be asked")
        if self._reaches(region, cell):
            return PeerSays(cell, peer, Ballot.WELL)
        return PeerSays(cell, peer, Ballot.LOST, "no beat has arrived")

    async def fail_over(self, namespace: str, request: FailOver) -> NamespaceView:
        view = self.known.get(namespace)
        if view is None:
            raise not_found(f"namespace {namespace} not found")
        if any(operation.id == request.operation for operation in view.operations):
            return view
        if why := self.refusing.get(namespace):
            raise failed_precondition(why)
        self.requests.append((namespace, request))
        self.known[namespace] = after = self._after(view, request)
        return after

    async def publish_availability(self, view: AvailabilityView) -> None:
        if self.view is None or self.view.revision < view.revision:
            self.view = view

    def _as_its_entity_says(self, facts: CellFacts) -> CellFacts:
        if facts.region in self.silent:
            return replace(facts, said_at=None)
        facts = replace(facts, said_at=datetime.now(UTC))
        if facts.id not in self.lost:
            return facts
        return replace(facts, ready=ConditionStatus.FALSE, ready_message="Temporal is silent")

    def _reaches(self, region: str, cell: str) -> bool:
        there = self.cells_known[cell].spec.region
        if cell in self.lost:
            return False
        return there == region or not self.isolated & {region, there}

    def _after(self, view: NamespaceView, request: FailOver) -> NamespaceView:
        now, source = datetime.now(UTC), view.cell
        operation = Operation(
            request.operation, OperationKind.FAIL_OVER, OperationState.FULFILLED, now, now
        )
        view = replace(view, revision=view.revision + 1)
        if request.mode is FailoverMode.GRACEFUL and {source, request.cell} & self.lost:
            why = "a graceful failover needs both cells"
            failed = replace(operation, state=OperationState.FAILED, failure_reason=why)
            return replace(view, operations=(*view.operations, failed))
        view = replace(view, operations=(*view.operations, operation))
        placement, target = view.observed.placement, view.passive.get(request.cell)
        if source is None or placement is None or target is None:
            return view
        former = PassiveReplica(placement.region, placement, number=0, since=now)
        others = {cell: each for cell, each in view.passive.items() if cell != request.cell}
        failover = Failover(
            at=now,
            source=source,
            target=request.cell,
            cause=request.cause,
            forced=request.mode is FailoverMode.FORCED,
            reason=request.reason,
        )
        return replace(
            view,
            observed=replace(view.observed, placement=target.placement),
            passive=others | {source: former},
            failovers=(*view.failovers, failover),
        )
