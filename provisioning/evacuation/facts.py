"""What an evacuation knows of the fleet, as far as it concerns one cell."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cells.types import Capacity
from provisioning.tiers import Tier
from provisioning.types import OperationState


@dataclass(frozen=True)
class ReplicaFacts:
    cell: str
    region: str
    is_open: bool = True
    """Whether its ingress lets the namespace's clients in."""


@dataclass(frozen=True)
class NamespaceFacts:
    """A namespace with a replica in the cell, or one that had."""

    id: str
    uid: str
    tier: Tier
    active: ReplicaFacts | None
    """None while it has no cell yet."""
    passive: tuple[ReplicaFacts, ...]
    """In the order in which its owner prefers them."""
    revision: int
    is_active: bool = True
    """Whether it lives: not while it is being created or deleted."""
    life: str = ""
    opted_out: bool = False
    """Its owner does not want it failed over without being asked."""
    behind: str = ""
    """Why its replicas are known not to have everything; empty when they may have."""
    change: str = ""
    """The id of what is being done to its replicas."""
    change_says: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        active = () if self.active is None else (self.active.cell,)
        return (*active, *(replica.cell for replica in self.passive))


@dataclass(frozen=True)
class CellFacts:
    """A cell as an evacuation has to know it."""

    id: str
    region: str
    failure_domain: str
    capacity: Capacity
    free: Capacity
    sick: str = ""
    """Why nobody may rely on it; empty when it is known to be ready."""
    disturbed: str = ""
    """Who disturbs it; empty for nobody, or for this evacuation."""
    cordon: str = ""
    """Why it takes no new namespaces."""
    synthetic: bool = False
    """It holds synthetic load only."""
    replicates: bool = True
    """Whether other cells can be joined with it."""


@dataclass(frozen=True)
class Survey:
    """What the world looks like now, as far as it concerns one cell."""

    seen_at: datetime
    cells: tuple[CellFacts, ...]
    namespaces: tuple[NamespaceFacts, ...]
    """All that have a replica in the cell, and those that were asked for beside."""


@dataclass(frozen=True)
class MoveFacts:
    """How far a move is, as the namespace's view says."""

    namespace: str
    operation: str
    seen_at: datetime
    exists: bool
    """Whether the namespace does, in the incarnation that was moved."""
    revision: int = 0
    state: OperationState | None = None
    """None when the namespace does not remember the operation."""
    failure: str = ""
    active: str = ""
    """The cell in which the namespace is active."""
    cells: tuple[str, ...] = ()
    change: str = ""
    """The id of the change by which the move is carried out, while it is."""
    phase: str = ""
    waits_for: str = ""
    forced: bool = False
    took: timedelta = timedelta(0)
