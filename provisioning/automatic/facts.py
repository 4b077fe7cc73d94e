"""What availability has to know of a cell and of a namespace, from how others see them. Pure."""

from collections.abc import Mapping, Sequence

from cells.types import DRIFTED, NOTHING, SYNTHETIC_RING, CellCondition, CellView
from controlplane.resource import ConditionStatus
from provisioning.automatic.sight import (
    AskedOperation,
    CellFacts,
    NamespaceFacts,
    ReplicaFacts,
)
from provisioning.types import (
    Failover,
    FailoverCause,
    NamespaceCondition,
    NamespaceLife,
    NamespaceView,
    OperationKind,
    OperationState,
)

OURS = (f"{FailoverCause.AUTOMATIC}-", f"{FailoverCause.FAILBACK}-")
"""How the ids of operations begin that are asked for here."""


def cell_facts(view: CellView, lease: str, peers: Sequence[str]) -> CellFacts:
    """Return the facts of a cell that `lease` may disturb, and from which `peers` replicate."""
    ready = view.conditions.get(CellCondition.READY)
    message = "nobody has looked at it yet" if ready is None else ready.message or ready.reason
    return CellFacts(
        id=view.id,
        region=view.spec.region,
        is_synthetic=view.spec.ring == SYNTHETIC_RING,
        ready=_readiness(view),
        ready_message=message,
        said_at=view.said_at,
        peers=tuple(sorted(peers)),
        visit="" if view.visit is None else f"{view.visit.release} ({view.visit.phase})",
        lease=lease,
        cordon="" if view.cordon is None else f"by {view.cordon.by}: {view.cordon.reason}",
        quarantine=""
        if view.quarantine is None
        else f"by {view.quarantine.by}: {view.quarantine.reason}",
        shortages=tuple(view.free.shortages(NOTHING)),
    )


def namespace_facts(view: NamespaceView) -> NamespaceFacts | None:
    """Return the facts of a namespace; None of one that is nowhere yet, or no more."""
    if view.cell is None:
        return None
    last = view.failovers[-1] if view.failovers else None
    driven = [each for each in view.failovers if each.cause is FailoverCause.AUTOMATIC]
    replicated = view.conditions.get(NamespaceCondition.REPLICATED)
    lacks = replicated is not None and replicated.status is ConditionStatus.FALSE
    change = view.change
    return NamespaceFacts(
        id=view.id,
        uid=view.uid,
        active=view.cell,
        passive=_by_preference(view),
        managed=view.spec.managed_failover,
        leaving=_why_left_alone(view),
        change=None if change is None else change.kind,
        change_message="" if change is None else f" {change.id}: {change.progress.phase}",
        incomplete_since=replicated.last_transition_time if replicated and lacks else None,
        incomplete=(replicated.message or replicated.reason) if replicated and lacks else "",
        last_cause=None if last is None else last.cause,
        last_source="" if last is None else last.source,
        last_target="" if last is None else last.target,
        driven_from=driven[-1].source if driven else "",
        kept_by=_kept_by(view, driven[-1]) if driven else "",
        asked=tuple(
            AskedOperation(each.id, each.state, each.failure_reason)
            for each in view.operations
            if each.id.startswith(OURS)
        ),
    )


def peers_of(namespaces: Mapping[str, Sequence[str]]) -> dict[str, set[str]]:
    """Return which cells replicate from which; `namespaces` are the cells of each namespace."""
    peers: dict[str, set[str]] = {}
    for cells in namespaces.values():
        for cell in cells:
            peers.setdefault(cell, set()).update(other for other in cells if other != cell)
    return peers


def _readiness(view: CellView) -> ConditionStatus:
    ready = view.conditions.get(CellCondition.READY)
    if ready is None:
        return ConditionStatus.UNKNOWN
    # Of one that drifted all parts answer: it is not what was brought there, and it serves.
    return ConditionStatus.TRUE if ready.reason == DRIFTED else ready.status


def _by_preference(view: NamespaceView) -> tuple[ReplicaFacts, ...]:
    regions = {region: place for place, region in reversed(list(enumerate(view.spec.regions)))}
    ordered = sorted(
        view.passive.items(),
        key=lambda each: (regions.get(each[1].region, len(regions)), each[0]),
    )
    return tuple(ReplicaFacts(cell, replica.region) for cell, replica in ordered)


def _kept_by(view: NamespaceView, driven: Failover) -> str:
    """Return the latest failover that somebody asked for after it had been driven away."""
    since = [
        operation.id
        for operation in view.operations
        if operation.kind is OperationKind.FAIL_OVER
        and operation.state is OperationState.FULFILLED
        and operation.started_at > driven.at
        and not operation.id.startswith(OURS)
    ]
    return since[-1] if since else ""


def _why_left_alone(view: NamespaceView) -> str:
    match view.life:
        case NamespaceLife.DELETING | NamespaceLife.DELETE_FAILED | NamespaceLife.DELETED:
            return "it is being deleted"
        case NamespaceLife.ACTIVATING | NamespaceLife.ACTIVATION_FAILED:
            return "it was never whole"
        case NamespaceLife.ACTIVE | NamespaceLife.UPDATING | NamespaceLife.UPDATE_FAILED:
            return ""
