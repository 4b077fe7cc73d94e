"""Accounts with an owner, and keys for them."""

import secrets
from dataclasses import dataclass
from datetime import timedelta

from controlplane.identity.accounts import new_account_id
from controlplane.identity.keys import ApiKeys, IssuedKey


@dataclass(frozen=True)
class Owner:
    account: str
    user: str
    email: str
    keys: ApiKeys

    async def key(self, lifetime: timedelta = timedelta(hours=1)) -> IssuedKey:
        return await self.keys.issue(
            self.account, self.user, display_name="laptop", lifetime=lifetime
        )


async def new_owner(keys: ApiKeys, *, operator: bool = False) -> Owner:
    """Make an account and its owner; with `operator`, an account of the fleet's operators."""
    owner = Owner(new_account_id(), secrets.token_hex(4), "olga@example.com", keys)
    async with keys.pool.connection() as connection:
        await connection.execute(
            "INSERT INTO accounts (id, name, operator) VALUES (%s, 'Acme', %s)",
            (owner.account, operator),
        )
        await connection.execute(
            "INSERT INTO users (id, account_id, email, role) VALUES (%s, %s, %s, 'owner')",
            (owner.user, owner.account, owner.email),
        )
    return owner
