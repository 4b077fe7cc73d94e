"""A namespace's record and roles in its cell's PostgreSQL database (`cells/ingress/schema.sql`).

A namespace has a group role and two login roles in it, of which one has the current credential.
Rotation gives the other login a new password and then makes it the current one: whoever holds the
credential of before keeps access until the next rotation, so there is no gap.
"""

import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime

import psycopg
from psycopg import AsyncConnection

from controlplane.errors import rejected
from controlplane.secrets.port import SecretStore, namespace_database
from provisioning import database_records, database_roles
from provisioning.connections import CellConnections
from provisioning.database_records import Record
from provisioning.database_roles import TenantRoles
from provisioning.ports import Incarnation
from provisioning.types import DatabaseFacts

_PASSWORD_BYTES = 24


@dataclass(frozen=True)
class Credential:
    """What the secret store holds for a namespace's access to its own rows."""

    username: str
    password: str = field(repr=False)

    @classmethod
    def new(cls, username: str) -> "Credential":
        return cls(username, secrets.token_urlsafe(_PASSWORD_BYTES))

    def to_json(self) -> bytes:
        return json.dumps({"username": self.username, "password": self.password}).encode()

    @classmethod
    def from_json(cls, value: bytes) -> "Credential":
        parsed = json.loads(value)
        return cls(parsed["username"], parsed["password"])


class PostgresDatabases:
    """Keeps records, roles and credentials: `provisioning.ports.Databases`."""

    def __init__(self, connections: CellConnections, secrets: SecretStore) -> None:
        self._connections = connections
        self._secrets = secrets

    async def prepare(self, target: Incarnation, server_name: str) -> DatabaseFacts:
        async with self._alone_with(target) as connection:
            record = await database_records.read(connection, target)
            if record is None:
                await database_records.refuse_removed(connection, target)
                return _facts(target, await self._create(connection, target, server_name))
            database_records.refuse_another(target, record)
            return _facts(target, await self._mend(connection, target, record, server_name))

    async def rotate(self, target: Incarnation, replaces: datetime) -> DatabaseFacts:
        async with self._alone_with(target) as connection:
            record = await database_records.read(connection, target)
            if record is None:
                raise rejected(
                    f"cell {target.cell} has no record of namespace {target.namespace} "
                    "whose credential could be rotated"
                )
            database_records.refuse_another(target, record)
            if record.rotated_at == replaces:
                record = await self._replace_credential(connection, target, record.login)
            return _facts(target, record)

    async def remove(self, target: Incarnation) -> None:
        roles = _roles(target)
        async with self._alone_with(target) as connection:
            record = await database_records.read(connection, target)
            if record is not None and record.uid != target.record_uid:
                return
            # First, while the record still keeps others off: without it, the credential may
            # already be that of a namespace recreated under the same name.
            await self._secrets.delete(_secret(target))
            if record is not None:
                with _administering(target):
                    await database_roles.shut_out(connection, roles)
            async with connection.transaction():
                if record is not None:
                    with _administering(target):
                        await database_roles.drop(connection, roles.all)
                await database_records.remove(connection, target)

    async def observe(self, target: Incarnation) -> DatabaseFacts | None:
        async with self._connections.to(target.cell) as connection:
            record = await database_records.read(connection, target)
            if record is None or record.uid != target.record_uid:
                return None
            roles = _roles(target)
            flaws = _record_flaws(record, roles)
            flaws += map(str, await database_roles.flaws(connection, roles))
            if not flaws:
                flaws += await self._credential_flaws(connection, target, record)
        return _facts(target, record, "; ".join(flaws))

    @contextlib.asynccontextmanager
    async def _alone_with(self, target: Incarnation) -> AsyncIterator[AsyncConnection]:
        """Lend a connection while every other call for the namespace waits.

        The lock belongs to the session: the database releases it when this process dies.
        """
        async with self._connections.to(target.cell) as connection:
            key = (f"namespace {target.namespace}",)
            try:
                await connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", key)
                yield connection
            finally:
                if not connection.closed:
                    await connection.execute(
                        "SELECT pg_advisory_unlock(hashtextextended(%s, 0))", key
                    )

    async def _create(
        self, connection: AsyncConnection, target: Incarnation, server_name: str
    ) -> Record:
        roles = _roles(target)
        credential = Credential.new(roles.logins[0])
        # Before the role gets it: when we die in between, nobody has used it yet and the next
        # call writes another.
        await self._secrets.put(_secret(target), credential.to_json())
        with _administering(target):
            async with connection.transaction():
                record = await database_records.insert(
                    connection, target, roles.group, credential.username, server_name
                )
                flaws = await database_roles.flaws(connection, roles)
                await database_roles.mend(connection, roles, flaws)
                await database_roles.let_in(connection, credential.username, credential.password)
        return record

    async def _mend(
        self,
        connection: AsyncConnection,
        target: Incarnation,
        record: Record,
        server_name: str,
    ) -> Record:
        """Make everything what it should be. A credential that is in use stays the same."""
        roles = _roles(target)
        flaws = await database_roles.flaws(connection, roles)
        if flaws:
            with _administering(target):
                await database_roles.mend(connection, roles, flaws)
        if _record_flaws(record, roles) or record.server_name != server_name:
            login = record.login if record.login in roles.logins else roles.logins[0]
            record = await database_records.correct(
                connection, target, roles.group, login, server_name
            )
        if not await self._credential_flaws(connection, target, record):
            return record
        credential = await self._credential(target)
        if credential is None:
            return await self._replace_credential(connection, target, record.login)
        # Whoever has the secret must get in by it.
        await database_roles.let_in(connection, credential.username, credential.password)
        if record.login == credential.username:
            return record
        return await database_records.switch(connection, target, credential.username)

    async def _replace_credential(
        self, connection: AsyncConnection, target: Incarnation, login: str
    ) -> Record:
        """Make the other login the current one, with a new password."""
        following = _roles(target).following(login)
        credential = await self._credential(target)
        # It is the following one already when an earlier call died right after switching.
        # Clients use it by now: it must not change again.
        if credential is None or credential.username != following:
            credential = Credential.new(following)
            await database_roles.let_in(connection, credential.username, credential.password)
            await self._secrets.put(_secret(target), credential.to_json())
        return await database_records.switch(connection, target, following)

    async def _credential(self, target: Incarnation) -> Credential | None:
        """Return the current credential; None also for what is none, or somebody else's."""
        value = await self._secrets.get(_secret(target))
        try:
            credential = None if value is None else Credential.from_json(value)
        except (ValueError, KeyError, TypeError):
            return None
        logins = _roles(target).logins
        return credential if credential is not None and credential.username in logins else None

    async def _credential_flaws(
        self, connection: AsyncConnection, target: Incarnation, record: Record
    ) -> list[str]:
        """Return why nobody gets in as the record's login with the stored credential."""
        credential = await self._credential(target)
        if credential is None:
            return [f"the secret store has no credential {_secret(target)}"]
        if credential.username != record.login:
            return [
                f"the credential in the secret store is for {credential.username}, the record's "
                f"login is {record.login}"
            ]
        if not await database_roles.may_log_in(connection, credential.username):
            return [f"role {credential.username} may not log in"]
        if await self._connections.refuses(target.cell, credential.username, credential.password):
            return [
                f"role {credential.username} has another password than that in the secret store"
            ]
        return []


