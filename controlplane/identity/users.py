"""The users of an account, to be read."""

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from psycopg.rows import class_row

from controlplane.identity.principals import access_of
from controlplane.identity.types import User
from controlplane.store.pool import Pool

_READ = """
SELECT u.id, u.email, u.role, u.version, u.created_at, u.modified_at,
       (SELECT jsonb_object_agg(namespace, permission) FROM namespace_permissions
        WHERE owner_id = u.id) AS namespaces
FROM users u
WHERE u.account_id = %(account)s
"""
_ONE = _READ + "AND u.id = %(id)s"
_PAGE = (
    _READ
    + """AND u.id > %(after)s AND (%(email)s = '' OR u.email = %(email)s)
  AND (%(namespace)s = '' OR u.role IN ('owner', 'admin')
       OR EXISTS (SELECT FROM namespace_permissions
                  WHERE owner_id = u.id AND namespace = %(namespace)s))
ORDER BY u.id LIMIT %(limit)s
"""
)


@dataclass(frozen=True)
class _Row:
    id: str
    email: str
    role: str
    version: int
    created_at: datetime
    modified_at: datetime | None
    namespaces: dict[str, str] | None


@dataclass(frozen=True)
class Users:
    pool: Pool

    async def get(self, account: str, user: str) -> User | None:
        found = await self._read(_ONE, {"account": account, "id": user})
        return found[0] if found else None

    async def page(
        self, account: str, *, email: str = "", namespace: str = "", after: str = "", limit: int
    ) -> list[User]:
        """Return up to `limit` users by id, those after `after`.

        With `email`, only the one of exactly that address; with `namespace`, only those who may do
        anything in it.
        """
        return await self._read(
            _PAGE,
            {
                "account": account,
                "email": email,
                "namespace": namespace,
                "after": after,
                "limit": limit,
            },
        )

    async def _read(self, query: LiteralString, named: dict[str, str | int]) -> list[User]:
        async with self.pool.connection() as connection:
            cursor = connection.cursor(row_factory=class_row(_Row))
            await cursor.execute(query, named)
            return [
                User(
                    row.id,
                    row.email,
                    access_of(row.role, row.namespaces),
                    row.created_at,
                    row.modified_at,
                    str(row.version),
                )
                for row in await cursor.fetchall()
            ]
