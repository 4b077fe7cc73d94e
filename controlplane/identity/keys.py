"""API keys: issued once, checked at every call, revoked at once."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from psycopg import AsyncConnection
from temporalio.exceptions import ApplicationError

from controlplane.errors import invalid_argument, not_found
from controlplane.identity.tokens import Signer, TokenClaims
from controlplane.identity.types import Account, ApiKey, Principal, Role, Unauthenticated, User
from controlplane.store.pool import Pool

LONGEST_LIFETIME = timedelta(days=2 * 365)
"""Temporal Cloud, "API keys"."""

_INSERT = """
INSERT INTO api_keys (id, account_id, owner_id, display_name, expires_at)
SELECT %(id)s, account_id, id, %(display_name)s, %(expires_at)s
FROM users WHERE account_id = %(account)s AND id = %(owner)s
"""
_PRINCIPAL = """
SELECT a.name, a.created_at, u.id, u.email, u.role, u.created_at,
       k.display_name, k.expires_at, k.created_at
FROM api_keys k
JOIN users u ON u.id = k.owner_id AND u.account_id = k.account_id
JOIN accounts a ON a.id = k.account_id
WHERE k.id = %(id)s AND k.account_id = %(account)s
  AND k.revoked_at IS NULL AND NOT k.disabled AND k.expires_at > now()
"""
_REVOKE = """
UPDATE api_keys SET revoked_at = coalesce(revoked_at, now())
WHERE id = %(id)s AND account_id = %(account)s
"""
_DISABLE = """
UPDATE api_keys SET disabled = %(disabled)s WHERE id = %(id)s AND account_id = %(account)s
"""


@dataclass(frozen=True)
class IssuedKey:
    id: str
    token: str
    """Shown this once."""
    expires_at: datetime


@dataclass(frozen=True)
class ApiKeys:
    pool: Pool
    signer: Signer

    async def issue(
        self, account: str, owner: str, *, display_name: str, lifetime: timedelta
    ) -> IssuedKey:
        """Make a key that speaks for `owner`, a user of the account."""
        async with self.pool.connection() as connection:
            return await insert_key(connection, self.signer, account, owner, display_name, lifetime)

    async def revoke(self, account: str, key: str) -> None:
        """End the key for good, from the next call on."""
        async with self.pool.connection() as connection:
            done = await connection.execute(_REVOKE, {"id": key, "account": account})
        if done.rowcount == 0:
            raise _no_such_key(key)

    async def set_disabled(self, account: str, key: str, disabled: bool) -> None:
        """Suspend the key, or let it count again."""
        async with self.pool.connection() as connection:
            done = await connection.execute(
                _DISABLE, {"id": key, "account": account, "disabled": disabled}
            )
        if done.rowcount == 0:
            raise _no_such_key(key)

    async def verify(self, token: str) -> Principal:
        """Return whom the token speaks for; raise Unauthenticated unless it counts right now."""
        claims = self.signer.read(token)
        async with self.pool.connection() as connection:
            rows = await connection.execute(
                _PRINCIPAL, {"id": claims.key, "account": claims.account}
            )
            row = await rows.fetchone()
        if row is None:
            raise Unauthenticated
        name, founded_at, user, email, role, joined_at, display_name, expires_at, issued_at = row
        return Principal(
            Account(claims.account, name, founded_at),
            User(user, email, Role(role), joined_at),
            ApiKey(claims.key, display_name, expires_at, issued_at),
        )


async def insert_key(
    connection: AsyncConnection,
    signer: Signer,
    account: str,
    owner: str,
    display_name: str,
    lifetime: timedelta,
) -> IssuedKey:
    """Make a key within the caller's transaction."""
    if not timedelta(0) < lifetime <= LONGEST_LIFETIME:
        raise invalid_argument(
            f"an API key cannot live {lifetime}: ask for a lifetime of up to "
            f"{LONGEST_LIFETIME.days} days"
        )
    key = str(uuid4())
    # The token counts in whole seconds; the row says exactly the same.
    expires_at = (datetime.now(UTC) + lifetime).replace(microsecond=0)
    done = await connection.execute(
        _INSERT,
        {
            "id": key,
            "account": account,
            "owner": owner,
            "display_name": display_name,
            "expires_at": expires_at,
        },
    )
    if done.rowcount == 0:
        raise not_found(f"account {account} has no user {owner}")
    return IssuedKey(key, signer.sign(TokenClaims(key, account, expires_at)), expires_at)


def _no_such_key(key: str) -> ApplicationError:
    return not_found(f"API key {key} not found")
