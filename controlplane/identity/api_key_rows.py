"""API keys as they are kept: rows read as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from psycopg import AsyncConnection
from psycopg.rows import class_row

from controlplane.identity.access_changes import open_operation
from controlplane.identity.permissions import KeysInSight
from controlplane.identity.types import ApiKey, OwnerType

_READ = """
SELECT k.id, k.owner_id, k.owner_type, k.display_name, k.description, k.disabled, k.expires_at,
       k.created_at, k.modified_at, k.version, open.id AS operation, open.kind AS operation_kind
FROM api_keys k
LEFT JOIN LATERAL (
    SELECT id, kind FROM operations
    WHERE account_id = k.account_id AND state = 'IN_PROGRESS' AND access_revision IS NOT NULL
      AND resource = k.id
    ORDER BY access_revision DESC LIMIT 1
) AS open ON true
WHERE k.account_id = %(account)s AND k.revoked_at IS NULL
  AND (%(everybodys)s OR k.owner_id = %(self)s OR k.owner_id IN (
      SELECT id FROM service_accounts
      WHERE account_id = %(account)s AND scope = ANY(%(scopes)s)))
"""
_ONE = _READ + "AND k.id = %(id)s"
_PAGE = (
    _READ
    + """AND k.id > %(after)s AND (%(owner)s = '' OR k.owner_id = %(owner)s)
  AND (%(owner_type)s::text IS NULL OR k.owner_type = %(owner_type)s)
ORDER BY k.id LIMIT %(limit)s
"""
)


@dataclass(frozen=True)
class _Row:
    id: str
    owner_id: str
    owner_type: str
    display_name: str
    description: str
    disabled: bool
    expires_at: datetime
    created_at: datetime
    modified_at: datetime | None
    version: int
    operation: str | None
    operation_kind: str | None


async def read_key(
    connection: AsyncConnection, account: str, key: str, sight: KeysInSight
) -> ApiKey | None:
    """Return the key, unless it has ended or is out of sight."""
    found = await _read(connection, _ONE, account, sight, {"id": key})
    return found[0] if found else None


async def read_keys(
    connection: AsyncConnection,
    account: str,
    sight: KeysInSight,
    *,
    owner: str,
    owner_type: OwnerType | None,
    after: str,
    limit: int,
) -> list[ApiKey]:
    """Return up to `limit` keys by id, those after `after`; of one owner if it is given."""
    named = {"owner": owner, "owner_type": owner_type, "after": after, "limit": limit}
    return await _read(connection, _PAGE, account, sight, named)


async def _read(
    connection: AsyncConnection,
    query: LiteralString,
    account: str,
    sight: KeysInSight,
    named: Mapping[str, str | int | None],
) -> list[ApiKey]:
    cursor = connection.cursor(row_factory=class_row(_Row))
    await cursor.execute(
        query,
        {
            "account": account,
            "everybodys": sight.everybodys,
            "self": sight.owner_id,
            "scopes": sorted(sight.scopes),
            **named,
        },
    )
    return [_api_key(row) for row in await cursor.fetchall()]


def _api_key(row: _Row) -> ApiKey:
    return ApiKey(
        id=row.id,
        owner_id=row.owner_id,
        owner_type=OwnerType(row.owner_type),
        display_name=row.display_name,
        description=row.description,
        disabled=row.disabled,
        expires_at=row.expires_at,
        created_at=row.created_at,
        modified_at=row.modified_at,
        resource_version=str(row.version),
        operation=open_operation(row.operation, row.operation_kind),
    )
