"""Whether an account may have one more: namespaces, and operations at once."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from controlplane.errors import failed_precondition, throttled
from controlplane.identity.limits import AccountLimitsReader
from controlplane.store.pool import Pool

TRY_AGAIN_AFTER = timedelta(seconds=1)
"""An operation takes about as long to finish."""
RAISED_BY = "the fleet's operators can raise it (PUT /fleet/v1/accounts/<account>/limits)"

# A claim that is older than this and that no entity took up belongs to a call that died.
_CLAIM_COUNTS_FOR = "interval '1 minute'"
_LOCK = 0x6E737061  # With an account's hash: taken while it is given a place. "nspa" in ASCII.
_PLACES_TAKEN = f"""
SELECT count(*) FROM (
    SELECT id FROM namespaces WHERE account_id = %(account)s AND life <> 'DELETED'
    UNION
    SELECT namespace FROM operations
    WHERE account_id = %(account)s AND state IS NULL AND placed
      AND claimed_at > now() - {_CLAIM_COUNTS_FOR}
) AS taken (id) WHERE id <> %(namespace)s
"""  # noqa: S608 - our own constant
_TAKE_PLACE = """
UPDATE operations SET placed = true, claimed_at = now()
WHERE account_id = %(account)s AND id = %(operation)s AND state IS NULL
"""
_OPEN_OPERATIONS = f"""
SELECT count(*) FILTER (WHERE id <> ALL(%(in_flight)s)),
       EXISTS (SELECT FROM operations WHERE account_id = %(account)s AND id = %(operation)s)
FROM operations
WHERE account_id = %(account)s AND (
    state IN ('PENDING', 'IN_PROGRESS')
    OR state IS NULL AND claimed_at > now() - {_CLAIM_COUNTS_FOR})
"""  # noqa: S608 - our own constant


@dataclass(frozen=True)
class Quota:
    pool: Pool
    limits: AccountLimitsReader

    async def check_namespace_count(self, account: str, operation: str, namespace: str) -> None:
        """Give a creation its place among the account's namespaces, or raise.

        Call it once the operation is claimed (`store.operations`), before the entity hears of it.
        Creations of one account are given places one after another, whichever process asks, so
        the limit holds exactly. A place is given back with the withdrawal of its claim, or after a
        minute if the call that took it died; once the entity published, its namespace counts.
        """
        at_most = (await self.limits.of(account)).namespaces
        named = {"account": account, "operation": operation, "namespace": namespace}
        async with self.pool.connection() as connection, connection.transaction():
            await connection.execute(
                "SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (_LOCK, account)
            )
            row = await (await connection.execute(_PLACES_TAKEN, named)).fetchone()
            assert row is not None
            if row[0] >= at_most:
                raise failed_precondition(
                    f"account {account} has {row[0]} namespaces, and its limit is {at_most} "
                    f"(namespaces): delete one; {RAISED_BY}"
                )
            await connection.execute(_TAKE_PLACE, named)

    async def begins_operation(
        self, account: str, operation: str, in_flight: Collection[str]
    ) -> bool:
        """Return whether the operation would be a new one; raise `throttled` if that is too many.

        `in_flight` are the ids of the account's new operations that this process has let through,
        whether or not they are recorded yet. One that is recorded already is never too many:
        asking for it again begins nothing.
        """
        at_most = (await self.limits.of(account)).operations_at_once
        # As of now: one that is answered while we look would be counted in neither place.
        passed = list(in_flight)
        async with self.pool.connection() as connection:
            rows = await connection.execute(
                _OPEN_OPERATIONS,
                {"account": account, "operation": operation, "in_flight": passed},
            )
            row = await rows.fetchone()
        assert row is not None
        recorded, known = row
        if known:
            return False
        now_open = recorded + len(passed)
        if now_open >= at_most:
            raise throttled(
                f"account {account} has {now_open} operations open, and its limit is {at_most} at "
                f"once (operations_at_once): wait until one has finished; {RAISED_BY}",
                TRY_AGAIN_AFTER,
            )
        return True
