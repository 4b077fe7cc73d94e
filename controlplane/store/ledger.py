"""The disruption ledger as it was last published: one row."""

from dataclasses import dataclass

from pydantic import TypeAdapter

from cells.ledger.types import LedgerView
from controlplane.store.pool import Pool

_VIEW = TypeAdapter(LedgerView)

_PUBLISH = """
INSERT INTO ledger (revision, view) VALUES (%(revision)s, %(view)s)
ON CONFLICT (only_row) DO UPDATE SET revision = excluded.revision, view = excluded.view
WHERE ledger.revision < excluded.revision
"""
_READ = "SELECT view::text FROM ledger"


@dataclass(frozen=True)
class LedgerProjections:
    """Implements `cells.ledger.ports.LedgerProjection`, and reads what it holds."""

    pool: Pool

    async def publish_ledger(self, view: LedgerView) -> None:
        async with self.pool.connection() as connection:
            await connection.execute(
                _PUBLISH, {"revision": view.revision, "view": _VIEW.dump_json(view).decode()}
            )

    async def read(self) -> LedgerView:
        """Return the newest view; one without leases when nothing was ever published."""
        async with self.pool.connection() as connection:
            row = await (await connection.execute(_READ)).fetchone()
        return LedgerView(revision=0) if row is None else _VIEW.validate_json(row[0])
