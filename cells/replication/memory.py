"""Cells joined in memory: what happens in one arrives in the others, unless a link is cut."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cells.replication.rules import address_for, obstacle
from cells.replication.types import Link, LinkHealth
from cells.types import CellView
from controlplane.errors import failed_precondition, not_found, rejected

OWN_NAME = "active"
"""What each service calls itself; the others it calls by the ids of their cells."""


@dataclass
class MemoryLinks:
    """Meets `cells.replication.ports.CellLinks`."""

    known: list[CellView] = field(default_factory=list)
    silent: set[str] = field(default_factory=set)
    """The cells that do not answer."""
    cut: set[tuple[str, str]] = field(default_factory=set)
    """Who hears nothing of whom, though it pulls."""
    lag: timedelta = timedelta(milliseconds=100)
    """How long everything takes that arrives."""
    _pulls: dict[tuple[str, str], str] = field(default_factory=dict)
    """From where, by who and from whom."""
    _heard_at: dict[tuple[str, str], datetime] = field(default_factory=dict)

    async def cells(self) -> list[CellView]:
        return self.known

    async def join(self, cell: str, peer: str) -> None:
        one, other = self._view(cell), self._view(peer)
        if wrong := obstacle(one, other):
            raise rejected(wrong)
        for known in (one, other):
            self._require_answer(known.id)
        for puller, source in ((one, other), (other, one)):
            self._pulls[puller.id, source.id] = address_for(puller.id, source.spec)
        for link in ((cell, peer), (peer, cell)):
            if not (found := await self.health(*link)).is_healthy:
                raise TimeoutError(
                    f"cell {link[0]} was told to pull from {link[1]}, and nothing arrives: "
                    f"{'; '.join(found.problems)}"
                )

    async def links(self, cell: str) -> tuple[Link, ...]:
        self._require_answer(self._view(cell).id)
        return tuple(
            Link(
                cell,
                peer,
                is_open=True,
                name=peer,
                is_current=address == address_for(cell, self._view(peer).spec),
            )
            for (puller, peer), address in self._pulls.items()
            if puller == cell
        )

    async def health(self, cell: str, peer: str) -> LinkHealth:
        now, link = datetime.now(UTC), (self._view(cell).id, self._view(peer).id)

        def found(lag: timedelta | None, *problems: str) -> LinkHealth:
            return LinkHealth(cell, peer, now, lag, problems)

        if cell in self.silent:
            return found(None, f"cell {cell} does not answer")
        if link not in self._pulls:
            return found(None, f"cells {cell} and {peer} are not joined")
        heard = self._heard_at.get(link)
        since_heard = now - heard if heard else None
        if peer in self.silent:
            return found(since_heard, f"cell {peer} does not answer")
        if link in self.cut:
            return found(since_heard, f"a beat of cell {peer} has not arrived in {cell}")
        self._heard_at[link] = now
        if self._pulls[link] != address_for(cell, self._view(peer).spec):
            return found(self.lag, f"cell {peer} has moved since {cell} joined it: join them again")
        return found(self.lag)

    async def cluster_name(self, cell: str, of: str) -> str:
        self._require_answer(self._view(cell).id)
        if cell == self._view(of).id:
            return OWN_NAME
        if (cell, of) not in self._pulls:
            raise failed_precondition(
                f"the Temporal service of cell {cell} does not know {of}: the two are not joined"
            )
        return of

    def _view(self, cell: str) -> CellView:
        for view in self.known:
            if view.id == cell:
                return view
        raise not_found(f"cell {cell} is not part of the fleet")

    def _require_answer(self, cell: str) -> None:
        if cell in self.silent:
            raise ConnectionError(f"cell {cell} does not answer")


@dataclass
class MemoryLinkProjection:
    """Meets `cells.replication.ports.LinkProjection`."""

    published: dict[str, tuple[LinkHealth, ...]] = field(default_factory=dict)
    """By the cell that pulls."""

    async def publish_links(self, cell: str, links: Sequence[LinkHealth]) -> None:
        self.published[cell] = tuple(links)
