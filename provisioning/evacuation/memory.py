"""An evacuation's world in memory: namespaces that move when they are told to, and their cells."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from cells.placement import Placement
from cells.types import CellView, Cordon
from controlplane.errors import failed_precondition, invalid_argument, not_found
from provisioning.evacuation.types import EvacuationView
from provisioning.types import (
    AbortReplicaChange,
    AdmissionFacts,
    ConfirmMigration,
    FailOver,
    Failover,
    FailoverMode,
    MigrateNamespace,
    NamespaceView,
    ObservedNamespace,
    Operation,
    OperationKind,
    OperationState,
    PassiveReplica,
    ProofFacts,
    ReplicaChange,
    ReplicaChangeKind,
    ReplicaProgress,
)


def has_replica(cell: str, region: str, at: datetime) -> PassiveReplica:
    """Return a passive replica whose ingress lets clients in."""
    return PassiveReplica(
        region=region,
        placement=Placement(region, cell, ()),
        number=1,
        since=at,
        admission=AdmissionFacts("digest"),
        proof=ProofFacts("digest", at),
    )


@dataclass
class MemoryNamespaces:
    """Meets `provisioning.evacuation.ports.Namespaces` and `ReplicaChanges`.

    A change takes `takes`; a migration that is not confirmed then waits until it is. Whoever reads
    a namespace sees how far it has come meanwhile, as from the projections.
    """

    regions: dict[str, str]
    """Of the cells."""
    views: dict[str, NamespaceView] = field(default_factory=dict)
    takes: timedelta = timedelta(milliseconds=50)
    faults: dict[str, list[str]] = field(default_factory=dict)
    """Why the next changes of a namespace fail, first to last."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def put(self, view: NamespaceView) -> None:
        """Make it so."""
        self.write(replace(view, revision=view.revision + 1))

    async def in_cell(self, cell: str) -> Sequence[NamespaceView]:
        return [view for view in self._all() if cell in view.cells]

    async def named(self, namespaces: Sequence[str]) -> Sequence[NamespaceView]:
        return [view for view in self._all() if view.id in namespaces]

    async def fail_over(self, namespace: str, request: FailOver) -> NamespaceView:
        view, known = self._asked(namespace, request.operation)
        if known:
            return view
        if request.cell not in view.cells:
            raise invalid_argument(f"{namespace} has no replica in cell {request.cell}")
        if request.cell == view.cell:
            return self._recorded(view, request.operation, OperationKind.FAIL_OVER, change=None)
        change = ReplicaChange(
            id=f"{namespace}-{view.revision}",
            kind=ReplicaChangeKind.FAILOVER,
            operation=request.operation,
            source=view.cell or "",
            target=request.cell,
            region=view.passive[request.cell].region,
            started_at=self.now(),
            mode=request.mode,
            cause=request.cause,
            reason=request.reason,
        )
        return self._recorded(view, request.operation, OperationKind.FAIL_OVER, change)

    async def migrate(self, namespace: str, request: MigrateNamespace) -> NamespaceView:
        view, known = self._asked(namespace, request.operation)
        if known:
            return view
        if request.cell in view.cells:
            raise failed_precondition(f"{namespace} has a replica in {request.cell} already")
        change = ReplicaChange(
            id=f"{namespace}-{view.revision}",
            kind=ReplicaChangeKind.MIGRATE,
            operation=request.operation,
            source=request.source or view.cell or "",
            target=request.cell,
            region=self.regions[request.cell],
            started_at=self.now(),
            soak=request.soak,
            confirmed=request.confirmed,
            reason=request.reason,
        )
        return self._recorded(view, request.operation, OperationKind.MIGRATE, change)

    async def confirm_migration(self, namespace: str, request: ConfirmMigration) -> NamespaceView:
        view, change = self._under_way(namespace, request.change)
        self.put(replace(view, change=replace(change, confirmed=True)))
        return self._read(namespace)

    async def abort_change(self, namespace: str, request: AbortReplicaChange) -> NamespaceView:
        view, change = self._under_way(namespace, request.change)
        self.put(replace(view, change=replace(change, aborted=True)))
        return self._read(namespace)

    def load(self) -> Iterable[NamespaceView]:
        """Return every namespace as it was last written."""
        return list(self.views.values())

    def write(self, view: NamespaceView) -> None:
        self.views[view.id] = view

    def fault(self, namespace: str) -> str:
        """Take the next planned fault; empty for none."""
        return self.faults[namespace].pop(0) if self.faults.get(namespace) else ""

    def _all(self) -> list[NamespaceView]:
        return [self._caught_up(view) for view in self.load()]

    def _read(self, namespace: str) -> NamespaceView:
        found = next((view for view in self._all() if view.id == namespace), None)
        if found is None:
            raise not_found(f"namespace {namespace} not found")
        return found

    def _asked(self, namespace: str, operation: str) -> tuple[NamespaceView, bool]:
        """Return the namespace, and whether it was asked before; raise if it is being changed."""
        view = self._read(namespace)
        if any(each.id == operation for each in view.operations):
            return view, True
        if view.change is not None:
            raise failed_precondition(f"the replicas of {namespace} are being changed")
        return view, False

    def _under_way(self, namespace: str, change: str) -> tuple[NamespaceView, ReplicaChange]:
        view = self._read(namespace)
        if view.change is None or view.change.id != change:
            raise not_found(f"change {change} of {namespace} is not under way")
        return view, view.change

    def _recorded(
        self,
        view: NamespaceView,
        operation: str,
        kind: OperationKind,
        change: ReplicaChange | None,
    ) -> NamespaceView:
        state = OperationState.FULFILLED if change is None else OperationState.IN_PROGRESS
        opened = Operation(operation, kind, state, self.now())
        self.put(replace(view, operations=(*view.operations, opened), change=change))
        return self._read(view.id)

    def _caught_up(self, view: NamespaceView) -> NamespaceView:
        """Let what is under way come as far as it would have by now."""
        change, now = view.change, self.now()
        if change is None or now - change.started_at < self.takes:
            return view
        if why := "it was aborted" if change.aborted else self.fault(view.id):
            return self._ended(view, change, OperationState.FAILED, why)
        if change.kind is ReplicaChangeKind.FAILOVER:
            return self._ended(_swapped(view, change, now, self), change, OperationState.FULFILLED)
        if not change.confirmed:
            waits = ReplicaProgress("soak", waits_for="confirm the migration, or abort it")
            if change.progress != waits:
                self.put(replace(view, change=replace(change, progress=waits)))
                return self._read(view.id)
            return view
        passive = {**view.passive, change.target: has_replica(change.target, change.region, now)}
        moved = replace(view, passive=passive)
        if view.cell == change.source:
            moved = _swapped(moved, change, now, self)
        left = {cell: each for cell, each in moved.passive.items() if cell != change.source}
        return self._ended(replace(moved, passive=left), change, OperationState.FULFILLED)

    def _ended(
        self, view: NamespaceView, change: ReplicaChange, state: OperationState, why: str = ""
    ) -> NamespaceView:
        operations = tuple(
            replace(each, state=state, failure_reason=why) if each.id == change.operation else each
            for each in view.operations
        )
        self.put(replace(view, operations=operations, change=None))
        return self._read(view.id)


