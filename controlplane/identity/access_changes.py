"""One change of access, done once: claimed, made and recorded in one transaction."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from psycopg import AsyncConnection
from temporalio.exceptions import ApplicationError

from controlplane.errors import failed_precondition, invalid_argument, not_found
from controlplane.identity.types import OpenOperation
from controlplane.store.operations import (
    AccessOperation,
    Claim,
    begin_access_change,
    claim_access_change,
)
from controlplane.store.pool import Pool

# Changes of one account come one after another: what they check stays so until they are done.
_LOCK_ACCOUNT = "SELECT FROM accounts WHERE id = %s FOR NO KEY UPDATE"
_TOUCH = "SELECT touch_access(%s)"
_HAS_KEYS = """
SELECT EXISTS (SELECT FROM api_keys WHERE owner_id = %s AND revoked_at IS NULL
               AND NOT disabled AND expires_at > now())
"""
_LIVE_NAMESPACES = """
SELECT id FROM namespaces WHERE account_id = %s AND id = ANY(%s) AND life <> 'DELETED'
"""


@dataclass(frozen=True)
class Changed:
    resource: str
    """The id of what was changed."""
    in_cells: bool
    """Whether cells have to hear of it."""


async def change_once(
    pool: Pool, claim: Claim, make: Callable[[AsyncConnection], Awaitable[Changed]]
) -> tuple[AccessOperation, str]:
    """Return the claim's operation and the id of what it is about.

    `make` is called unless this request was made before. What it refuses leaves no trace.
    """
    async with pool.connection() as connection, connection.transaction():
        known = await claim_access_change(connection, claim)
        if known is not None:
            return known
        await connection.execute(_LOCK_ACCOUNT, (claim.account,))
        changed = await make(connection)
        revision = await _touch(connection, claim.account) if changed.in_cells else None
        operation = await begin_access_change(
            connection,
            claim,
            resource=changed.resource,
            revision=revision,
            now=datetime.now(UTC),
        )
        return operation, changed.resource


async def has_keys(connection: AsyncConnection, owner: str) -> bool:
    """Tell whether any key of the owner counts right now."""
    row = await (await connection.execute(_HAS_KEYS, (owner,))).fetchone()
    return bool(row and row[0])


async def check_namespaces(
    connection: AsyncConnection, account: str, namespaces: frozenset[str]
) -> None:
    """Raise `not_found` unless all are namespaces of the account."""
    rows = await connection.execute(_LIVE_NAMESPACES, (account, list(namespaces)))
    missing = namespaces - {str(row[0]) for row in await rows.fetchall()}
    if missing:
        raise not_found(f"namespace {min(missing)!r} not found")


def check_version(what: str, asked: str, current: str) -> None:
    """Raise `failed_precondition` if what is to be changed is not what the caller read."""
    if asked not in ("", current):
        raise failed_precondition(
            f"{what} has resource_version {current!r}, not {asked[:100]!r}: read it again and "
            "repeat the change on what it is now"
        )


def nothing_to_change(what: str) -> ApplicationError:
    """Clients match on the phrase."""
    return invalid_argument(f"nothing to change: {what} is already as asked for")


def open_operation(operation: str | None, kind: str | None) -> OpenOperation | None:
    """Return the operation at work on a resource, as a query joined it."""
    if operation is None or kind is None:
        return None
    return OpenOperation(operation, creates=kind.startswith("Create"))


async def _touch(connection: AsyncConnection, account: str) -> int:
    row = await (await connection.execute(_TOUCH, (account,))).fetchone()
    assert row is not None
    return int(row[0])
