"""What is asked of the replication between cells.

Every method can be repeated without harm. Cells are named by their ids; what each Temporal service
calls itself and the others is the adapter's to know: a cluster is recognised by its initial
failover version, which is unique in the fleet and never reused.
"""

from collections.abc import Sequence
from typing import Protocol

from cells.replication.types import Link, LinkHealth
from cells.types import CellView


class KnownCells(Protocol):
    async def cells(self) -> list[CellView]:
        """Return every cell of the fleet."""
        ...


class CellLinks(Protocol):
    async def join(self, cell: str, peer: str) -> None:
        """Let both pull from each other; return once each shows the other as connected.

        Raise `errors.rejected` when they can never be joined: equal failover versions, other
        increments, shard counts of which neither is a multiple of the other.
        """
        ...

    async def links(self, cell: str) -> tuple[Link, ...]:
        """Return what the cell pulls from whom."""
        ...

    async def health(self, cell: str, peer: str) -> LinkHealth:
        """Look at what `cell` pulls from `peer`. Silence is not health: a beat is sent through."""
        ...

    async def cluster_name(self, cell: str, of: str) -> str:
        """Return what the Temporal service of `cell` calls the cell `of`, itself included.

        Raise `errors.failed_precondition` when the two are not joined.
        """
        ...


class LinkProjection(Protocol):
    async def publish_links(self, cell: str, links: Sequence[LinkHealth]) -> None:
        """Make readable what the cell pulls from others, all of it, as last looked at."""
        ...
