"""What deciding about failovers asks of the world.

Nothing here changes a cell: what moves a namespace is its own entity, which is asked to.
"""

from collections.abc import Sequence
from typing import Protocol

from cells.types import CellView
from provisioning.automatic.sight import CellFacts, NamespaceFacts, PeerSays, ProbeReport
from provisioning.automatic.types import AvailabilityView
from provisioning.types import FailOver, NamespaceView


class FleetSight(Protocol):
    """The fleet as projections have it."""

    async def cells(self) -> Sequence[CellFacts]:
        """Return every cell."""
        ...

    async def namespaces(self, cell: str) -> Sequence[NamespaceFacts]:
        """Return every namespace with a replica in the cell, active or not."""
        ...


class CellDirectory(Protocol):
    async def cells(self) -> Sequence[CellView]:
        """Return every cell, with its addresses."""
        ...


class Prober(Protocol):
    async def probe(self, region: str) -> ProbeReport:
        """Knock at every cell of the fleet, from where the workers of `region` run.

        A cell counts as lost only if it is certain that it was the cell that did not answer.
        """
        ...


class Peers(Protocol):
    async def ask(self, peer: str, cell: str) -> PeerSays:
        """Return what `peer` gets from `cell`. One that cannot be asked abstains."""
        ...


class Namespaces(Protocol):
    """The entities, as failovers are asked of them (`provisioning.client.NamespaceClient`)."""

    async def fail_over(self, namespace: str, request: FailOver) -> NamespaceView:
        """Have the request durably recorded; one that was made before changes nothing."""
        ...


class AvailabilityProjection(Protocol):
    async def publish_availability(self, view: AvailabilityView) -> None:
        """Make the view readable, unless a newer revision already is. Events become entries of the
        audit log, each once."""
        ...
