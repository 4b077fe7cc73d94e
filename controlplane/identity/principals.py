"""Who a key speaks for: read anew at every call, so that what changed counts from then on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row

from controlplane.identity.types import (
    Access,
    Account,
    ApiKey,
    OwnerType,
    Permission,
    Principal,
    Role,
    ServiceAccount,
    User,
)

_PRINCIPALS = """
SELECT (SELECT revision FROM signing_key_revision) AS signing_keys,
       k.id AS key_id, a.id AS account_id,
       a.name AS account_name, a.created_at AS account_created_at, a.operator,
       k.owner_id, k.owner_type, k.display_name, k.description, k.expires_at,
       k.created_at AS key_created_at, k.modified_at AS key_modified_at, k.version AS key_version,
       coalesce(u.role, s.role) AS role,
       coalesce(u.created_at, s.created_at) AS owner_created_at,
       coalesce(u.modified_at, s.modified_at) AS owner_modified_at,
       coalesce(u.version, s.version) AS owner_version,
       coalesce(u.email, s.name) AS owner_name,
       s.description AS owner_description, s.scope,
       (SELECT jsonb_object_agg(namespace, permission) FROM namespace_permissions
        WHERE owner_id = k.owner_id) AS namespaces
FROM api_keys k
JOIN accounts a ON a.id = k.account_id
LEFT JOIN users u
    ON k.owner_type = 'user' AND u.id = k.owner_id AND u.account_id = k.account_id
LEFT JOIN service_accounts s
    ON k.owner_type = 'service-account' AND s.id = k.owner_id AND s.account_id = k.account_id
WHERE k.id = ANY(%(keys)s) AND coalesce(u.id, s.id) IS NOT NULL
  AND k.revoked_at IS NULL AND NOT k.disabled AND k.expires_at > now()
"""


@dataclass(frozen=True)
class _Row:
    signing_keys: int
    key_id: str
    account_id: str
    account_name: str
    account_created_at: datetime
    operator: bool
    owner_id: str
    owner_type: str
    display_name: str
    description: str
    expires_at: datetime
    key_created_at: datetime
    key_modified_at: datetime | None
    key_version: int
    role: str
    owner_created_at: datetime
    owner_modified_at: datetime | None
    owner_version: int
    owner_name: str
    owner_description: str | None
    scope: str | None
    namespaces: dict[str, str] | None


async def find_principals(
    connection: AsyncConnection, keys: Sequence[str]
) -> Mapping[str, tuple[Principal, int]]:
    """Return whom each of the keys speaks for, if it counts, and the revision of the signing keys.

    By the key's id. All rows are of one moment.
    """
    cursor = connection.cursor(row_factory=class_row(_Row))
    await cursor.execute(_PRINCIPALS, {"keys": list(keys)})
    return {row.key_id: (_principal(row), row.signing_keys) async for row in cursor}


def access_of(role: str, namespaces: Mapping[str, str] | None) -> Access:
    """Return access as the database holds it."""
    return Access(
        Role(role), {name: Permission(what) for name, what in sorted((namespaces or {}).items())}
    )


def _principal(row: _Row) -> Principal:
    account = Account(row.account_id, row.account_name, row.account_created_at, row.operator)
    key = ApiKey(
        id=row.key_id,
        owner_id=row.owner_id,
        owner_type=OwnerType(row.owner_type),
        display_name=row.display_name,
        description=row.description,
        disabled=False,
        expires_at=row.expires_at,
        created_at=row.key_created_at,
        modified_at=row.key_modified_at,
        resource_version=str(row.key_version),
    )
    return Principal(account, _owner(row), key)


def _owner(row: _Row) -> User | ServiceAccount:
    access, version = access_of(row.role, row.namespaces), str(row.owner_version)
    match OwnerType(row.owner_type):
        case OwnerType.USER:
            return User(
                row.owner_id,
                row.owner_name,
                access,
                row.owner_created_at,
                row.owner_modified_at,
                version,
            )
        case OwnerType.SERVICE_ACCOUNT:
            return ServiceAccount(
                row.owner_id,
                row.owner_name,
                row.owner_description or "",
                access,
                row.scope,
                row.owner_created_at,
                row.owner_modified_at,
                version,
            )
