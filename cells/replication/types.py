"""What is known of the replication between two cells."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Link:
    """What one cell pulls from a peer. Two cells are joined when both pull from each other."""

    cell: str
    """Who pulls."""
    peer: str
    is_open: bool
    """Whether the cell knows the peer and is told to replicate from it."""
    name: str = ""
    """What the cell's Temporal service calls the peer."""
    is_current: bool = True
    """Whether it leads to where the peer is now; one that does not is mended by joining again."""


@dataclass(frozen=True)
class LinkHealth:
    """How well a cell keeps up with a peer, as last looked at."""

    cell: str
    peer: str
    at: datetime
    lag: timedelta | None
    """How long the peer's latest beat took to arrive, at least; None when nothing is known, which
    is not health."""
    problems: tuple[str, ...] = ()
    """In words: a beat that did not arrive, a cell that does not answer or has moved."""

    @property
    def is_healthy(self) -> bool:
        return self.lag is not None and not self.problems
