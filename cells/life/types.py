"""What one life of a cell is: its blueprint, the layers it is built of, how far it has come."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cells.providers.types import Account, Foundation
from cells.types import Capacity, CellAddresses, Provider


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
    """How often its building was begun."""


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
    retry_at: datetime | None = None
    """When it goes on by itself; None when it does now, or needs a person."""


class LifeCommandKind(StrEnum):
    """What people ask of a life that has begun."""

    RETRY = "Retry"
    """Go on from the layer that failed, or look again now at what it waits for."""
    ABANDON = "Abandon"
    """Tear down what was begun, of a cell that was never ready."""
    DECOMMISSION = "Decommission"
    """Take a cell that is ready down."""
    KEEP = "Keep"
    """Call a draining off, as long as nothing is dismantled."""


@dataclass(frozen=True)
class CreateCell:
    """A request for a cell. Repeating it is harmless: the same blueprint is the same life."""

    operation: str
    blueprint: Blueprint
    requested_by: str


@dataclass(frozen=True)
class LifeCommand:
    """One thing asked of a life. Repeating it under its operation is harmless."""

    operation: str
    kind: LifeCommandKind
    by: str
    reason: str = ""
    drain: bool = False
    """When decommissioning: have the namespaces that live there moved first."""


@dataclass(frozen=True)
class LayerTold:
    """What is being done to a layer, as told by whoever does it."""

    layer: Layer
    text: str


@dataclass(frozen=True)
class Residents:
    """The namespaces that live in a cell: how many, and the names of the first."""

    count: int = 0
    names: tuple[str, ...] = ()

    @property
    def described(self) -> str:
        how_many = "1 namespace lives" if self.count == 1 else f"{self.count} namespaces live"
        more = self.count - len(self.names)
        return f"{how_many} there: {', '.join(self.names)}" + (f" and {more} more" if more else "")


NOBODY = Residents()


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
    changed_at: datetime | None = None
    retry_at: datetime | None = None
    operation: str = ""
    """The creation's."""
    assured: list[Layer] = field(default_factory=list)
    """The layers that were seen to stand since it was last begun to build: what failed, and what it
    stands on, is looked at again."""
    addresses: CellAddresses | None = None
    """Where its services answer."""
    looks: int = 0
    """How often in a row what it waits for was not there: it looks ever less often."""
    residents: Residents = NOBODY
    """Who lived there when it was last looked."""
    is_cordoned: bool = False
    is_kept: bool = False
    """Its draining was called off; it is not open again yet."""
    asked: LifeCommand | None = None
    """A decommission that waits for its answer: may it begin?"""
    ends_for: LifeCommand | None = None
    """What it is taken down for."""
    commands: list[LifeCommand] = field(default_factory=list)
    """The latest that were taken, so that each is taken once."""
