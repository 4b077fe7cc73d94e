"""What the API reads. Namespaces and operations are always read within one account."""

from dataclasses import dataclass

from cells.types import CellView
from controlplane.store.pool import Pool
from controlplane.store.projections import CELL_VIEW, NAMESPACE_VIEW, OPERATION
from provisioning.types import NamespaceView, Operation

_NAMESPACE = """
SELECT view::text FROM namespaces
WHERE id = %(id)s AND account_id = %(account)s AND life <> 'DELETED'
"""
_NAMESPACES = """
SELECT view::text FROM namespaces
WHERE account_id = %(account)s AND life <> 'DELETED' AND name > %(after)s
  AND (%(name)s::text IS NULL OR name = %(name)s)
ORDER BY name LIMIT %(limit)s
"""
_OPERATION = """
SELECT namespace, request, view::text FROM operations
WHERE account_id = %(account)s AND id = %(id)s AND view IS NOT NULL
"""
_CELL = "SELECT view::text FROM cells WHERE id = %s"
_CELLS = "SELECT view::text FROM cells ORDER BY id"


@dataclass(frozen=True)
class RecordedOperation:
    """An operation that an entity took up, and the request that asked for it."""

    namespace: str
    operation: Operation
    request: bytes | None
    """A serialised `google.protobuf.Any`; None if the request did not come through the API."""


@dataclass(frozen=True)
class ReadModel:
    pool: Pool

    async def namespace(self, account: str, namespace: str) -> NamespaceView | None:
        """Return a namespace of the account by its full id, unless it is deleted."""
        async with self.pool.connection() as connection:
            rows = await connection.execute(_NAMESPACE, {"id": namespace, "account": account})
            row = await rows.fetchone()
        return None if row is None else NAMESPACE_VIEW.validate_json(row[0])

    async def namespaces(
        self, account: str, *, after: str = "", name: str | None = None, limit: int
    ) -> list[NamespaceView]:
        """Return up to `limit` namespaces of the account by name, those after `after`.

        With `name`, only the one of exactly that name.
        """
        async with self.pool.connection() as connection:
            rows = await connection.execute(
                _NAMESPACES, {"account": account, "after": after, "name": name, "limit": limit}
            )
            return [NAMESPACE_VIEW.validate_json(row[0]) async for row in rows]

    async def operation(self, account: str, operation: str) -> RecordedOperation | None:
        """Return an operation of the account, unless no entity has taken it up."""
        async with self.pool.connection() as connection:
            rows = await connection.execute(_OPERATION, {"account": account, "id": operation})
            row = await rows.fetchone()
        if row is None:
            return None
        namespace, request, view = row
        return RecordedOperation(namespace, OPERATION.validate_json(view), request)

    async def cell(self, cell: str) -> CellView | None:
        async with self.pool.connection() as connection:
            row = await (await connection.execute(_CELL, (cell,))).fetchone()
        return None if row is None else CELL_VIEW.validate_json(row[0])

    async def cells(self) -> list[CellView]:
        """Return every cell, by id."""
        async with self.pool.connection() as connection:
            rows = await connection.execute(_CELLS)
            return [CELL_VIEW.validate_json(row[0]) async for row in rows]

    async def ping(self) -> None:
        """Raise unless the database answers."""
        async with self.pool.connection() as connection:
            await connection.execute("SELECT 1")
