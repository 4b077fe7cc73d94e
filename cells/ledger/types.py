"""Leases on cells: who holds which, for what, and why another did not get one."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

LEDGER_ID = "disruption-ledger"
"""The id of the one workflow that keeps it."""


class Purpose(StrEnum):
    """What disturbs a cell."""

    ROLLOUT = "rollout"
    MIGRATION = "migration"
    DRILL = "drill"
    MAINTENANCE = "maintenance"


@dataclass(frozen=True)
class Cap:
    """At most so many cells of a scope are disturbed at once, by whomever."""

    scope: str
    """Such as `region/aws-us-east-1`, `provider/gcp`."""
    most: int
    """At least 1."""


@dataclass(frozen=True)
class Acquire:
    """Ask to disturb a cell. Asking again as the same holder is answered as before."""

    cell: str
    holder: str
    """The id of the workflow that asks: `rollout/…`."""
    purpose: Purpose
    namespaces: tuple[str, ...] = ()
    """The namespaces that have a replica in this cell and another elsewhere."""
    scopes: tuple[str, ...] = ()
    """What the cell counts for."""
    caps: tuple[Cap, ...] = ()
    """What the holder wants kept for as long as it has the lease; the ledger counts everybody's
    leases. Caps of scopes that the cell does not count for say nothing about it."""
    components: tuple[str, ...] = ()
    """What will be written; empty for all of the cell."""


@dataclass(frozen=True)
class Lease:
    """The right to disturb a cell."""

    cell: str
    holder: str
    purpose: Purpose
    namespaces: tuple[str, ...]
    scopes: tuple[str, ...]
    since: datetime
    number: int = 0
    """No two leases share one, and a later lease has a higher one."""
    caps: tuple[Cap, ...] = ()
    components: tuple[str, ...] = ()


class ConflictKind(StrEnum):
    CELL = "cell"
    """Somebody else is at this very cell."""
    PAIR = "pair"
    """Another cell with a replica of the same namespace is disturbed."""
    CAP = "cap"
    """As many cells of a scope are disturbed as may be."""
    ROOM = "room"
    """All leases together name as many namespaces as the ledger can carry."""


@dataclass(frozen=True)
class Conflict:
    kind: ConflictKind
    what: str
    """The namespace, the scope, or the cell."""
    cell: str
    """The cell whose lease is in the way."""
    holder: str

    def __str__(self) -> str:
        match self.kind:
            case ConflictKind.CELL:
                return f"{self.holder} is at {self.cell}"
            case ConflictKind.PAIR:
                return f"pair:{self.what}: {self.cell} is disturbed by {self.holder}"
            case ConflictKind.CAP:
                return f"cap:{self.what} is used up, by {self.holder} at {self.cell} among others"
            case ConflictKind.ROOM:
                return f"the ledger is full, of {self.holder}'s lease of {self.cell} among others"


@dataclass(frozen=True)
class Answer:
    """Granted when there is no conflict.

    The conflicts are those of a minimal set of leases: once all of them are given back, the same
    question is granted; while one of them is held, it is not.
    """

    conflicts: tuple[Conflict, ...] = ()
    lease: int = 0
    """The number of the lease that the holder has now, to give back exactly that one. A holder that
    asked for a change of its lease and was refused still has the lease as it was. 0 for none."""

    @property
    def granted(self) -> bool:
        return not self.conflicts


@dataclass(frozen=True)
class GiveBack:
    """The holder is done with the cell, which is healthy.

    A lease is never given back by time: that of a holder who died stays until its cell is proven
    healthy, or until an operator fences it.
    """

    cell: str
    holder: str
    lease: int = 0
    """The number of the lease: a late call does not give back the holder's next one. 0 for
    whichever it has."""


@dataclass(frozen=True)
class Fence:
    """An operator vouches that the holder can do no more to the cell."""

    cell: str
    holder: str
    """Whom the operator means: repeated late, it does not take the lease of whoever came next."""
    by: str
    reason: str
    lease: int = 0
    """As in GiveBack."""


@dataclass(frozen=True)
class Fenced:
    """A lease that an operator took away."""

    cell: str
    holder: str
    by: str
    reason: str
    at: datetime
    held_since: datetime


@dataclass
class LedgerState:
    """Everything that survives continue-as-new. Add fields only with defaults."""

    leases: dict[str, Lease] = field(default_factory=dict)
    """By cell."""
    revision: int = 0
    fenced: list[Fenced] = field(default_factory=list)
    """What operators fenced, the latest last."""


@dataclass(frozen=True)
class LeaseView:
    """A lease as others see it: the names of its namespaces can be many, and only count here."""

    cell: str
    holder: str
    purpose: Purpose
    since: datetime
    number: int
    namespaces: int
    scopes: tuple[str, ...] = ()
    components: tuple[str, ...] = ()


@dataclass(frozen=True)
class LedgerView:
    """The ledger as others see it: in projections, in the Fleet API."""

    revision: int
    """Rises with every change; an older revision never overwrites a newer one."""
    leases: tuple[LeaseView, ...] = ()
    """By cell, in the order of their names."""
    fenced: tuple[Fenced, ...] = ()
    """The latest last."""
