"""Looks at the links of a cell whenever somebody looks at the cell."""

import asyncio
import logging
from dataclasses import dataclass

from cells.ports import CellObserver
from cells.replication.ports import CellLinks, LinkProjection
from cells.replication.types import Link, LinkHealth
from cells.types import CellSpec, ObservedCell

_LOOK_SECONDS = 18.0
"""Whoever asks for the cell has to get an answer in time (`cells.workflow.OBSERVE_TIMEOUT`)."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LinkObserver:
    """Meets `cells.ports.CellObserver` as `observer` does, and publishes the cell's links besides.

    They are not part of what it returns: that a peer is late is no problem of the cell's.
    """

    observer: CellObserver
    links: CellLinks
    projection: LinkProjection

    async def observe(self, cell: str, spec: CellSpec) -> ObservedCell:
        observed, _ = await asyncio.gather(
            self.observer.observe(cell, spec), self._publish_links(cell)
        )
        return observed

    async def look(self, cell: str) -> tuple[LinkHealth, ...]:
        """Return how well the cell keeps up with each cell that it pulls from.

        A peer that has moved is joined again at its new address first. That a peer does not answer
        is a problem of the link; that the cell itself does not is raised.
        """
        links = [link for link in await self.links.links(cell) if link.is_open]
        return tuple(await asyncio.gather(*map(self._look, links)))

    async def _publish_links(self, cell: str) -> None:
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await self.projection.publish_links(cell, await self.look(cell))
        except Exception as error:  # noqa: BLE001 - the cell is looked at all the same
            reason = str(error) or "it took too long"
            _logger.warning("the links of cell %s were not seen: %s", cell, reason)

    async def _look(self, link: Link) -> LinkHealth:
        if not link.is_current:
            try:
                await self.links.join(link.cell, link.peer)
            except Exception as error:  # noqa: BLE001 - what became of it is looked at next
                _logger.warning("%s and %s were not joined: %s", link.cell, link.peer, error)
        return await self.links.health(link.cell, link.peer)
