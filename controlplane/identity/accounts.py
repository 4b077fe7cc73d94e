"""Accounts and their first owner."""

import string
from dataclasses import dataclass, field
from datetime import timedelta
from secrets import choice
from uuid import uuid4

from psycopg import AsyncConnection

from controlplane.identity.keys import insert_key
from controlplane.identity.signing_keys import Signer, ensure_signer
from controlplane.identity.types import Role
from controlplane.secrets.port import SecretStore
from controlplane.store.pool import Pool

FIRST_KEY_LIFETIME = timedelta(days=365)

_LOCK = 0x6163636F756E7473  # Taken while the first account is made: "accounts" in ASCII.
_ID_LENGTH = 6
_FIRST_OWNER = """
SELECT u.account_id, u.id FROM users u JOIN accounts a ON a.id = u.account_id
WHERE u.role = 'owner' AND (%(account)s::text IS NULL OR a.id = %(account)s)
ORDER BY a.created_at, u.created_at LIMIT 1
"""


@dataclass(frozen=True)
class FirstAccount:
    account_id: str
    token: str | None = field(repr=False)
    """The owner's API key; None when the account was there already."""


async def ensure_first_account(
    conninfo: str, secrets: SecretStore, *, name: str, owner_email: str
) -> FirstAccount:
    """Make the account and the owner a new deployment begins with, unless it has one.

    It is the operators': the fleet is theirs to run.

    The token is returned to whoever makes the account, once. If it was lost before it could be
    kept, `issue_owner_key` makes another.
    """
    async with await AsyncConnection.connect(conninfo) as connection:
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        signer = await ensure_signer(secrets)
        first = await (await connection.execute(_FIRST_OWNER, {"account": None})).fetchone()
        if first is not None:
            return FirstAccount(str(first[0]), None)
        account, owner = await _create_operators(connection, name, owner_email)
        return FirstAccount(account, await _issue(connection, signer, account, owner))


async def account_exists(pool: Pool, account: str) -> bool:
    async with pool.connection() as connection:
        found = await connection.execute("SELECT FROM accounts WHERE id = %s", (account,))
        return await found.fetchone() is not None


async def issue_owner_key(conninfo: str, secrets: SecretStore, account: str) -> str:
    """Return the token of a new API key of the account's first owner."""
    async with await AsyncConnection.connect(conninfo) as connection:
        signer = await ensure_signer(secrets)
        owner = await (await connection.execute(_FIRST_OWNER, {"account": account})).fetchone()
        if owner is None:
            raise LookupError(f"there is no account {account} with an owner")
        return await _issue(connection, signer, account, str(owner[1]))


async def _create_operators(
    connection: AsyncConnection, name: str, owner_email: str
) -> tuple[str, str]:
    """Return the ids of a new account of operators and of its owner."""
    account, owner = new_account_id(), str(uuid4())
    await connection.execute(
        "INSERT INTO accounts (id, name, operator) VALUES (%s, %s, true)", (account, name)
    )
    await connection.execute(
        "INSERT INTO users (id, account_id, email, role) VALUES (%s, %s, %s, %s)",
        (owner, account, owner_email, Role.OWNER.value),
    )
    return account, owner


async def _issue(connection: AsyncConnection, signer: Signer, account: str, owner: str) -> str:
    issued = await insert_key(connection, signer, account, owner, "first owner", FIRST_KEY_LIFETIME)
    return issued.token


def new_account_id() -> str:
    """Return a random id (see `controlplane.ids`): short, for it is part of every endpoint."""
    first = choice(string.ascii_lowercase)
    alphabet = string.ascii_lowercase + string.digits
    return first + "".join(choice(alphabet) for _ in range(_ID_LENGTH - 1))
