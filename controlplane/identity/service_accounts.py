"""Service accounts: what machines call as, account-wide or for one namespace."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import uuid4

from psycopg import AsyncConnection

from controlplane.errors import (
    already_exists,
    failed_precondition,
    invalid_argument,
    not_found,
)
from controlplane.identity.access_changes import (
    Changed,
    change_once,
    check_namespaces,
    check_version,
    has_keys,
    nothing_to_change,
)
from controlplane.identity.limits import AccountLimitsReader
from controlplane.identity.quota import RAISED_BY
from controlplane.identity.service_account_rows import (
    read_assigned,
    read_service_account,
    read_service_accounts,
)
from controlplane.identity.types import (
    Access,
    Permission,
    ServiceAccount,
)
from controlplane.store.operations import AccessOperation, Claim
from controlplane.store.pool import Pool

_COUNT = "SELECT count(*) FROM service_accounts WHERE account_id = %s"
_NAMED = "SELECT id FROM service_accounts WHERE account_id = %s AND name = %s AND id <> %s"
_INSERT = """
INSERT INTO service_accounts (id, account_id, name, description, role, scope)
VALUES (%(id)s, %(account)s, %(name)s, %(description)s, %(role)s, %(scope)s)
"""
_UPDATE = """
UPDATE service_accounts SET name = %(name)s, description = %(description)s, role = %(role)s,
    version = version + 1, modified_at = now()
WHERE id = %(id)s
"""
_DELETE = "DELETE FROM service_accounts WHERE id = %s"
_REVOKE_KEYS = "UPDATE api_keys SET revoked_at = now() WHERE owner_id = %s AND revoked_at IS NULL"
_FORGET = "DELETE FROM namespace_permissions WHERE owner_id = %s"
_GRANT = """
INSERT INTO namespace_permissions (owner_id, namespace, account_id, permission)
VALUES (%s, %s, %s, %s)
"""


@dataclass(frozen=True)
class ServiceAccountSpec:
    """What a caller asks for."""

    name: str
    description: str
    access: Access
    scope: str | None
    """The only namespace it is for; `access` then has the permission on it, and no role."""


@dataclass(frozen=True)
class ServiceAccounts:
    """What changes counts here from then on; the operation is done once every cell knows."""

    pool: Pool
    limits: AccountLimitsReader

    async def get(self, account: str, service_account: str) -> ServiceAccount | None:
        async with self.pool.connection() as connection:
            return await read_service_account(connection, account, service_account)

    async def page(self, account: str, *, after: str, limit: int) -> list[ServiceAccount]:
        """Return up to `limit` of them by id, those after `after`."""
        async with self.pool.connection() as connection:
            return await read_service_accounts(connection, account, after=after, limit=limit)

    async def of_namespace(
        self, account: str, namespace: str, *, after: str, limit: int
    ) -> list[ServiceAccount]:
        """Return those that may do anything in the namespace, by id."""
        async with self.pool.connection() as connection:
            return await read_assigned(connection, account, namespace, after=after, limit=limit)

    async def create(self, claim: Claim, spec: ServiceAccountSpec) -> tuple[AccessOperation, str]:
        """Return the operation, and the new service account's id."""
        at_most = (await self.limits.of(claim.account)).service_accounts

        async def make(connection: AsyncConnection) -> Changed:
            await _check(connection, claim.account, "", spec)
            row = await (await connection.execute(_COUNT, (claim.account,))).fetchone()
            if row is not None and row[0] >= at_most:
                raise failed_precondition(
                    f"account {claim.account} has {row[0]} service accounts, and its limit is "
                    f"{at_most} (service_accounts): delete one; {RAISED_BY}"
                )
            service_account = str(uuid4())
            await connection.execute(
                _INSERT,
                {
                    "id": service_account,
                    "account": claim.account,
                    "name": spec.name,
                    "description": spec.description,
                    "role": spec.access.role.value,
                    "scope": spec.scope,
                },
            )
            await _grant(connection, claim.account, service_account, spec.access.namespaces)
            # It has no key that a cell could know.
            return Changed(service_account, in_cells=False)

        return await change_once(self.pool, claim, make)

    async def update(
        self, claim: Claim, service_account: str, spec: ServiceAccountSpec, version: str
    ) -> AccessOperation:
        """Let it be as `spec` says from now on, unless it is no longer at `version`."""

        async def make(connection: AsyncConnection) -> Changed:
            current = await _current(connection, claim.account, service_account, version)
            if spec.scope != current.scope:
                raise invalid_argument(
                    f"service account {service_account} is for {_reach(current.scope)}, which "
                    f"cannot be changed to {_reach(spec.scope)}: create another one"
                )
            return await _put(connection, claim.account, current, spec)

        operation, _ = await change_once(self.pool, claim, make)
        return operation

    async def set_namespace_access(
        self,
        claim: Claim,
        service_account: str,
        namespace: str,
        permission: Permission | None,
        version: str,
    ) -> AccessOperation:
        """Let it do this in the namespace; None takes away what it was allowed there."""

        async def make(connection: AsyncConnection) -> Changed:
            current = await _current(connection, claim.account, service_account, version)
            if current.scope is not None and (current.scope != namespace or permission is None):
                raise failed_precondition(
                    f"service account {service_account} is for {_reach(current.scope)} and nothing "
                    "else: give it another permission there, or delete it"
                )
            if current.access.everywhere:
                raise failed_precondition(
                    f"service account {service_account} has the account role "
                    f"{current.access.role}, which is admin of every namespace: change its role "
                    "to give it permissions on single ones"
                )
            held = {**current.access.namespaces}
            held.pop(namespace, None)
            if permission is not None:
                held[namespace] = permission
            spec = ServiceAccountSpec(
                current.name,
                current.description,
                replace(current.access, namespaces=held),
                current.scope,
            )
            # The namespace itself, also where a permission that is not there is to be removed.
            await check_namespaces(connection, claim.account, frozenset({namespace}))
            return await _put(connection, claim.account, current, spec)

        operation, _ = await change_once(self.pool, claim, make)
        return operation

    async def delete(self, claim: Claim, service_account: str, version: str) -> AccessOperation:
        """End it for good, with its keys."""

        async def make(connection: AsyncConnection) -> Changed:
            await _current(connection, claim.account, service_account, version)
            in_cells = await has_keys(connection, service_account)
            for statement in (_REVOKE_KEYS, _FORGET, _DELETE):
                await connection.execute(statement, (service_account,))
            return Changed(service_account, in_cells)

        operation, _ = await change_once(self.pool, claim, make)
        return operation


