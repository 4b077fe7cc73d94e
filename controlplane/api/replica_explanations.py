"""Where a namespace's replicas are and why: the answer to "why did it not fail over?". Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from cells.replication.types import LinkHealth
from controlplane.api.replica_states import Replica, ReplicaState, replicas_of
from controlplane.api.replica_types import NamespaceReplicas, ReplicaDetails
from provisioning.automatic.types import AvailabilityView, Verdict
from provisioning.types import (
    Failover,
    NamespaceCondition,
    NamespaceView,
    ReplicaChange,
    ReplicaChangeKind,
)

_KIND: Mapping[ReplicaChangeKind, str] = {
    ReplicaChangeKind.ADD: "A replica is being added",
    ReplicaChangeKind.REMOVE: "A replica is being removed",
    ReplicaChangeKind.FAILOVER: "A failover is under way",
    ReplicaChangeKind.MIGRATE: "A migration is under way",
}


def explain_replicas(
    view: NamespaceView,
    links: Sequence[LinkHealth],
    availability: AvailabilityView | None,
    now: datetime,
) -> NamespaceReplicas:
    """Return what is known of the namespace's replicas, and of failovers that took place or not."""
    pulled = {(link.cell, link.peer): link for link in links}
    replicas = tuple(
        _details(replica, pulled.get((replica.cell, view.cell or "")))
        for replica in replicas_of(view)
    )
    return NamespaceReplicas(
        namespace=view.id,
        wanted=view.spec.regions,
        active_region=view.active_region,
        managed_failover=view.spec.managed_failover,
        replicas=replicas,
        change=view.change,
        change_eta=None if view.change is None else eta(view.change, now),
        replicated=view.conditions.get(NamespaceCondition.REPLICATED),
        failovers=view.failovers,
        words=tuple(_words(view, replicas, availability)),
    )


def eta(change: ReplicaChange, now: datetime) -> datetime | None:
    """Return when what is counted will be done at the pace so far; None when nothing is counted."""
    done, of = change.progress.done, change.progress.of
    if not 0 < done < of:
        return None
    return now + (now - change.started_at) * (of - done) / done


def _details(replica: Replica, pulled: LinkHealth | None) -> ReplicaDetails:
    return ReplicaDetails(
        region=replica.region,
        cell=replica.cell,
        state=replica.state,
        is_active=replica.is_active,
        since=replica.since,
        lag=None if pulled is None else pulled.lag,
        looked_at=None if pulled is None else pulled.at,
        problems=() if pulled is None else pulled.problems,
        is_moving=replica.is_moving,
    )


def _words(
    view: NamespaceView,
    replicas: Sequence[ReplicaDetails],
    availability: AvailabilityView | None,
) -> Iterator[str]:
    where = f" (cell {view.cell})" if view.cell else ""
    yield f"{view.id} is active in {view.active_region}{where}."
    if view.failovers:
        yield _failed_over(view.failovers[-1])
    yield from (_behind(each) for each in replicas if each.state is ReplicaState.PASSIVE)
    if view.change is not None:
        yield _under_way(view.change)
    said = view.conditions.get(NamespaceCondition.REPLICATED)
    if said is not None and said.message:
        yield f"Replicated is {said.status}: {said.message}."
    yield from _unasked(view, availability)


def _failed_over(failover: Failover) -> str:
    how = "by force" if failover.forced else "gracefully"
    took = f" in {failover.took.total_seconds():.1f} s" if failover.took else ""
    return (
        f"It was failed over from {failover.source} to {failover.target} at "
        f"{failover.at:%Y-%m-%d %H:%M:%S} UTC, {how}{took} ({failover.cause})"
        f"{_because(failover.reason)}."
    )


def _behind(replica: ReplicaDetails) -> str:
    which = f"Its replica in {replica.region} (cell {replica.cell})"
    if replica.problems:
        return f"{which} does not keep up: {'; '.join(replica.problems)}."
    if replica.lag is None or replica.looked_at is None:
        return f"{which} is passive, and how far it is behind is not known."
    return (
        f"{which} is passive, and was {replica.lag.total_seconds():.2f} s behind at "
        f"{replica.looked_at:%H:%M:%S} UTC."
    )


def _under_way(change: ReplicaChange) -> str:
    progress = change.progress
    counted = f", {progress.done} of {progress.of}" if progress.of else ""
    asked = f" It waits for a person: {progress.waits_for}." if progress.waits_for else ""
    return (
        f"{_KIND[change.kind]} (change {change.id}), in phase {progress.phase}{counted}"
        f"{_because(progress.message)}.{asked}"
    )


def _unasked(view: NamespaceView, availability: AvailabilityView | None) -> Iterator[str]:
    """Yield whether it is failed over without being asked, and why it is not now."""
    if not view.passive:
        yield "It has one replica only, and goes nowhere when its cell is lost: add a region."
        return
    if not view.spec.managed_failover:
        yield "It fails over only when it is asked to: its managed failover is turned off."
    elif availability is None:
        yield "Nothing watches over its cells: it fails over only when it is asked to."
    elif availability.paused is not None:
        why = _because(availability.paused.reason)
        yield f"Failovers that nobody asks for are paused by the fleet's operators{why}."
    elif availability.blind:
        yield f"Nothing can be decided about failovers now: {availability.blind}."
    if availability is None:
        return
    for cell in availability.cells:
        if cell.cell in view.cells and cell.verdict is not Verdict.WELL:
            held = f"; what keeps it: {cell.why_not}" if cell.why_not else ""
            coming = f"; next: {cell.next}" if cell.next else ""
            yield f"Its cell {cell.cell} is {cell.verdict} ({cell.quorum}){coming}{held}."
    for decision in availability.namespaces:
        if decision.namespace == view.id:
            to = f" to {decision.target}" if decision.target else ""
            yield f"By the latest round it {decision.choice}{to}{_because(decision.reason)}."


def _because(text: str) -> str:
    return f": {text}" if text else ""
