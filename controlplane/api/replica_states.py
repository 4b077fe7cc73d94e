"""The replicas of a namespace and how each of them is, read off what its entity published. Pure."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from provisioning.types import (
    NamespaceLife,
    NamespaceView,
    ReplicaChange,
    ReplicaChangeKind,
)


class ReplicaState(StrEnum):
    """The names of NamespaceRegionStatus.State, without its prefix."""

    ADDING = "ADDING"
    ACTIVE = "ACTIVE"
    PASSIVE = "PASSIVE"
    REMOVING = "REMOVING"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Replica:
    region: str
    cell: str
    """Empty until one is chosen."""
    state: ReplicaState
    is_active: bool = False
    """Whether it is, or is to be, the one that is active."""
    since: datetime | None = None
    """Of a passive one: since when it is that."""
    is_moving: bool = False
    """Whether it is there beside the one that it takes the place of, or that takes its place."""


def replicas_of(view: NamespaceView) -> tuple[Replica, ...]:
    """Return every replica that is there, and those that are wanted and to come; the active one
    first."""
    present = (_active(view), *_passive(view))
    return (*present, *_to_come(view, present))


def replicas_wanted(view: NamespaceView) -> tuple[Replica, ...]:
    """Return the replicas without those that are there for a migration, which its tenant did not
    ask for."""
    return tuple(replica for replica in replicas_of(view) if not replica.is_moving)


def _active(view: NamespaceView) -> Replica:
    return Replica(view.active_region, view.cell or "", _state_by_life(view.life), is_active=True)


def _state_by_life(life: NamespaceLife) -> ReplicaState:
    match life:
        case NamespaceLife.ACTIVATING:
            return ReplicaState.ADDING
        case NamespaceLife.ACTIVE | NamespaceLife.UPDATING | NamespaceLife.UPDATE_FAILED:
            return ReplicaState.ACTIVE
        case NamespaceLife.DELETING | NamespaceLife.DELETED:
            return ReplicaState.REMOVING
        case NamespaceLife.ACTIVATION_FAILED | NamespaceLife.DELETE_FAILED:
            return ReplicaState.FAILED


def _passive(view: NamespaceView) -> Iterator[Replica]:
    moving = _moving(view)
    # What the spec has no place for any more: of several in one region, the latest to come.
    places = Counter(view.spec.regions)
    places[view.active_region] -= 1
    change = view.change
    if change is not None and moving and moving == change.source:
        # It has come to another region, of which the spec does not know yet.
        places[change.region] += 1
    for cell, replica in sorted(view.passive.items(), key=lambda item: item[1].number):
        state = ReplicaState.PASSIVE
        if cell == moving:
            pass
        elif _is_removed(view, cell) or places[replica.region] <= 0:
            state = ReplicaState.REMOVING
        else:
            places[replica.region] -= 1
            # Until its ingress was proven it serves nobody.
            state = ReplicaState.PASSIVE if replica.proof else ReplicaState.ADDING
        if view.life in (NamespaceLife.DELETING, NamespaceLife.DELETED):
            state = ReplicaState.REMOVING
        yield Replica(replica.region, cell, state, since=replica.since, is_moving=cell == moving)


def _is_removed(view: NamespaceView, cell: str) -> bool:
    change = view.change
    return change is not None and change.kind is ReplicaChangeKind.REMOVE and change.source == cell


def _moving(view: NamespaceView) -> str:
    """Return the cell whose replica is there only because the namespace is on its way."""
    change = view.change
    if change is None or change.kind is not ReplicaChangeKind.MIGRATE:
        return ""
    arrived = view.cell == change.target or (
        change.target in view.passive and view.cell != change.source
    )
    return change.source if arrived else change.target


def _to_come(view: NamespaceView, present: tuple[Replica, ...]) -> Iterator[Replica]:
    if view.life in (NamespaceLife.DELETING, NamespaceLife.DELETED):
        return
    coming = _coming(view, present)
    if view.change is not None and view.change.kind is ReplicaChangeKind.MIGRATE:
        # Until it is through, the spec may name a region that is being left.
        if coming is not None:
            yield Replica(coming.region, coming.target, ReplicaState.ADDING, is_moving=True)
        return
    staying = (r.region for r in present if r.state is not ReplicaState.REMOVING)
    for region in (Counter(view.spec.regions) - Counter(staying)).elements():
        if coming is not None and coming.region == region:
            yield Replica(region, coming.target, ReplicaState.ADDING)
            coming = None
        else:
            yield Replica(region, "", ReplicaState.ADDING)


def _coming(view: NamespaceView, present: tuple[Replica, ...]) -> ReplicaChange | None:
    """Return the change under way that adds a replica, unless that is there already."""
    change = view.change
    if change is None or change.kind not in (ReplicaChangeKind.ADD, ReplicaChangeKind.MIGRATE):
        return None
    is_there = change.target and change.target in {replica.cell for replica in present}
    return None if is_there else change
