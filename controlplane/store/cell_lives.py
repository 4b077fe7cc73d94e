"""The lives of cells in clouds: published by their workflows, read by everybody else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg.rows import TupleRow
from pydantic import TypeAdapter

from cells.life.types import LifeView
from controlplane.store.pool import Pool

LIFE_VIEW = TypeAdapter(LifeView)

_PUBLISH = """
INSERT INTO cell_lives AS known (cell, revision, is_over, view)
VALUES (%(cell)s, %(revision)s, %(is_over)s, %(view)s)
ON CONFLICT (cell) DO UPDATE SET
    revision = excluded.revision, is_over = excluded.is_over, view = excluded.view
WHERE known.revision < excluded.revision
"""
_ONE = "SELECT view::text FROM cell_lives WHERE cell = %(cell)s"
_ALL = "SELECT view::text FROM cell_lives WHERE %(gone)s OR NOT is_over ORDER BY cell"


@dataclass(frozen=True)
class CellLives:
    """Implements `cells.life.ports.LifeProjection`.

    Views may arrive late, twice and in any order: the newest revision is what stays.
    """

    pool: Pool

    async def publish_life(self, view: LifeView) -> None:
        await self._rows(
            _PUBLISH,
            {
                "cell": view.blueprint.cell,
                "revision": view.revision,
                "is_over": view.phase.is_over,
                "view": LIFE_VIEW.dump_json(view).decode(),
            },
        )

    async def get(self, cell: str) -> LifeView | None:
        """Return the life of a cell, which may be over."""
        found = await self._rows(_ONE, {"cell": cell})
        return LIFE_VIEW.validate_json(found[0][0]) if found else None

    async def all(self, *, gone: bool = False) -> list[LifeView]:
        """Return every life by cell; with `gone`, those that are over as well."""
        found = await self._rows(_ALL, {"gone": gone})
        return [LIFE_VIEW.validate_json(view) for (view,) in found]

    async def _rows(self, query: LiteralString, values: Mapping[str, object]) -> Sequence[TupleRow]:
        async with self.pool.connection() as connection:
            cursor = await connection.execute(query, values)
            return await cursor.fetchall() if cursor.description else []
