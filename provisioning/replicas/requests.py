"""What a namespace agrees to when it is asked for a change of its replicas. Pure."""

from dataclasses import replace
from datetime import datetime

from controlplane.errors import failed_precondition, invalid_argument, not_found
from provisioning.journal import Journal
from provisioning.replicas.plan import (
    active_cell,
    is_open,
    present_regions,
    replica_in,
)
from provisioning.types import (
    AbortReplicaChange,
    ConfirmMigration,
    FailOver,
    MigrateNamespace,
    NamespaceSpec,
    NamespaceState,
    OperationKind,
    OperationState,
    ReplicaChange,
    ReplicaChangeKind,
)

MOST_REPLICAS = 2
"""What a spec may ask for; while a namespace is migrated it has one more."""

ReplicaRequest = FailOver | MigrateNamespace | ConfirmMigration | AbortReplicaChange


def check_regions(state: NamespaceState, spec: NamespaceSpec, wanted: NamespaceSpec) -> None:
    """Raise why the namespace cannot have its replicas in these regions."""
    if wanted.regions == spec.regions:
        return
    _check_idle(state)
    if len(wanted.regions) > MOST_REPLICAS:
        raise invalid_argument(
            f"{len(wanted.regions)} regions ({', '.join(wanted.regions)}) are too many: a "
            f"namespace has {MOST_REPLICAS} replicas at most"
        )
    active, *_ = (*present_regions(state), spec.region)
    if active not in wanted.regions:
        raise failed_precondition(
            f"namespace {state.id} is active in {active}, which cannot be removed: fail over to "
            "the other region first"
        )


def check(state: NamespaceState, request: ReplicaRequest) -> None:
    """Raise why the namespace cannot take the request."""
    match request:
        case FailOver():
            _check_failover(state, request)
        case MigrateNamespace():
            _check_migration(state, request)
        case ConfirmMigration(change=change):
            under_way = _under_way(state, change)
            if under_way.kind != ReplicaChangeKind.MIGRATE:
                raise failed_precondition(
                    f"change {change} of namespace {state.id} is of kind {under_way.kind}: only a "
                    "migration is confirmed"
                )
        case AbortReplicaChange(change=change):
            _under_way(state, change)


def record(state: NamespaceState, request: ReplicaRequest, now: datetime) -> None:
    """Write it down; the generation was raised before."""
    journal = Journal(state)
    match request:
        case FailOver():
            journal.open(request.operation, OperationKind.FAIL_OVER, now)
            target = _target(state, request)
            if target == active_cell(state):
                journal.close([request.operation], OperationState.FULFILLED, now)
                return
            _want(
                state,
                ReplicaChange(
                    id="",
                    kind=ReplicaChangeKind.FAILOVER,
                    operation=request.operation,
                    source=active_cell(state),
                    target=target,
                    region=state.passive[target].region,
                    started_at=now,
                    mode=request.mode,
                    cause=request.cause,
                    reason=request.reason,
                ),
            )
        case MigrateNamespace():
            journal.open(request.operation, OperationKind.MIGRATE, now)
            source = request.source or active_cell(state)
            _want(
                state,
                ReplicaChange(
                    id="",
                    kind=ReplicaChangeKind.MIGRATE,
                    operation=request.operation,
                    source=source,
                    target=request.cell,
                    region=request.region or _region(state, source),
                    started_at=now,
                    reason=request.reason,
                    soak=request.soak,
                    confirmed=request.confirmed,
                ),
            )
        case ConfirmMigration():
            journal.open(request.operation, OperationKind.CONFIRM_MIGRATION, now)
            journal.close([request.operation], OperationState.FULFILLED, now)
            _note(state, confirmed=True)
        case AbortReplicaChange():
            journal.open(request.operation, OperationKind.ABORT_CHANGE, now)
            journal.close([request.operation], OperationState.FULFILLED, now)
            _note(state, aborted=True)


def _check_idle(state: NamespaceState) -> None:
    """Raise if something is being done to the replicas: one thing is done at a time."""
    change = state.change or next(iter(state.wanted_changes), None)
    if change is not None:
        raise failed_precondition(
            f"the replicas of namespace {state.id} are being changed ({change.kind}"
            f"{f' {change.id}' if change.id else ''}, {change.progress.phase}): wait until that is "
            "done, or abort it"
        )
    if state.replica_operations:
        raise failed_precondition(
            f"the regions of namespace {state.id} are being changed: wait until that is done"
        )


def _check_failover(state: NamespaceState, request: FailOver) -> None:
    target = _target(state, request)
    if target == active_cell(state):
        return
    _check_idle(state)
    if not is_open(state.passive[target]):
        raise failed_precondition(
            f"the replica of namespace {state.id} in {target} is not ready: its ingress does not "
            "let clients in yet"
        )


def _target(state: NamespaceState, request: FailOver) -> str:
    has = ", ".join(dict.fromkeys(present_regions(state)))
    if request.cell:
        if request.cell != active_cell(state) and request.cell not in state.passive:
            raise invalid_argument(
                f"namespace {state.id} has no replica in cell {request.cell}: it has replicas in "
                f"{', '.join((active_cell(state), *sorted(state.passive)))}"
            )
        return request.cell
    if not request.region:
        raise invalid_argument(f"no region is given: send one of {has}")
    found = replica_in(state, request.region)
    if found is None:
        raise invalid_argument(
            f"namespace {state.id} has no replica in {request.region}: it has replicas in {has}"
        )
    return found


def _check_migration(state: NamespaceState, request: MigrateNamespace) -> None:
    _check_idle(state)
    cells = (active_cell(state), *sorted(state.passive))
    if request.source and request.source not in cells:
        raise invalid_argument(
            f"namespace {state.id} has no replica in cell {request.source}: it has replicas in "
            f"{', '.join(cells)}"
        )
    if request.cell in cells:
        raise invalid_argument(
            f"namespace {state.id} has a replica in cell {request.cell} already: fail over to it, "
            "then remove the other"
        )


def _region(state: NamespaceState, cell: str) -> str:
    return present_regions(state)[0] if cell == active_cell(state) else state.passive[cell].region


def _under_way(state: NamespaceState, change: str) -> ReplicaChange:
    if state.change is None or state.change.id != change:
        now = f"change {state.change.id} is" if state.change is not None else "nothing is"
        raise not_found(
            f"change {change} of the replicas of namespace {state.id} is not under way: {now}"
        )
    return state.change


def _want(state: NamespaceState, change: ReplicaChange) -> None:
    state.wanted_changes = [*state.wanted_changes, change]


def _note(state: NamespaceState, *, confirmed: bool = False, aborted: bool = False) -> None:
    assert state.change is not None, "it was checked before"
    state.change = replace(
        state.change,
        confirmed=confirmed or state.change.confirmed,
        aborted=aborted or state.change.aborted,
    )
