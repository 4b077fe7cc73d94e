"""What the cells have not heard of yet: rows of PostgreSQL, taken on by one worker at a time.

Whoever takes an errand on has LEASE for it. If it dies, the errand is due again after that; if it
fails, ever later, up to a limit, for ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import LiteralString

from cells.ingress.keys import KeyRow
from controlplane.store.pool import Pool

LEASE = timedelta(seconds=20)
REWRITE_AFTER = timedelta(hours=1)
"""Written again even so: a cell may have lost what it had."""
KEEP_UNUSED = timedelta(hours=1)
"""How long a cell keeps hearing of an account that has no namespace there."""
_FIRST_PAUSE = timedelta(seconds=1)
_LONGEST_PAUSE = timedelta(seconds=30)

_TAKE_ACCOUNTS = """
UPDATE account_cells AS taken SET due_at = now() + %(lease)s
FROM (
    SELECT c.account_id, c.cell FROM account_cells c
    JOIN accounts a ON a.id = c.account_id
    JOIN cells ON cells.id = c.cell AND cells.view->'spec'->>'region' = ANY(%(regions)s)
    WHERE c.due_at <= now()
      AND (c.revision < a.access_revision OR c.written_at < now() - %(rewrite_after)s)
    ORDER BY c.due_at LIMIT %(most)s FOR UPDATE OF c SKIP LOCKED
) AS due
WHERE taken.account_id = due.account_id AND taken.cell = due.cell
RETURNING taken.cell, taken.account_id
"""
_TAKE_CELLS = """
INSERT INTO cell_signing_keys AS taken (cell, fingerprint, due_at)
SELECT id, '', now() + %(lease)s FROM cells WHERE view->'spec'->>'region' = ANY(%(regions)s)
    AND view->>'retired' IS DISTINCT FROM 'true'
ORDER BY id
ON CONFLICT (cell) DO UPDATE SET due_at = excluded.due_at
WHERE taken.due_at <= now() AND (taken.fingerprint <> %(fingerprint)s
                                 OR taken.written_at < now() - %(rewrite_after)s)
RETURNING cell
"""
_NEED = """
INSERT INTO account_cells AS needed (account_id, cell) VALUES (%s, %s)
ON CONFLICT (account_id, cell) DO UPDATE SET needed_at = now()
"""
_SNAPSHOT = """
SELECT a.access_revision, k.id, k.expires_at, p.role IN ('owner', 'admin'),
       coalesce((SELECT jsonb_object_agg(namespace, permission) FROM namespace_permissions
                 WHERE owner_id = p.id), '{}')
FROM accounts a
LEFT JOIN (api_keys k JOIN principals p ON p.id = k.owner_id AND p.account_id = k.account_id)
    ON k.account_id = a.id AND k.revoked_at IS NULL AND NOT k.disabled AND k.expires_at > now()
WHERE a.id = %s
"""
_WRITTEN = """
UPDATE account_cells SET revision = greatest(revision, %(revision)s), written_at = now(),
    due_at = now(), failures = 0, failure = ''
WHERE account_id = %(account)s AND cell = %(cell)s
"""
_POSTPONE = """
UPDATE account_cells SET failures = failures + 1, failure = %(failure)s,
    due_at = now() + least(%(longest)s, %(first)s * power(2, least(failures, 10)))
WHERE account_id = %(account)s AND cell = %(cell)s
"""
_SIGNING_KEYS_WRITTEN = """
INSERT INTO cell_signing_keys (cell, fingerprint, written_at)
VALUES (%(cell)s, %(fingerprint)s, now())
ON CONFLICT (cell) DO UPDATE SET fingerprint = excluded.fingerprint, written_at = now(),
    due_at = now(), failures = 0, failure = ''
"""
_POSTPONE_SIGNING_KEYS = """
UPDATE cell_signing_keys SET failures = failures + 1, failure = %(failure)s,
    due_at = now() + least(%(longest)s, %(first)s * power(2, least(failures, 10)))
WHERE cell = %(cell)s
"""
_HAS_SIGNING_KEYS = (
    "SELECT EXISTS (SELECT FROM cell_signing_keys WHERE cell = %s AND fingerprint = %s)"
)
# An account is where its slowest cell is; cells that have left the fleet are not waited for.
_SETTLE = """
WITH behind AS (
    SELECT id, access_revision FROM accounts WHERE distributed_revision < access_revision
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
), reached AS (
    UPDATE accounts SET distributed_revision = now_at.revision
    FROM behind CROSS JOIN LATERAL (
        SELECT least(behind.access_revision, min(c.revision)) AS revision
        FROM account_cells c JOIN cells ON cells.id = c.cell
        WHERE c.account_id = behind.id
    ) AS now_at
    WHERE accounts.id = behind.id AND accounts.distributed_revision < now_at.revision
    RETURNING accounts.id, accounts.distributed_revision
)
UPDATE operations
SET state = 'FULFILLED',
    view = view || jsonb_build_object('state', 'FULFILLED', 'finished_at', to_jsonb(now()))
