"""What the API reads. Namespaces and operations are always read within one account.

Concurrent reads share queries (see `Batched`), and a namespace's view is transferred and decoded
only when its revision is another than the last that was read here.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import LiteralString

from psycopg.rows import TupleRow

from cells.silence import as_known
from cells.types import CellView
from controlplane.store.batching import Batched, Recent
from controlplane.store.operations import ANY_OPERATION, AnyOperation
from controlplane.store.pool import Pool
from controlplane.store.projections import CELL_VIEW, NAMESPACE_VIEW
from provisioning.types import NamespaceView

_VIEWS_KEPT = 4096
"""Some 20 KB each, with a CA bundle of a usual size."""

_NAMESPACES = """
SELECT found.id, found.account_id,
       CASE WHEN found.revision IS DISTINCT FROM asked.revision THEN found.view::text END
FROM unnest(%(ids)s::text[], %(revisions)s::bigint[]) AS asked (id, revision)
JOIN namespaces AS found ON found.id = asked.id AND found.life <> 'DELETED'
"""
_LISTINGS = """
SELECT asked.number, page.entries
FROM jsonb_to_recordset(%(listings)s::jsonb) AS asked (
    number int, account text, after text, name text, within text[], most int
)
CROSS JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_array(id, revision) ORDER BY name)::text AS entries FROM (
        SELECT id, name, revision FROM namespaces
        WHERE account_id = asked.account AND life <> 'DELETED' AND name > asked.after
          AND (asked.name IS NULL OR name = asked.name)
          AND (asked.within IS NULL OR id = ANY(asked.within))
        ORDER BY name LIMIT asked.most
    ) AS entry
) AS page
WHERE page.entries IS NOT NULL
"""
_OPERATIONS = """
SELECT found.account_id, found.id, coalesce(found.namespace, ''), found.actor,
       found.request, found.view::text
FROM unnest(%(accounts)s::text[], %(ids)s::text[]) AS asked (account, id)
JOIN operations AS found ON found.account_id = asked.account AND found.id = asked.id
WHERE found.view IS NOT NULL
"""
_CELL = "SELECT view::text FROM cells WHERE id = %(id)s"
_CELLS = "SELECT view::text FROM cells WHERE view->>'retired' IS DISTINCT FROM 'true' ORDER BY id"

_NUL = "\0"
"""No text in PostgreSQL holds it, and a query with it fails together with all that share it."""


@dataclass(frozen=True)
class RecordedOperation:
    """An operation that is under way or done, and the request that asked for it."""

    namespace: str
    """Empty for a change of access."""
    actor: str | None
    """The id of whoever asked for it; None if that is not known."""
    operation: AnyOperation
    request: bytes | None
    """A serialised `google.protobuf.Any`; None if the request did not come through the API."""


@dataclass(frozen=True)
class _Listing:
    account: str
    after: str
    name: str | None
    within: tuple[str, ...] | None
    most: int


_Owned = tuple[str, NamespaceView]
"""A namespace's account, and the namespace."""


class ReadModel:
    """One per process: what is asked of the same one at the same time is read together."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._views: Recent[str, _Owned] = Recent(_VIEWS_KEPT)
        self._namespaces = Batched(self._read_namespaces)
        self._listings = Batched(self._read_listings)
        self._operations = Batched(self._read_operations)

    async def namespace(self, account: str, namespace: str) -> NamespaceView | None:
        """Return a namespace of the account by its full id, unless it is deleted."""
        if _NUL in namespace:
            return None
        found = await self._namespaces.get(namespace)
        if found is None:
            return None
        owner, view = found
        return view if owner == account else None

    async def namespaces(
        self,
        account: str,
        *,
        after: str = "",
        name: str | None = None,
        within: frozenset[str] | None = None,
        limit: int,
    ) -> list[NamespaceView]:
        """Return up to `limit` namespaces of the account by name, those after `after`.

        With `name`, only the one of exactly that name; with `within`, only those of these full ids.
        """
        if _NUL in after or (name is not None and _NUL in name):
            return []
        allowed = None if within is None else tuple(sorted(within))
        while True:
            listed = await self._listings.get(_Listing(account, after, name, allowed, limit)) or ()
            views = await self._views_of(listed)
            # Without those that went in between, a full page would look like the last one.
            if len(views) == len(listed) or len(listed) < limit:
                return views

    async def operation(self, account: str, operation: str) -> RecordedOperation | None:
        """Return an operation of the account, unless no entity has taken it up."""
        return None if _NUL in operation else await self._operations.get((account, operation))

    async def cell(self, cell: str) -> CellView | None:
        rows = await self._rows(_CELL, {"id": cell})
        return as_known(CELL_VIEW.validate_json(rows[0][0]), datetime.now(UTC)) if rows else None

    async def cells(self) -> list[CellView]:
        """Return every cell, by id."""
        now = datetime.now(UTC)
        return [
            as_known(CELL_VIEW.validate_json(view), now) for (view,) in await self._rows(_CELLS, {})
        ]

    async def ping(self) -> None:
        """Raise unless the database answers."""
        await self._rows("SELECT 1", {})

    async def _views_of(self, listed: Sequence[tuple[str, int]]) -> list[NamespaceView]:
        """Return the views of a page, without those that have gone since it was read."""
        views: dict[str, NamespaceView] = {}
        stale: list[str] = []
        for namespace, revision in listed:
            kept = self._views.get(namespace)
            if kept is not None and kept[1].revision >= revision:
                views[namespace] = kept[1]
            else:
                stale.append(namespace)
        for found in await asyncio.gather(*map(self._namespaces.get, stale)):
            if found is not None:
                views[found[1].id] = found[1]
        return [views[namespace] for namespace, _ in listed if namespace in views]

    async def _read_namespaces(self, ids: Sequence[str]) -> Mapping[str, _Owned]:
        known = {namespace: self._views.get(namespace) for namespace in ids}
        revisions = [None if kept is None else kept[1].revision for kept in known.values()]
        found: dict[str, _Owned] = {}
        for namespace, account, changed in await self._rows(
            _NAMESPACES, {"ids": list(ids), "revisions": revisions}
        ):
            kept = known[namespace]
            if changed is not None or kept is None:
                kept = (account, NAMESPACE_VIEW.validate_json(changed))
                self._views.put(namespace, kept)
            found[namespace] = kept
        return found

    async def _read_listings(
        self, listings: Sequence[_Listing]
    ) -> Mapping[_Listing, Sequence[tuple[str, int]]]:
        asked = [{"number": number, **vars(asked)} for number, asked in enumerate(listings)]
        rows = await self._rows(_LISTINGS, {"listings": json.dumps(asked)})
        return {listings[number]: json.loads(entries) for number, entries in rows}

    async def _read_operations(
        self, operations: Sequence[tuple[str, str]]
    ) -> Mapping[tuple[str, str], RecordedOperation]:
        accounts, ids = zip(*operations, strict=True)
        return {
            (account, operation): RecordedOperation(
                namespace, actor, ANY_OPERATION.validate_json(view), request
            )
            for account, operation, namespace, actor, request, view in await self._rows(
                _OPERATIONS, {"accounts": list(accounts), "ids": list(ids)}
            )
        }

    async def _rows(self, query: LiteralString, values: Mapping[str, object]) -> list[TupleRow]:
        async with self.pool.connection() as connection:
            return await (await connection.execute(query, values)).fetchall()
