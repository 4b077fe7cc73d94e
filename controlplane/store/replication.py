"""How well cells keep up with each other, as they were last looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg.rows import TupleRow
from pydantic import TypeAdapter

from cells.replication.types import LinkHealth
from controlplane.store.pool import Pool

_HEALTH = TypeAdapter(LinkHealth)

# Links that the cell has no more go; what was seen earlier than what is known says nothing.
_FORGET = "DELETE FROM replication_links WHERE cell = %(cell)s AND peer <> ALL(%(peers)s)"
_PUBLISH = """
INSERT INTO replication_links AS known (cell, peer, seen_at, view)
VALUES (%(cell)s, %(peer)s, %(seen_at)s, %(view)s)
ON CONFLICT (cell, peer) DO UPDATE SET seen_at = excluded.seen_at, view = excluded.view
WHERE known.seen_at < excluded.seen_at
"""
_OF_CELL = """
SELECT view::text FROM replication_links
WHERE cell = %(cell)s OR peer = %(cell)s ORDER BY cell, peer
"""
_AMONG = """
SELECT view::text FROM replication_links
WHERE cell = ANY(%(cells)s) AND peer = ANY(%(cells)s) ORDER BY cell, peer
"""


@dataclass(frozen=True)
class ReplicationLinks:
    pool: Pool

    async def publish_links(self, cell: str, links: Sequence[LinkHealth]) -> None:
        """Publish what the cell pulls from others, all of it."""
        async with self.pool.connection() as connection, connection.transaction():
            peers = [link.peer for link in links]
            await connection.execute(_FORGET, {"cell": cell, "peers": peers})
            for link in links:
                await connection.execute(
                    _PUBLISH,
                    {
                        "cell": link.cell,
                        "peer": link.peer,
                        "seen_at": link.at,
                        "view": _HEALTH.dump_json(link).decode(),
                    },
                )

    async def of_cell(self, cell: str) -> list[LinkHealth]:
        """Return what is known of the cell's links, in both directions."""
        return await self._links(_OF_CELL, {"cell": cell})

    async def among(self, cells: Sequence[str]) -> list[LinkHealth]:
        """Return what is known of the links between these cells."""
        return await self._links(_AMONG, {"cells": list(cells)})

    async def _links(self, query: LiteralString, values: Mapping[str, object]) -> list[LinkHealth]:
        async with self.pool.connection() as connection:
            rows: Sequence[TupleRow] = await (await connection.execute(query, values)).fetchall()
        return [_HEALTH.validate_json(view) for (view,) in rows]