def no_such_service_account(service_account: str) -> Exception:
    return not_found(f"service account {service_account[:100]!r} not found")


async def _current(
    connection: AsyncConnection, account: str, service_account: str, version: str
) -> ServiceAccount:
    """Return what is to be changed, if it is still what the caller read."""
    current = await read_service_account(connection, account, service_account)
    if current is None:
        raise no_such_service_account(service_account)
    check_version(f"service account {service_account}", version, current.resource_version)
    return current


async def _put(
    connection: AsyncConnection, account: str, current: ServiceAccount, spec: ServiceAccountSpec
) -> Changed:
    """Write what differs; with nothing that does, say so."""
    same_access = spec.access == current.access
    if same_access and (spec.name, spec.description) == (current.name, current.description):
        raise nothing_to_change(f"service account {current.id}")
    await _check(connection, account, current.id, spec)
    await connection.execute(
        _UPDATE,
        {
            "id": current.id,
            "name": spec.name,
            "description": spec.description,
            "role": spec.access.role.value,
        },
    )
    await connection.execute(_FORGET, (current.id,))
    await _grant(connection, account, current.id, spec.access.namespaces)
    return Changed(current.id, not same_access and await has_keys(connection, current.id))


async def _check(
    connection: AsyncConnection, account: str, service_account: str, spec: ServiceAccountSpec
) -> None:
    """Refuse a name in use, and namespaces that the account does not have."""
    taken = await connection.execute(_NAMED, (account, spec.name, service_account))
    if await taken.fetchone() is not None:
        raise already_exists(
            f"account {account} has a service account named {spec.name!r}: choose another name"
        )
    await check_namespaces(connection, account, frozenset(spec.access.namespaces))


async def _grant(
    connection: AsyncConnection,
    account: str,
    service_account: str,
    namespaces: Mapping[str, Permission],
) -> None:
    async with connection.cursor() as cursor:
        await cursor.executemany(
            _GRANT,
            [(service_account, name, account, what.value) for name, what in namespaces.items()],
        )


def _reach(scope: str | None) -> str:
    return "the whole account" if scope is None else f"namespace {scope}"
