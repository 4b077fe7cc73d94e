"""Which API keys a cell's gatekeeper knows: how they get into the cell's database.

The cell has a copy of what concerns it: the public keys that sign tokens, and the rows of the keys
that are live. A key that is disabled, revoked or expired has no row, and one without a row opens
nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

ISSUER = "controlplane"
"""The `iss` of every token: whoever signs them."""
SERVICE_PREFIX = "api_keys/"


@dataclass(frozen=True)
class KeyRow:
    """One live API key of an account, and where it gets in."""

    key_id: str
    expires_at: datetime
    everywhere: bool
    """Whether it may do anything in every namespace of the account."""
    namespaces: Mapping[str, str] = field(default_factory=dict)
    """Otherwise its permission, `admin`, `write` or `read`, by full namespace id."""


@dataclass(frozen=True)
class SigningKeyRow:
    """One public key in force: tokens signed by it are believed."""

    kid: str
    jwk: Mapping[str, str]
    """RFC 7517: an EC key on P-256."""


def keys_service(account: str, revision: int) -> str:
    """Name the gRPC health service that is SERVING once the gatekeeper enforces this revision of
    the account's keys, or a later one."""
    return f"{SERVICE_PREFIX}{account}@{revision}"


async def write_keys(
    connection: AsyncConnection, account: str, revision: int, keys: Sequence[KeyRow]
) -> None:
    """Let these be the account's keys, unless a later revision of them is there already."""
    async with connection.transaction():
        # Whoever comes second waits here for the first.
        current = await connection.execute(
            "INSERT INTO api_key_revisions AS known (account_id, revision) VALUES (%s, %s)"
            " ON CONFLICT (account_id) DO UPDATE SET revision = excluded.revision"
            " WHERE known.revision <= excluded.revision",
            (account, revision),
        )
        if current.rowcount == 0:
            return
        await connection.execute("DELETE FROM api_keys WHERE account_id = %s", (account,))
        async with connection.cursor() as cursor:
            await cursor.executemany(
                "INSERT INTO api_keys (key_id, account_id, expires_at, everywhere, namespaces)"
                " VALUES (%s, %s, %s, %s, %s)",
                [
                    (
                        key.key_id,
                        account,
                        key.expires_at,
                        key.everywhere,
                        Jsonb(dict(key.namespaces)),
                    )
                    for key in keys
                ],
            )


async def write_signing_keys(connection: AsyncConnection, jwks: Sequence[SigningKeyRow]) -> None:
    """Let these be the public keys in force, and no others."""
    async with connection.transaction():
        # Two writers one after the other, so that what stays is what one of them wrote.
        await connection.execute("LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE")
        await connection.execute(
            "DELETE FROM signing_keys WHERE kid <> ALL(%s)", ([key.kid for key in jwks],)
        )
        async with connection.cursor() as cursor:
            await cursor.executemany(
                "INSERT INTO signing_keys AS known (kid, jwk) VALUES (%s, %s)"
                " ON CONFLICT (kid) DO UPDATE SET jwk = excluded.jwk"
                " WHERE known.jwk <> excluded.jwk",
                [(key.kid, Jsonb(dict(key.jwk))) for key in jwks],
            )
