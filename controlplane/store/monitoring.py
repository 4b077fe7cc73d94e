"""What is watched of an account: counts, expiries and conditions, without reading whole views."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from controlplane.store.pool import Pool

_BY_LIFE = """
SELECT life, count(*) FROM namespaces
WHERE account_id = %s AND life <> 'DELETED' GROUP BY life ORDER BY life
"""
_NAMESPACES = """
SELECT id,
       (view #>> '{observed,certificate,not_after}')::timestamptz,
       (view #>> '{observed,certificate,client_ca_not_after}')::timestamptz,
       (SELECT coalesce(jsonb_object_agg(key, value ->> 'status'), '{}')
        FROM jsonb_each(view -> 'conditions'))
FROM namespaces
WHERE account_id = %s AND life <> 'DELETED' ORDER BY name LIMIT %s
"""
_OPEN_OPERATIONS = """
SELECT kind, count(*) FROM operations
WHERE account_id = %s AND state IN ('PENDING', 'IN_PROGRESS') GROUP BY kind ORDER BY kind
"""


@dataclass(frozen=True)
class MonitoredNamespace:
    id: str
    server_certificate_expires_at: datetime | None
    client_ca_expires_at: datetime | None
    """When the first certificate of the CA bundle does."""
    conditions: Mapping[str, str]
    """The status of each condition, by its type."""


@dataclass(frozen=True)
class Monitoring:
    pool: Pool

    async def namespaces_by_life(self, account: str) -> Mapping[str, int]:
        return await self._counts(_BY_LIFE, account)

    async def namespaces(self, account: str, *, limit: int) -> list[MonitoredNamespace]:
        """Return up to `limit` namespaces of the account, by name."""
        async with self.pool.connection() as connection:
            rows = await (await connection.execute(_NAMESPACES, (account, limit))).fetchall()
        return [MonitoredNamespace(*row) for row in rows]

    async def open_operations(self, account: str) -> Mapping[str, int]:
        """Return how many operations of each kind are not finished."""
        return await self._counts(_OPEN_OPERATIONS, account)

    async def _counts(self, query: str, account: str) -> Mapping[str, int]:
        async with self.pool.connection() as connection:
            rows = await (await connection.execute(query.encode(), (account,))).fetchall()
        return {str(name): int(count) for name, count in rows}
