"""Namespaces by the cells in which they have replicas, whosever they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString

from controlplane.store.pool import Pool
from controlplane.store.projections import NAMESPACE_VIEW
from provisioning.types import NamespaceView

_IN_CELL = """
SELECT view::text FROM namespaces
WHERE life <> 'DELETED' AND (cell = %(cell)s OR (passive <> '{}' AND passive @> ARRAY[%(cell)s]))
ORDER BY id
"""
_NAMED = """
SELECT view::text FROM namespaces WHERE life <> 'DELETED' AND id = ANY(%(ids)s) ORDER BY id
"""
_CHANGING = """
SELECT view::text FROM namespaces
WHERE life <> 'DELETED' AND view #>> '{change,kind}' = %(kind)s ORDER BY id
"""


@dataclass(frozen=True)
class StoredReplicas:
    """Implements `provisioning.evacuation.ports.Namespaces`."""

    pool: Pool

    async def in_cell(self, cell: str) -> Sequence[NamespaceView]:
        """Return every namespace that has a replica in the cell, active or passive."""
        return await self._views(_IN_CELL, {"cell": cell})

    async def named(self, namespaces: Sequence[str]) -> Sequence[NamespaceView]:
        """Return these, without those that there are none of."""
        return await self._views(_NAMED, {"ids": list(namespaces)})

    async def changing(self, kind: str) -> Sequence[NamespaceView]:
        """Return every namespace to whose replicas this kind of change is made."""
        return await self._views(_CHANGING, {"kind": kind})

    async def _views(
        self, query: LiteralString, values: Mapping[str, object]
    ) -> Sequence[NamespaceView]:
        async with self.pool.connection() as connection:
            rows = await (await connection.execute(query, values)).fetchall()
        return [NAMESPACE_VIEW.validate_json(view) for (view,) in rows]
