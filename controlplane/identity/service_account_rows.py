"""Service accounts as they are kept: rows read as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from psycopg import AsyncConnection
from psycopg.rows import class_row

from controlplane.identity.access_changes import open_operation
from controlplane.identity.principals import access_of
from controlplane.identity.types import ServiceAccount

_READ = """
SELECT s.id, s.name, s.description, s.role, s.scope, s.version, s.created_at, s.modified_at,
       (SELECT jsonb_object_agg(namespace, permission) FROM namespace_permissions
        WHERE owner_id = s.id) AS namespaces,
       open.id AS operation, open.kind AS operation_kind
FROM service_accounts s
LEFT JOIN LATERAL (
    SELECT id, kind FROM operations
    WHERE account_id = s.account_id AND state = 'IN_PROGRESS' AND access_revision IS NOT NULL
      AND resource = s.id
    ORDER BY access_revision DESC LIMIT 1
) AS open ON true
WHERE s.account_id = %(account)s
"""
_ONE = _READ + "AND s.id = %(id)s"
_PAGE = _READ + "AND s.id > %(after)s ORDER BY s.id LIMIT %(limit)s"
_OF_NAMESPACE = (
    _READ
    + """AND s.id > %(after)s
  AND (s.role IN ('owner', 'admin')
       OR EXISTS (SELECT FROM namespace_permissions
                  WHERE owner_id = s.id AND namespace = %(namespace)s))
ORDER BY s.id LIMIT %(limit)s
"""
)


@dataclass(frozen=True)
class _Row:
    id: str
    name: str
    description: str
    role: str
    scope: str | None
    version: int
    created_at: datetime
    modified_at: datetime | None
    namespaces: dict[str, str] | None
    operation: str | None
    operation_kind: str | None


async def read_service_account(
    connection: AsyncConnection, account: str, service_account: str
) -> ServiceAccount | None:
    found = await _read(connection, _ONE, {"account": account, "id": service_account})
    return found[0] if found else None


async def read_service_accounts(
    connection: AsyncConnection, account: str, *, after: str, limit: int
) -> list[ServiceAccount]:
    """Return up to `limit` of them by id, those after `after`."""
    return await _read(connection, _PAGE, {"account": account, "after": after, "limit": limit})


async def read_assigned(
    connection: AsyncConnection, account: str, namespace: str, *, after: str, limit: int
) -> list[ServiceAccount]:
    """Return up to `limit` of those that may do anything in the namespace, by id."""
    return await _read(
        connection,
        _OF_NAMESPACE,
        {"account": account, "namespace": namespace, "after": after, "limit": limit},
    )


async def _read(
    connection: AsyncConnection, query: LiteralString, named: Mapping[str, str | int]
) -> list[ServiceAccount]:
    cursor = connection.cursor(row_factory=class_row(_Row))
    await cursor.execute(query, named)
    return [_service_account(row) for row in await cursor.fetchall()]


def _service_account(row: _Row) -> ServiceAccount:
    return ServiceAccount(
        id=row.id,
        name=row.name,
        description=row.description,
        access=access_of(row.role, row.namespaces),
        scope=row.scope,
        created_at=row.created_at,
        modified_at=row.modified_at,
        resource_version=str(row.version),
        operation=open_operation(row.operation, row.operation_kind),
    )
