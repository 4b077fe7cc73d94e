"""Evacuations of cells as they are read: what was asked for, what each has published.

One is claimed before its workflow hears of it; from its first view on it is known. Dying in between
leaves a claim that nobody sees and that the caller's retry takes up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import LiteralString

from psycopg.rows import TupleRow
from pydantic import TypeAdapter

from controlplane.errors import already_exists
from controlplane.store.evacuation_projections import (
    EVACUATION_SUMMARY,
    EVACUATION_VIEW,
    EvacuationSummary,
)
from controlplane.store.pool import Pool
from provisioning.evacuation.types import EvacuationView, Phase, StartEvacuation

_START = TypeAdapter(StartEvacuation)

# The update changes nothing: it makes the row that was there before come back.
_CLAIM = """
INSERT INTO evacuations AS known (id, account_id, asked, request, cell)
VALUES (%(id)s, %(account)s, %(asked)s, %(request)s, %(cell)s)
ON CONFLICT (id) DO UPDATE SET asked = known.asked
RETURNING coalesce(asked, ''), coalesce(request::text, ''), view::text
"""
_WITHDRAW = "DELETE FROM evacuations WHERE id = %(id)s AND view IS NULL"
_VIEW = "SELECT view::text FROM evacuations WHERE id = %(id)s AND view IS NOT NULL"
_IDS = "SELECT id, coalesce(summary->>'phase', '') FROM evacuations WHERE cell = %(cell)s"
_LATEST = """
SELECT view::text FROM evacuations WHERE cell = %(cell)s AND view IS NOT NULL
ORDER BY number DESC LIMIT 1
"""
_PAGE = """
SELECT number, summary::text FROM evacuations
WHERE summary IS NOT NULL AND (%(cell)s = '' OR cell = %(cell)s)
  AND (%(before)s::bigint IS NULL OR number < %(before)s)
ORDER BY number DESC LIMIT %(limit)s
"""


@dataclass(frozen=True)
class ListedEvacuation:
    number: int
    """Rises with every evacuation that is asked for."""
    summary: EvacuationSummary


@dataclass(frozen=True)
class ClaimedEvacuation:
    start: StartEvacuation
    view: EvacuationView | None
    """What it has published; None when nobody has taken it up."""


@dataclass(frozen=True)
class Evacuations:
    pool: Pool

    async def claim(self, start: StartEvacuation, asked: str, account: str) -> ClaimedEvacuation:
        """Return what is to be begun under this id, and what became of it if it was before.

        Equal requests have equal `asked`. What the first of them asked for is what is begun, with
        its actor; raise `already_exists` when the id stands for another request.
        """
        values = {
            "id": start.id,
            "account": account,
            "asked": asked,
            "request": _START.dump_json(start).decode(),
            "cell": start.cell,
        }
        known, request, view = (await self._rows(_CLAIM, values))[0]
        if known != asked:
            raise already_exists(
                f"evacuation {start.id!r} already stands for another request: look at it, or "
                "choose another id"
            )
        published = None if view is None else EVACUATION_VIEW.validate_json(view)
        return ClaimedEvacuation(_START.validate_json(request), published)

    async def withdraw(self, evacuation: str) -> None:
        """Forget the claim of a request that was refused: its id is free again."""
        await self._rows(_WITHDRAW, {"id": evacuation})

    async def id_for(self, cell: str) -> str:
        """Return the id of the cell's evacuation under way, or one that none has had."""
        known = {str(known): phase for known, phase in await self._rows(_IDS, {"cell": cell})}
        under_way = (each for each, phase in known.items() if phase not in ("", Phase.ENDED))
        free = (f"{cell}-{number}" for number in count(1) if f"{cell}-{number}" not in known)
        return next(under_way, None) or next(free)

    async def get(self, evacuation: str) -> EvacuationView | None:
        return await self._view(_VIEW, {"id": evacuation})

    async def latest(self, cell: str) -> EvacuationView | None:
        """Return the last evacuation of the cell, which may be under way."""
        return await self._view(_LATEST, {"cell": cell})

    async def page(
        self, *, cell: str = "", before: int | None = None, limit: int
    ) -> list[ListedEvacuation]:
        """Return up to `limit` evacuations, newest first, those numbered below `before`.

        With `cell`, only those of that cell.
        """
        values = {"cell": cell, "before": before, "limit": limit}
        return [
            ListedEvacuation(number, EVACUATION_SUMMARY.validate_json(summary))
            for number, summary in await self._rows(_PAGE, values)
        ]

    async def _view(
        self, query: LiteralString, values: Mapping[str, object]
    ) -> EvacuationView | None:
        found = await self._rows(query, values)
        return EVACUATION_VIEW.validate_json(found[0][0]) if found else None

    async def _rows(self, query: LiteralString, values: Mapping[str, object]) -> Sequence[TupleRow]:
        async with self.pool.connection() as connection:
            cursor = await connection.execute(query, values)
            return await cursor.fetchall() if cursor.description else []
