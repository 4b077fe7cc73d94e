"""What one life of a cell is: its blueprint, the layers it is built of, how far it has come."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cells.providers.types import Account, Foundation
from cells.types import Capacity, Provider


@dataclass(frozen=True)
class Blueprint:
    """What a cell in a cloud is to be: the same from its request to its tombstone."""

    cell: str
    uid: str
    """Tells it from an earlier cell of the same name, and names what is made for it: eight letters
    and digits, beginning with a letter."""
    provider: Provider
    region: str
    """The control plane's name of it, such as `aws-us-east-1`."""
    ring: int
    server_version: str
    capacity: Capacity
    failover_version: int
    """The initial failover version: unique in the fleet, never reused."""
    network: str
    """The CIDR of its network, which no other cell has, nor had."""
    history_shards: int = 512
    """Never to be changed later."""
    failure_domain: str = ""

    @property
    def cloud_region(self) -> str:
        """The region as the cloud calls it."""
        return self.region.removeprefix(f"{self.provider}-")


class Layer(StrEnum):
    """What a cell is built of, in the order of building; each stands on those before it."""

    PREFLIGHT = "Preflight"
    """Nothing is made: may it be built there at all?"""
    ACCOUNT = "Account"
    INFRASTRUCTURE = "Infrastructure"
    """Network, cluster, database, keys: what Terraform makes."""
    CLUSTER = "Cluster"
    """It lets us in, and its nodes are ready."""
    STORES = "Stores"
    """Databases, roles and their passwords, the secrets of the ingress."""
    SERVICES = "Services"
    """Temporal, Envoy and the gatekeeper run."""
    NAME = "Name"
    """DNS leads to the ingress."""
    REGISTRATION = "Registration"
    """The fleet knows the cell; nothing is placed there yet."""
    PROOF = "Proof"
    """A synthetic namespace works through the real endpoint."""
    OPENING = "Opening"
    """Namespaces are placed there."""


class Phase(StrEnum):
    """Where a cell's life is."""

    BUILDING = "Building"
    WAITING = "Waiting"
    """For what a person or time must change, such as a quota: it goes on by itself then."""
    FAILED = "Failed"
    """At the layer named; `retry` goes on from there, `abandon` tears down what is there."""
    READY = "Ready"
    DRAINING = "Draining"
    """It is to go, and namespaces still live there."""
    DISMANTLING = "Dismantling"
    GONE = "Gone"
    """Everything is, and the sweep came back empty. Name and network are never used again."""

    @property
    def is_over(self) -> bool:
        return self is Phase.GONE


@dataclass(frozen=True)
class LayerRecord:
    """What became of one layer."""

    layer: Layer
    begun_at: datetime
    built_at: datetime | None = None
    dismantled_at: datetime | None = None
    progress: str = ""
    """What is being done right now, for people who wait."""
    problem: str = ""
    """Why it is not built yet, or not gone yet."""
    attempts: int = 1


@dataclass(frozen=True)
class LifeView:
    """A cell's life as others see it."""

    blueprint: Blueprint
    phase: Phase
    revision: int
    layers: tuple[LayerRecord, ...]
    account: Account | None
    foundation: Foundation | None
    leftovers: tuple[str, ...]
    """What the last sweep found: the cell is not gone until it finds nothing."""
    message: str
    """Where it is and why, in one sentence."""
    changed_at: datetime
    requested_by: str


@dataclass
class LifeState:
    """Everything that survives continue-as-new. Add fields only with defaults."""

    blueprint: Blueprint
    requested_by: str
    phase: Phase = Phase.BUILDING
    revision: int = 0
    layers: dict[Layer, LayerRecord] = field(default_factory=dict)
    account: Account | None = None
    foundation: Foundation | None = None
    leftovers: tuple[str, ...] = ()
    message: str = ""
    changed_at: datetime | None = None
    retry_at: datetime | None = None
