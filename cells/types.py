"""What a cell is: the spec we want, what we see of it, the state one run hands the next."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cells.providers.types import Foundation
from cells.release import Software
from cells.visits.types import EndedVisit, Visit
from controlplane.resource import Conditions

SYNTHETIC_RING = 0
"""The ring that takes every change first and holds synthetic load only, never a tenant."""


class Provider(StrEnum):
    AWS = "aws"
    GCP = "gcp"


@dataclass(frozen=True)
class Capacity:
    """How much a cell offers or a namespace takes, one number per dimension.

    A cell is full when its tightest dimension is.
    """

    namespaces: int
    actions_per_second: int

    def __add__(self, other: "Capacity") -> "Capacity":
        return Capacity(
            self.namespaces + other.namespaces,
            self.actions_per_second + other.actions_per_second,
        )

    def __sub__(self, other: "Capacity") -> "Capacity":
        return Capacity(
            self.namespaces - other.namespaces,
            self.actions_per_second - other.actions_per_second,
        )

    def shortages(self, wanted: "Capacity") -> list[str]:
        """Say, per dimension, why `wanted` does not fit into this much free capacity."""
        return [
            f"{what}: {need} needed, {max(free, 0)} free"
            for what, free, need in (
                ("namespaces", self.namespaces, wanted.namespaces),
                ("actions per second", self.actions_per_second, wanted.actions_per_second),
            )
            if need > free
        ]


NOTHING = Capacity(namespaces=0, actions_per_second=0)


@dataclass(frozen=True)
class CellAddresses:
    """Where a cell's parts answer, each `host:port`, except where said."""

    frontend: str
    """The Temporal service, gRPC, reached by the control plane only."""
    ingress: str
    """Envoy's listener: what the cell's name in DNS and every namespace endpoint lead to."""
    ingress_admin: str
    """Envoy's administration interface (HTTP)."""
    gatekeeper: str
    """The gatekeeper's gRPC health service, which tells what it has loaded."""
    database: str
    """A libpq URL without password, `postgresql://role@host:port/database`."""
    replication: dict[str, str] = field(default_factory=dict)
    """Where other cells reach the Temporal service to pull from it, `host:port`, by their ids;
    under "" for all that have no entry of their own. Empty: it has no replicas elsewhere."""
    database_ca: str = ""
    """PEM: who signs the certificate of the database's server; empty where the URL says all."""


@dataclass(frozen=True)
class CellSpec:
    provider: Provider
    region: str
    ring: int
    server_version: str
    capacity: Capacity
    addresses: CellAddresses
    failover_version: int = 0
    """The initial failover version of its Temporal service: unique in the fleet, never reused, and
    what others recognise it by. 0: not known, and so no replicas."""
    failure_domain: str = ""
    """What fails together with it; empty: nothing does. Two replicas of a namespace are never in
    one."""
    foundation: Foundation | None = None
    """What it stands on in a cloud; None for a cell of the embedded fleet."""


@dataclass(frozen=True)
class ObservedCell:
    """What was seen of a cell. An empty `problems` means every part answers."""

    server_version: str | None
    problems: list[str] = field(default_factory=list)


class CellCondition(StrEnum):
    READY = "Ready"
    """Every part of the cell answers and its server has the version wanted."""
    IN_SYNC = "InSync"
    """Its server has the version that was brought to it, not another by somebody's hand."""


DRIFTED = "Drifted"
"""The reason of conditions that are false because somebody changed the cell by hand."""


@dataclass(frozen=True)
class Cordon:
    """Why a cell takes no new namespaces, or why automation stays away from it."""

    reason: str
    by: str
    since: datetime


@dataclass(frozen=True)
class Allocation:
    """Capacity held for one namespace: a reservation until it is confirmed."""

    amount: Capacity
    owner: str
    """The namespace's uid: a namespace recreated under the same name is another owner."""
    expires_at: datetime | None
    """When an unconfirmed reservation lapses; None once confirmed."""


@dataclass
class CellState:
    """Everything that survives continue-as-new. Add fields only with defaults."""

    id: str
    spec: CellSpec
    generation: int = 1
    revision: int = 0
    cordon: Cordon | None = None
    allocations: dict[str, Allocation] = field(default_factory=dict)
    conditions: Conditions = field(default_factory=dict)
    observed: ObservedCell | None = None
    visit: Visit | None = None
    """What is changing the cell now: nobody else does."""
    ended_visits: list[EndedVisit] = field(default_factory=list)
    """The latest, the last being the latest of all."""
    release: str = ""
    """The digest of the release it has; empty when it is none's, or unknown."""
    software: Software | None = None
    """What the last visit left; None when it could not tell, or when there was none."""
    quarantine: Cordon | None = None
    """Why automation stays away, until somebody lifts it."""
    said_at: datetime | None = None
    """When it last said anything about itself."""
    retired: bool = False
    """It is no part of the fleet any more, and its id is never used again."""


@dataclass(frozen=True)
class CellView:
    """A cell as others see it: in projections, in placement, in the Fleet API."""

    id: str
    spec: CellSpec
    generation: int
    revision: int
    """Rises with every change; an older revision never overwrites a newer one."""
    cordon: Cordon | None
    allocated: Capacity
    namespaces: int
    conditions: Conditions
    server_version: str | None
    visit: Visit | None = None
    ended_visits: tuple[EndedVisit, ...] = ()
    release: str = ""
    software: Software | None = None
    quarantine: Cordon | None = None
    said_at: datetime | None = None
    """When the entity said this, as it does every few minutes; None for what is older than that."""
    retired: bool = False
    """This is the last it said: it is no part of the fleet any more."""

    @property
    def free(self) -> Capacity:
        return self.spec.capacity - self.allocated


@dataclass(frozen=True)
class Reserve:
    """Hold capacity for a namespace until it is confirmed, released, or the hold lapses."""

    namespace: str
    owner: str
    amount: Capacity


@dataclass(frozen=True)
class Release:
    namespace: str
    owner: str


@dataclass(frozen=True)
class RetireCell:
    reason: str
    by: str


@dataclass(frozen=True)
class CordonCell:
    reason: str
    by: str