FROM reached
WHERE operations.account_id = reached.id AND operations.state = 'IN_PROGRESS'
  AND operations.access_revision <= reached.distributed_revision
"""
_PRUNE = """
DELETE FROM account_cells c
WHERE c.needed_at < now() - %s AND NOT EXISTS (
    SELECT FROM namespaces n WHERE n.account_id = c.account_id AND n.life <> 'DELETED'
      AND (n.cell = c.cell OR n.cell IS NULL OR c.cell = ANY(n.passive)
           OR n.view #>> '{change,target}' = c.cell))
"""


@dataclass(frozen=True)
class Outbox:
    pool: Pool
    regions: Sequence[str]
    """Those whose cells are reached from here."""

    async def take_accounts(self, most: int) -> list[tuple[str, str]]:
        """Take on up to `most` accounts of which a cell has not heard; return cell and account."""
        named = {
            "lease": LEASE,
            "regions": list(self.regions),
            "rewrite_after": REWRITE_AFTER,
            "most": most,
        }
        async with self.pool.connection() as connection:
            rows = await (await connection.execute(_TAKE_ACCOUNTS, named)).fetchall()
        return [(str(cell), str(account)) for cell, account in rows]

    async def take_cells(self, fingerprint: str) -> list[str]:
        """Take on the cells whose signing keys are not those of the fingerprint."""
        named = {
            "lease": LEASE,
            "regions": list(self.regions),
            "rewrite_after": REWRITE_AFTER,
            "fingerprint": fingerprint,
        }
        async with self.pool.connection() as connection:
            rows = await (await connection.execute(_TAKE_CELLS, named)).fetchall()
        return [str(cell) for (cell,) in rows]

    async def need(self, cell: str, account: str) -> None:
        """Let the cell hear of every change of the account from now on."""
        async with self.pool.connection() as connection:
            await connection.execute(_NEED, (account, cell))

    async def snapshot(self, account: str) -> tuple[int, list[KeyRow]]:
        """Return the account's keys that count right now, and the revision they are of."""
        async with self.pool.connection() as connection:
            rows = await (await connection.execute(_SNAPSHOT, (account,))).fetchall()
        if not rows:
            raise LookupError(f"there is no account {account}")
        keys = [
            KeyRow(key, expires_at, everywhere, {} if everywhere else namespaces)
            for _, key, expires_at, everywhere, namespaces in rows
            if key is not None
        ]
        return int(rows[0][0]), keys

    async def has_signing_keys(self, cell: str, fingerprint: str) -> bool:
        async with self.pool.connection() as connection:
            row = await (
                await connection.execute(_HAS_SIGNING_KEYS, (cell, fingerprint))
            ).fetchone()
        return bool(row and row[0])

    async def written(self, cell: str, account: str, revision: int) -> None:
        await self._execute(_WRITTEN, cell=cell, account=account, revision=revision)

    async def postpone(self, cell: str, account: str, failure: Exception) -> None:
        await self._execute(
            _POSTPONE,
            cell=cell,
            account=account,
            failure=str(failure),
            first=_FIRST_PAUSE,
            longest=_LONGEST_PAUSE,
        )

    async def signing_keys_written(self, cell: str, fingerprint: str) -> None:
        await self._execute(_SIGNING_KEYS_WRITTEN, cell=cell, fingerprint=fingerprint)

    async def postpone_signing_keys(self, cell: str, failure: Exception) -> None:
        await self._execute(
            _POSTPONE_SIGNING_KEYS,
            cell=cell,
            failure=str(failure),
            first=_FIRST_PAUSE,
            longest=_LONGEST_PAUSE,
        )

    async def settle(self) -> None:
        """Fulfil the operations that every cell enforces by now."""
        await self._execute(_SETTLE)

    async def prune(self) -> None:
        """Stop telling cells of accounts that have nothing there any more."""
        async with self.pool.connection() as connection:
            await connection.execute(_PRUNE, (KEEP_UNUSED,))

    async def _execute(self, statement: LiteralString, **named: object) -> None:
        async with self.pool.connection() as connection:
            await connection.execute(statement, named)
