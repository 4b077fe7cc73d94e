"""A change of a namespace's replicas: what is asked, how far it is, how it ended."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from provisioning.types import FailoverMode, ReplicaChangeKind


class Phase(StrEnum):
    """Where a change of replicas is, in the words that people see."""

    PENDING = "pending"
    PLACE = "place"
    """A cell is chosen, and its capacity held."""
    PREPARE = "prepare"
    """The cell gets its record, role and credential."""
    JOIN = "join"
    """The cells begin to replicate from each other."""
    EXTEND = "extend"
    """The namespace is told of the cell, and comes to be there."""
    COPY = "copy"
    """Workflow executions from before are replicated."""
    COMPARE = "compare"
    """Both sides are compared, and what is missing is replicated again."""
    OPEN = "open"
    """The cell's ingress is to let the namespace's clients in, which is up to the namespace."""
    HAND_OVER = "hand over"
    FORCE = "force"
    SWITCH = "switch"
    """Ingress and DNS follow the active replica."""
    SOAK = "soak"
    """A migrated namespace keeps its former cell as a replica."""
    CLOSE = "close"
    """The cell's ingress refuses the namespace's clients."""
    WITHDRAW = "withdraw"
    """The namespace is told that the cell is no more, and is deleted there."""
    CLEAN = "clean"
    """Record, role, credential and capacity are given back."""
    UNDO = "undo"
    DONE = "done"


@dataclass(frozen=True)
class ReplicaAt:
    """One replica of the namespace that is changed."""

    cell: str
    region: str
    number: int
    """Of all replicas the namespace ever had."""


@dataclass(frozen=True)
class ReplicaChangeRequest:
    """Do `kind` to the replicas of a namespace."""

    id: str
    kind: ReplicaChangeKind
    namespace: str
    uid: str
    active: ReplicaAt
    passive: tuple[ReplicaAt, ...]
    region: str = ""
    """Where a replica is added."""
    target: str = ""
    """The cell that is added or becomes active; empty to have it chosen in `region`."""
    source: str = ""
    """The cell that is removed or left."""
    number: int = 0
    """Of the replica that is added."""
    report_to: str = ""
    """The id of the workflow that hears of it: the namespace's."""
    mode: FailoverMode = FailoverMode.GRACEFUL
    graceful_within: timedelta = timedelta(seconds=10)
    """How long a graceful failover may take before it is forced, where that is allowed."""
    soak: timedelta = timedelta(0)
    confirmed: bool = False


class ReplicationState(StrEnum):
    """The names of Temporal's ReplicationState, without its prefix."""

    NORMAL = "NORMAL"
    HANDOVER = "HANDOVER"


@dataclass(frozen=True)
class ReplicationFacts:
    """What one cell says of a namespace's replication."""

    cell: str
    active: str
    """The cell that it takes for the active one."""
    cells: tuple[str, ...]
    state: ReplicationState
    failover_version: int
    """Rises with every failover: of two cells that disagree, the higher one is right."""


@dataclass(frozen=True)
class CopyProgress:
    """How many workflow executions were replicated."""

    done: int
    of: int
    failed: str = ""


@dataclass(frozen=True)
class Comparison:
    """What two cells hold of a namespace, counted by status of workflow execution."""

    at: datetime
    source: dict[str, int]
    target: dict[str, int]
    missing: tuple[str, ...] = ()
    """Executions of the source that the target does not have, as `workflow id/run id`; the first
    ones, where there are many."""
    missing_count: int = 0

    @property
    def is_complete(self) -> bool:
        return not self.missing_count
