"""What is seen of the fleet in one round: its cells, what is said of them, their namespaces."""

from dataclasses import dataclass
from datetime import datetime

from controlplane.resource import ConditionStatus
from provisioning.automatic.types import Ballot
from provisioning.types import FailoverCause, OperationState, ReplicaChangeKind


@dataclass(frozen=True)
class CellFacts:
    """A cell, as far as availability has to know it."""

    id: str
    region: str
    is_synthetic: bool = False
    """Holds no tenant."""
    ready: ConditionStatus = ConditionStatus.UNKNOWN
    ready_message: str = ""
    said_at: datetime | None = None
    """When its entity said so."""
    peers: tuple[str, ...] = ()
    """Cells that replicate from it, for some namespace."""
    visit: str = ""
    """What is brought to it now; empty for nothing."""
    lease: str = ""
    """Who may disturb it now, by the ledger; empty for nobody."""
    cordon: str = ""
    quarantine: str = ""
    """By whom and why; empty for none."""
    shortages: tuple[str, ...] = ()
    """Where it has promised more than it has."""


@dataclass(frozen=True)
class FleetSurvey:
    """The cells of the fleet, as they are known now."""

    at: datetime
    cells: tuple[CellFacts, ...]


@dataclass(frozen=True)
class Trouble:
    """Why a cell counts as lost from somewhere."""

    cell: str
    why: str
    frontend_answers: bool = False


@dataclass(frozen=True)
class ProbeReport:
    """What the workers of one region found, having knocked at every cell."""

    region: str
    well: tuple[str, ...]
    lost: tuple[Trouble, ...] = ()
    unsure: tuple[Trouble, ...] = ()
    """Cells of which it cannot tell, and why."""


@dataclass(frozen=True)
class PeerSays:
    """What one cell gets from another."""

    cell: str
    """Of whom it speaks."""
    peer: str
    """Who speaks."""
    ballot: Ballot
    why: str = ""


@dataclass(frozen=True)
class Round:
    """All that was asked at one time. Who is missing was silent."""

    began_at: datetime
    ended_at: datetime
    survey: FleetSurvey
    reports: tuple[ProbeReport, ...] = ()
    peers: tuple[PeerSays, ...] = ()


@dataclass(frozen=True)
class ReplicaFacts:
    cell: str
    region: str


@dataclass(frozen=True)
class AskedOperation:
    """A failover that we asked for, as the namespace knows it."""

    id: str
    state: OperationState
    failure: str = ""


@dataclass(frozen=True)
class NamespaceFacts:
    """A namespace with a replica in a cell that concerns us."""

    id: str
    uid: str
    active: str
    passive: tuple[ReplicaFacts, ...]
    """In the order of preference."""
    managed: bool = True
    """False: its owner does not want it to be failed over without being asked."""
    leaving: str = ""
    """Why it is left alone, such as its deletion; empty when it is not."""
    change: ReplicaChangeKind | None = None
    """What is being done to its replicas."""
    change_message: str = ""
    incomplete_since: datetime | None = None
    """Since when its passive replicas are known to lack something; None when they are not."""
    incomplete: str = ""
    last_cause: FailoverCause | None = None
    last_source: str = ""
    last_target: str = ""
    """Of its latest failover."""
    driven_from: str = ""
    """The cell that its latest automatic failover left."""
    kept_by: str = ""
    """The operation by which somebody has failed it over since, be it to where it was already."""
    asked: tuple[AskedOperation, ...] = ()
