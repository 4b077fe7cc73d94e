"""What the Fleet API is asked, and answers, about the replicas of a namespace."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from controlplane.api.replica_states import ReplicaState
from controlplane.api.strict_body import Name, Reason, StrictBody
from controlplane.resource import Condition
from provisioning.types import Failover, FailoverCause, FailoverMode, ReplicaChange

LONGEST_SOAK = timedelta(days=90)

OperationId = Annotated[str, Field(max_length=200)]
"""Repeated, it is the same request, done once; chosen for you when empty."""


class NewFailover(StrictBody):
    """A replica that is to become the active one. The one that is active already is no error."""

    operation_id: OperationId = ""
    region: Name = ""
    """Where to; empty with `cell`."""
    cell: Name = ""
    """Which replica, where a region has two."""
    mode: FailoverMode = FailoverMode.GRACEFUL_THEN_FORCED
    cause: FailoverCause = FailoverCause.MANUAL
    """Another one than `manual` is for the fleet's operators to say."""
    reason: Annotated[str, Field(max_length=1000)] = ""


class NewMigration(StrictBody):
    """A replica that is to move to another cell."""

    operation_id: OperationId = ""
    source: Name = ""
    """The cell to leave; empty for the one in which the namespace is active."""
    region: Name = ""
    """Where to; empty for that of `cell`, or without one for the region that it is in."""
    cell: Name = ""
    """Where to exactly; empty to have it chosen."""
    soak: Annotated[timedelta, Field(ge=timedelta(0), le=LONGEST_SOAK)] = timedelta(0)
    """How long at least the former cell stays a replica."""
    confirmed: bool = False
    """Whether it may give up the former cell without asking once more: there is no way back."""
    reason: Reason


class ChangeControl(StrictBody):
    """Something that is wanted of a change of replicas under way."""

    operation_id: OperationId = ""
    reason: Reason


@dataclass(frozen=True)
class ReplicaDetails:
    """One replica of a namespace, and how far it is behind."""

    region: str
    cell: str
    """Empty until one is chosen."""
    state: ReplicaState
    is_active: bool
    since: datetime | None
    """Of a passive one: since when it is that."""
    lag: timedelta | None = None
    """How long it took at least for what happened where the namespace is active to arrive here;
    None when that is not known, and of the active one."""
    looked_at: datetime | None = None
    problems: tuple[str, ...] = ()
    """Of the replication from the active one, in words."""
    is_moving: bool = False
    """Whether it is there beside another one for a migration only."""


@dataclass(frozen=True)
class NamespaceReplicas:
    """Where a namespace is, what is done to its replicas, and why it is active where it is."""

    namespace: str
    wanted: tuple[str, ...]
    """The regions that its spec names, the preferred one first."""
    active_region: str
    managed_failover: bool
    """Whether it is failed over without being asked when its cell is lost."""
    replicas: tuple[ReplicaDetails, ...]
    """The active one first."""
    change: ReplicaChange | None
    """What is being done to them."""
    change_eta: datetime | None
    """When the present phase of it may be over, by its pace so far; None when that is not known."""
    replicated: Condition | None
    """Whether every replica has what the active one has, as last looked at."""
    failovers: tuple[Failover, ...]
    """The latest, the last being the latest of all."""
    words: tuple[str, ...]
    """Why it is as it is, in sentences."""


@dataclass(frozen=True)
class MigrationUnderWay:
    """A namespace that moves to another cell."""

    namespace: str
    change: ReplicaChange
    eta: datetime | None
    """When the present phase may be over, by its pace so far."""
