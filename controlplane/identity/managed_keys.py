"""API keys as their owners and admins manage them: made, described, disabled, ended."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from psycopg import AsyncConnection

from controlplane.errors import failed_precondition, invalid_argument, not_found
from controlplane.identity.access_changes import (
    Changed,
    change_once,
    check_version,
    nothing_to_change,
)
from controlplane.identity.api_key_rows import read_key, read_keys
from controlplane.identity.keys import LONGEST_LIFETIME
from controlplane.identity.limits import AccountLimits, AccountLimitsReader
from controlplane.identity.permissions import KeysInSight
from controlplane.identity.quota import RAISED_BY
from controlplane.identity.signing_keys import Signer
from controlplane.identity.tokens import TokenClaims
from controlplane.identity.types import ApiKey, OwnerType
from controlplane.store.operations import AccessOperation, Claim
from controlplane.store.pool import Pool

_OWNER = "SELECT scope FROM principals WHERE account_id = %s AND id = %s AND owner_type = %s"
_COUNT = """
SELECT count(*) FROM api_keys
WHERE owner_id = %s AND revoked_at IS NULL AND expires_at > now()
"""
_INSERT = """
INSERT INTO api_keys
    (id, account_id, owner_id, owner_type, display_name, description, disabled, expires_at)
VALUES (%(id)s, %(account)s, %(owner)s, %(owner_type)s, %(display_name)s, %(description)s,
        %(disabled)s, %(expires_at)s)
"""
_CLAIMS = """
SELECT k.expires_at, p.scope FROM api_keys k LEFT JOIN principals p ON p.id = k.owner_id
WHERE k.account_id = %s AND k.id = %s
"""
_UPDATE = """
UPDATE api_keys SET display_name = %(display_name)s, description = %(description)s,
    disabled = %(disabled)s, version = version + 1, modified_at = now()
WHERE id = %(id)s
"""
_REVOKE = "UPDATE api_keys SET revoked_at = now() WHERE id = %s"


@dataclass(frozen=True)
class ApiKeySpec:
    """What a caller asks for."""

    owner_id: str
    owner_type: OwnerType
    display_name: str
    description: str
    expires_at: datetime
    disabled: bool


@dataclass(frozen=True)
class ApiKeyChange:
    """What may be changed of a key, and what the caller takes the rest to be."""

    display_name: str
    description: str
    disabled: bool
    owner_id: str
    """Empty if the caller does not say, as None is in the next."""
    owner_type: OwnerType | None
    expires_at: datetime | None


@dataclass(frozen=True)
class MadeKey:
    id: str
    token: str
    """Signed anew each time that the same request is repeated: every one of them is the key's."""
    operation: AccessOperation


