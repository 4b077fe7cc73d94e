"""API keys: issued once, checked at every call, revoked at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import LiteralString
from uuid import uuid4

from psycopg import AsyncConnection

from controlplane.errors import invalid_argument, not_found
from controlplane.identity.principals import find_principals
from controlplane.identity.signing_keys import Signer
from controlplane.identity.tokens import TokenClaims, UnknownSigningKey
from controlplane.identity.types import Principal, Unauthenticated
from controlplane.store.batching import Batched
from controlplane.store.pool import Pool

LONGEST_LIFETIME = timedelta(days=2 * 365)
"""Temporal Cloud, "API keys"."""

_INSERT = """
INSERT INTO api_keys (id, account_id, owner_id, owner_type, display_name, description, expires_at)
SELECT %(id)s, account_id, id, owner_type, %(display_name)s, %(description)s, %(expires_at)s
FROM principals WHERE account_id = %(account)s AND id = %(owner)s
RETURNING touch_access(account_id)
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


class ApiKeys:
    """One per process: keys that are checked at the same time are read together."""

    def __init__(self, pool: Pool, signer: Signer) -> None:
        self.pool = pool
        self.signer = signer
        self._principals = Batched(self._read_principals)

    async def issue(
        self, account: str, owner: str, *, display_name: str, lifetime: timedelta
    ) -> IssuedKey:
        """Make a key that speaks for `owner`, a user or a service account of the account."""
        async with self.pool.connection() as connection:
            return await insert_key(connection, self.signer, account, owner, display_name, lifetime)

    async def revoke(self, account: str, key: str) -> None:
        """End the key for good, from the next call on."""
        await self._change(_REVOKE, {"id": key, "account": account})

    async def set_disabled(self, account: str, key: str, disabled: bool) -> None:
        """Suspend the key, or let it count again."""
        await self._change(_DISABLE, {"id": key, "account": account, "disabled": disabled})

    async def verify(self, token: str) -> Principal:
        """Return whom the token speaks for; raise Unauthenticated unless it counts right now."""
        try:
            claims = self.signer.read(token)
        except UnknownSigningKey:
            # Another process may have rotated the keys a moment ago.
            await self.signer.look_again()
            claims = self.signer.read(token)
        believed_by = self.signer.ring
        found = await self._principals.get(claims.key)
        if found is None or found[0].account.id != claims.account:
            raise Unauthenticated
        principal, signing_keys = found
        await self.signer.follow(signing_keys)
        if self.signer.ring is not believed_by:
            # The key that signed it may have been retired.
            self.signer.read(token)
        return principal

    async def _read_principals(self, keys: Sequence[str]) -> Mapping[str, tuple[Principal, int]]:
        async with self.pool.connection() as connection:
            return await find_principals(connection, keys)

    async def public_keys(self) -> list[dict[str, str]]:
        """Return the public keys that verify tokens, as JSON Web Keys."""
        async with self.pool.connection() as connection:
            await self.signer.refresh(connection)
        return self.signer.ring.jwks

    async def _change(self, statement: LiteralString, named: dict[str, str | bool]) -> None:
        async with self.pool.connection() as connection, connection.transaction():
            await connection.execute("SELECT touch_access(%(account)s)", named)
            done = await connection.execute(statement, named)
            if done.rowcount == 0:
                raise not_found(f"API key {named['id']} not found")


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
            "description": "",
            "expires_at": expires_at,
        },
    )
    if done.rowcount == 0:
        raise not_found(f"account {account} has no user or service account {owner}")
    return IssuedKey(key, signer.sign(TokenClaims(key, account, expires_at)), expires_at)
