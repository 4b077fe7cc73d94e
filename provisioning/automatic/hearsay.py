"""What cells get from each other, as far as it says something about those they get it from."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cells.replication.ports import CellLinks
from provisioning.automatic.sight import PeerSays
from provisioning.automatic.types import Ballot

ANSWER_WITHIN = timedelta(seconds=15)
"""Longer than a beat may take, shorter than a vantage point is believed."""
STALE_AFTER = timedelta(minutes=1)


@dataclass(frozen=True)
class LinkedPeers:
    """Implements `provisioning.automatic.ports.Peers`."""

    links: CellLinks
    answer_within: timedelta = ANSWER_WITHIN

    async def ask(self, peer: str, cell: str) -> PeerSays:
        try:
            async with asyncio.timeout(self.answer_within.total_seconds()):
                return await self._ask(peer, cell)
        except TimeoutError:
            within = f"{self.answer_within.total_seconds():g} s"
            return PeerSays(cell, peer, Ballot.ABSTAINS, f"could not tell within {within}")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no word of the peer
            return PeerSays(cell, peer, Ballot.ABSTAINS, f"cannot be asked: {error}")

    async def _ask(self, peer: str, cell: str) -> PeerSays:
        # One that does not answer at all raises here, and so says nothing of anybody else.
        links = {link.peer: link for link in await self.links.links(peer)}
        if cell not in links or not links[cell].is_open:
            return PeerSays(cell, peer, Ballot.ABSTAINS, f"does not replicate from {cell}")
        health = await self.links.health(peer, cell)
        if (age := datetime.now(UTC) - health.at) > STALE_AFTER:
            why = f"was last looked at {age.total_seconds():.0f} s ago"
            return PeerSays(cell, peer, Ballot.ABSTAINS, why)
        if health.is_healthy:
            return PeerSays(cell, peer, Ballot.WELL)
        why = "; ".join(health.problems) or "nothing is known to have arrived"
        return PeerSays(cell, peer, Ballot.LOST, why)