def _roles(target: Incarnation) -> TenantRoles:
    return TenantRoles.of(target.namespace, target.replica)


def _secret(target: Incarnation) -> str:
    """Return where the credential is kept."""
    return namespace_database(target.namespace, target.replica)


def _facts(target: Incarnation, record: Record, flaw: str = "") -> DatabaseFacts:
    return DatabaseFacts(
        role=record.role,
        credential=_secret(target),
        login=record.login,
        rotated_at=record.rotated_at,
        flaw=flaw,
    )


def _record_flaws(record: Record, roles: TenantRoles) -> list[str]:
    """Return what the record says that it should not; its server name is the ingress's to see."""
    flaws = []
    if record.role != roles.group:
        flaws.append(f"the record names the role {record.role}, not {roles.group}")
    if record.login not in roles.logins:
        flaws.append(f"the record names the login {record.login}, not {' or '.join(roles.logins)}")
    return flaws


@contextlib.contextmanager
def _administering(target: Incarnation) -> Iterator[None]:
    """Say what to do about a role that is beyond the control plane's own rights."""
    try:
        yield
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.DependentObjectsStillExist) as e:
        names = ", ".join(_roles(target).all)
        raise rejected(
            f"a role of namespace {target.namespace} in cell {target.cell} is not the cell's own "
            f"any more: {e.diag.message_primary}"
            f"{f' ({e.diag.message_detail})' if e.diag.message_detail else ''}. Look at {names} "
            "as a superuser, and remove what is not to be"
        ) from e
