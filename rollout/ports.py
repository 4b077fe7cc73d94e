"""What a rollout asks of the world."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cells.ledger.types import Acquire, Answer, GiveBack
from rollout.gates import Evidence, Gate
from rollout.types import Fleet, RolloutView


@dataclass(frozen=True)
class WatchedCells:
    """A window of time in which gates are asked about cells."""

    gates: tuple[Gate, ...]
    cells: tuple[str, ...]
    """Those that have the release and are watched."""
    siblings: tuple[str, ...]
    """Cells without it, of the same ring or else of a later one: the concurrent control of a
    comparison."""
    changed_at: datetime
    """When the first of the watched cells was changed: before it lies their own past."""
    since: datetime
    until: datetime
    settled_at: datetime | None = None
    """When the last of them was changed, if not all at `changed_at`: after it lies what the release
    does."""


class CellLedger(Protocol):
    """The disruption ledger, as a rollout uses it."""

    async def acquire(self, request: Acquire) -> Answer: ...

    async def give_back(self, request: GiveBack) -> None: ...


class Inventory(Protocol):
    async def take(self) -> Fleet:
        """Return the fleet as it is now: cells, replicas, servers, calendar."""
        ...


class EvidenceSource(Protocol):
    async def gather(self, watched: WatchedCells) -> Evidence:
        """Return what every gate saw of every cell in the window.

        A gate that cannot be asked is a reading without data, never an error.
        """
        ...


class RolloutProjection(Protocol):
    async def publish_rollout(self, view: RolloutView) -> None:
        """Publish the view; an older revision never overwrites a newer one. Events become entries
        of the audit log, each once."""
        ...


class Predecessors(Protocol):
    async def supersede(self, workflow_id: str, by: str) -> None:
        """Ask a rollout to stop at a safe point in favour of another; one that ended is fine."""
        ...
