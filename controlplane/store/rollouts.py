"""Rollouts as they are read: what was asked for, what each has published, what it decided.

A rollout is claimed before its workflow hears of it; from its first view on it is known. Dying in
between leaves a claim that nobody sees and that the caller's retry takes up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg.rows import TupleRow
from pydantic import TypeAdapter

from controlplane.errors import already_exists
from controlplane.ids import rollout_workflow_id
from controlplane.store.audit_entries import read_record
from controlplane.store.pool import Pool
from controlplane.store.rollout_projections import (
    EVENT,
    ROLLOUT_SUMMARY,
    ROLLOUT_VIEW,
    RolloutSummary,
)
from rollout.types import Event, RolloutView, StartRollout

_START = TypeAdapter(StartRollout)

# The update changes nothing: it makes the row that was there before come back.
_CLAIM = """
INSERT INTO rollouts AS known (id, account_id, asked, request, release)
VALUES (%(id)s, %(account)s, %(asked)s, %(request)s, %(release)s)
ON CONFLICT (id) DO UPDATE SET asked = known.asked
RETURNING asked, request::text, view::text, xmax = 0
"""
_WITHDRAW = "DELETE FROM rollouts WHERE id = %(id)s AND view IS NULL"
_ENDED = "SELECT id FROM rollouts WHERE id = ANY(%(ids)s) AND phase = 'ended'"
_VIEW = "SELECT revision, view::text FROM rollouts WHERE id = %(id)s AND view IS NOT NULL"
_REQUEST = "SELECT request::text FROM rollouts WHERE id = %(id)s AND request IS NOT NULL"
_UNFINISHED = """
SELECT id, request::text FROM rollouts
WHERE phase <> 'ended' AND view IS NOT NULL ORDER BY number
"""
_OF_RELEASE = """
SELECT view::text FROM rollouts WHERE release = %(release)s AND view IS NOT NULL
ORDER BY number DESC LIMIT 1
"""
_PAGE = """
SELECT number, summary::text FROM rollouts
WHERE summary IS NOT NULL AND (%(before)s::bigint IS NULL OR number < %(before)s)
ORDER BY number DESC LIMIT %(limit)s
"""
_EVENTS = """
SELECT entry FROM audit_log
WHERE account_id = (SELECT account_id FROM rollouts WHERE id = %(id)s)
  AND source = %(source)s AND number > %(after)s
  AND (%(cell)s = '' OR entry::json #>> '{entry,details,cell}' = %(cell)s)
ORDER BY number LIMIT %(limit)s
"""


@dataclass(frozen=True)
class ListedRollout:
    number: int
    """Rises with every rollout that is asked for."""
    summary: RolloutSummary


@dataclass(frozen=True)
class PublishedRollout:
    """A view as it is kept, JSON: whoever passes thousands of cells on need not read them."""

    revision: int
    text: str


@dataclass(frozen=True)
class ClaimedRollout:
    start: StartRollout
    view: RolloutView | None
    """What it has published; None when nobody has taken it up."""
    is_new: bool
    """Whether the claim was not there before."""


@dataclass(frozen=True)
class Rollouts:
    pool: Pool

    async def claim(self, start: StartRollout, asked: str, account: str) -> "ClaimedRollout":
        """Return what is to be started under this id, and what became of it if it was before.

        Equal requests have equal `asked`. What the first of them asked for is what is started, with
        its actor; raise `already_exists` when the id stands for another request.
        """
        values = {
            "id": start.id,
            "account": account,
            "asked": asked,
            "request": _START.dump_json(start).decode(),
            "release": start.release.name,
        }
        known, request, view, is_new = (await self._rows(_CLAIM, values))[0]
        if known != asked:
            raise already_exists(
                f"rollout {start.id!r} already stands for another request: look at it, or choose "
                "another id"
            )
        published = None if view is None else ROLLOUT_VIEW.validate_json(view)
        return ClaimedRollout(_START.validate_json(request), published, is_new)

    async def withdraw(self, rollout: str) -> None:
        """Forget the claim of a request that was refused: its id is free again."""
        await self._rows(_WITHDRAW, {"id": rollout})

    async def ended(self, ids: Sequence[str]) -> frozenset[str]:
        """Return which of these rollouts have been, and have ended."""
        return frozenset(found for (found,) in await self._rows(_ENDED, {"ids": list(ids)}))

    async def get(self, rollout: str) -> RolloutView | None:
        found = await self.published(rollout)
        return None if found is None else ROLLOUT_VIEW.validate_json(found.text)

    async def published(self, rollout: str) -> PublishedRollout | None:
        """Return the newest view of a rollout as it is kept."""
        found = await self._rows(_VIEW, {"id": rollout})
        return PublishedRollout(*found[0]) if found else None

    async def request(self, rollout: str) -> StartRollout | None:
        """Return what the rollout was asked for, if it was asked for through the API."""
        found = await self._rows(_REQUEST, {"id": rollout})
        return _START.validate_json(found[0][0]) if found else None

    async def latest_of(self, release: str) -> RolloutView | None:
        """Return the rollout of a release that was asked for last; None when it never had one."""
        found = await self._rows(_OF_RELEASE, {"release": release})
        return ROLLOUT_VIEW.validate_json(found[0][0]) if found else None

    async def page(self, *, before: int | None = None, limit: int) -> list[ListedRollout]:
        """Return up to `limit` rollouts, newest first, those numbered below `before`."""
        return [
            ListedRollout(number, ROLLOUT_SUMMARY.validate_json(summary))
            for number, summary in await self._rows(_PAGE, {"before": before, "limit": limit})
        ]

    async def unfinished(self) -> Mapping[str, StartRollout | None]:
        """Return the rollouts that have not ended, oldest first, and what they were asked for."""
        return {
            rollout: None if request is None else _START.validate_json(request)
            for rollout, request in await self._rows(_UNFINISHED, {})
        }

    async def events(
        self, rollout: str, *, cell: str = "", after: int = 0, limit: int
    ) -> list[Event]:
        """Return up to `limit` events from the audit log, oldest first, those after that number.

        With `cell`, only those about it.
        """
        values = {
            "id": rollout,
            "source": rollout_workflow_id(rollout),
            "cell": cell,
            "after": after,
            "limit": limit,
        }
        return [
            EVENT.validate_python(dict(read_record(entry).entry.details))
            for (entry,) in await self._rows(_EVENTS, values)
        ]

    async def _rows(self, query: LiteralString, values: Mapping[str, object]) -> Sequence[TupleRow]:
        async with self.pool.connection() as connection:
            cursor = await connection.execute(query, values)
            return await cursor.fetchall() if cursor.description else []