def _swapped(
    view: NamespaceView, change: ReplicaChange, now: datetime, world: MemoryNamespaces
) -> NamespaceView:
    source, target = view.cell or "", change.target
    passive = {cell: each for cell, each in view.passive.items() if cell != target}
    failover = Failover(
        at=now,
        source=source,
        target=target,
        cause=change.cause,
        forced=change.mode is FailoverMode.FORCED,
        reason=change.reason,
        took=world.takes,
    )
    return replace(
        view,
        observed=ObservedNamespace(placement=Placement(world.regions[target], target, ())),
        passive={**passive, source: has_replica(source, world.regions[source], now)},
        failovers=(*view.failovers, failover),
    )


@dataclass(frozen=True)
class PublishedNamespaces:
    """Meets `provisioning.evacuation.ports.Namespaces` where entities publish to memory."""

    views: Mapping[str, NamespaceView]

    async def in_cell(self, cell: str) -> Sequence[NamespaceView]:
        return [view for view in self.views.values() if cell in view.cells]

    async def named(self, namespaces: Sequence[str]) -> Sequence[NamespaceView]:
        return [self.views[name] for name in namespaces if name in self.views]


@dataclass(frozen=True)
class PublishedCells:
    """Meets `provisioning.evacuation.ports.Cells` where entities publish to memory."""

    views: Mapping[str, CellView]

    async def cells(self) -> Sequence[CellView]:
        return list(self.views.values())


@dataclass
class MemoryFleetCells:
    """Meets `provisioning.evacuation.ports.Cells` and `CellEntities`."""

    views: dict[str, CellView]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def cells(self) -> Sequence[CellView]:
        return list(self.views.values())

    async def describe(self, cell: str) -> CellView:
        return self.views[cell]

    async def cordon(self, cell: str, *, reason: str, by: str) -> CellView:
        self.put(replace(self.views[cell], cordon=Cordon(reason, by, self.now())))
        return self.views[cell]

    async def uncordon(self, cell: str) -> CellView:
        self.put(replace(self.views[cell], cordon=None))
        return self.views[cell]

    def put(self, view: CellView) -> None:
        """Make it so."""
        self.views[view.id] = view


@dataclass
class MemoryEvacuations:
    """Meets `provisioning.evacuation.ports.EvacuationProjection`; keeps every view, in order."""

    views: dict[str, EvacuationView] = field(default_factory=dict)
    published: list[EvacuationView] = field(default_factory=list)

    async def publish_evacuation(self, view: EvacuationView) -> None:
        known = self.views.get(view.id)
        if known is None or known.revision < view.revision:
            self.views[view.id] = view
            self.published.append(view)