@dataclass(frozen=True)
class ManagedKeys:
    """What changes counts here from then on; the operation is done once every cell knows."""

    pool: Pool
    signer: Signer
    limits: AccountLimitsReader

    async def get(self, account: str, key: str, sight: KeysInSight) -> ApiKey | None:
        """Return the key, unless it has ended or is out of sight."""
        async with self.pool.connection() as connection:
            return await read_key(connection, account, key, sight)

    async def page(
        self,
        account: str,
        sight: KeysInSight,
        *,
        owner: str = "",
        owner_type: OwnerType | None = None,
        after: str = "",
        limit: int,
    ) -> list[ApiKey]:
        """Return up to `limit` keys by id, those after `after`; of one owner if it is given."""
        async with self.pool.connection() as connection:
            return await read_keys(
                connection,
                account,
                sight,
                owner=owner,
                owner_type=owner_type,
                after=after,
                limit=limit,
            )

    async def create(self, claim: Claim, spec: ApiKeySpec) -> MadeKey:
        """Make a key, once; for the same claim, the same key with a token that is as good."""
        limits = await self.limits.of(claim.account)

        async def make(connection: AsyncConnection) -> Changed:
            await _check_owner(connection, claim.account, spec, limits)
            _check_expiry(spec.expires_at, datetime.now(UTC))
            key = str(uuid4())
            await connection.execute(
                _INSERT,
                {
                    "id": key,
                    "account": claim.account,
                    "owner": spec.owner_id,
                    "owner_type": spec.owner_type.value,
                    "display_name": spec.display_name,
                    "description": spec.description,
                    "disabled": spec.disabled,
                    "expires_at": spec.expires_at,
                },
            )
            return Changed(key, in_cells=not spec.disabled)

        operation, key = await change_once(self.pool, claim, make)
        return MadeKey(key, await self._token(claim.account, key), operation)

    async def update(
        self, claim: Claim, sight: KeysInSight, key: str, change: ApiKeyChange, version: str
    ) -> AccessOperation:
        """Describe, disable or enable the key, unless it is no longer at `version`."""

        async def make(connection: AsyncConnection) -> Changed:
            current = await _current(connection, claim.account, sight, key, version)
            _check_unchanged(current, change)
            wanted = (change.display_name, change.description, change.disabled)
            if wanted == (current.display_name, current.description, current.disabled):
                raise nothing_to_change(f"API key {key}")
            await connection.execute(
                _UPDATE,
                {
                    "id": key,
                    "display_name": change.display_name,
                    "description": change.description,
                    "disabled": change.disabled,
                },
            )
            return Changed(key, in_cells=change.disabled != current.disabled)

        operation, _ = await change_once(self.pool, claim, make)
        return operation

    async def delete(
        self, claim: Claim, sight: KeysInSight, key: str, version: str
    ) -> AccessOperation:
        """End the key for good."""

        async def make(connection: AsyncConnection) -> Changed:
            await _current(connection, claim.account, sight, key, version)
            await connection.execute(_REVOKE, (key,))
            return Changed(key, in_cells=True)

        operation, _ = await change_once(self.pool, claim, make)
        return operation

    async def _token(self, account: str, key: str) -> str:
        async with self.pool.connection() as connection:
            await self.signer.refresh(connection)
            row = await (await connection.execute(_CLAIMS, (account, key))).fetchone()
        assert row is not None, "rows of keys outlive their keys"
        expires_at, scope = row
        return self.signer.sign(
            TokenClaims(key, account, expires_at, () if scope is None else (scope,))
        )


def no_such_key(key: str) -> Exception:
    return not_found(f"API key {key[:100]!r} not found")


async def _current(
    connection: AsyncConnection, account: str, sight: KeysInSight, key: str, version: str
) -> ApiKey:
    """Return what is to be changed, if it is in sight and still what the caller read."""
    current = await read_key(connection, account, key, sight)
    if current is None:
        raise no_such_key(key)
    check_version(f"API key {key}", version, current.resource_version)
    return current


async def _check_owner(
    connection: AsyncConnection, account: str, spec: ApiKeySpec, limits: AccountLimits
) -> None:
    """Refuse a key for nobody, and one too many."""
    found = await connection.execute(_OWNER, (account, spec.owner_id, spec.owner_type.value))
    if await found.fetchone() is None:
        raise not_found(f"{spec.owner_type} {spec.owner_id!r} not found")
    row = await (await connection.execute(_COUNT, (spec.owner_id,))).fetchone()
    name, at_most = (
        ("api_keys_per_user", limits.api_keys_per_user)
        if spec.owner_type is OwnerType.USER
        else ("api_keys_per_service_account", limits.api_keys_per_service_account)
    )
    if row is not None and row[0] >= at_most:
        raise failed_precondition(
            f"{spec.owner_type} {spec.owner_id} has {row[0]} API keys that have not expired, and "
            f"the limit is {at_most} ({name}): delete one; {RAISED_BY}"
        )


def _check_expiry(expires_at: datetime, now: datetime) -> None:
    if expires_at <= now:
        raise invalid_argument(
            f"spec.expiry_time {expires_at:%Y-%m-%dT%H:%M:%SZ} has passed: send a time in the "
            "future"
        )
    if expires_at - now > LONGEST_LIFETIME:
        raise invalid_argument(
            f"spec.expiry_time {expires_at:%Y-%m-%dT%H:%M:%SZ} is too far away: a key may live "
            f"for up to {LONGEST_LIFETIME.days} days"
        )


def _check_unchanged(current: ApiKey, change: ApiKeyChange) -> None:
    if change.owner_id not in ("", current.owner_id) or change.owner_type not in (
        None,
        current.owner_type,
    ):
        raise invalid_argument(
            f"API key {current.id} belongs to {current.owner_type} {current.owner_id}, and always "
            "will: create another key for another owner"
        )
    if change.expires_at not in (None, current.expires_at):
        raise invalid_argument(
            f"API key {current.id} expires at {current.expires_at:%Y-%m-%dT%H:%M:%SZ}, which "
            "cannot be changed: create another key"
        )
