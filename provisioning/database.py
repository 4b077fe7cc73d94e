"""A namespace's record and roles in its cell's PostgreSQL database (`cells/ingress/schema.sql`).

A namespace has a group role and two login roles in it, of which one has the current credential.
Rotation gives the other login a new password and then makes it the current one: whoever holds the
credential of before keeps access until the next rotation, so there is no gap.
"""

import contextlib
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import LiteralString

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import class_row

from controlplane.errors import rejected
from controlplane.ids import database_role
from controlplane.secrets.port import SecretStore, namespace_database
from provisioning.connections import CellConnections
from provisioning.ports import Incarnation
from provisioning.types import DatabaseFacts

_PASSWORD_BYTES = 24
_SESSIONS_PER_LOGIN = 8
"""So that one namespace cannot use up its cell's connections."""
_GOODBYE_MILLISECONDS = 2000
"""How long to wait for a session of a removed namespace to end."""


@dataclass(frozen=True)
class Credential:
    """What the secret store holds for a namespace's access to its own rows."""

    username: str
    password: str = field(repr=False)

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
            record = await _read(connection, target)
            if record is None:
                return _facts(target, await self._create(connection, target, server_name))
            _refuse_another(target, record)
            recreated = await _ensure_roles(connection, record.role)
            if record.login in recreated or await self._credential(target) is None:
                record = await self._replace_credential(connection, target, record)
            return _facts(target, record)

    async def rotate(self, target: Incarnation, replaces: datetime) -> DatabaseFacts:
        async with self._alone_with(target) as connection:
            record = await _read(connection, target)
            if record is None:
                raise rejected(
                    f"cell {target.cell} has no record of namespace {target.namespace} "
                    "whose credential could be rotated"
                )
            _refuse_another(target, record)
            if record.rotated_at == replaces:
                record = await self._replace_credential(connection, target, record)
            return _facts(target, record)

    async def remove(self, target: Incarnation) -> None:
        async with self._alone_with(target) as connection:
            record = await _read(connection, target)
            if record is not None and record.uid != target.uid:
                return
            # First, while the record still keeps others off: without it, the credential may
            # already be that of a namespace recreated under the same name.
            await self._secrets.delete(namespace_database(target.namespace))
            if record is not None:
                await _shut_out(connection, record.role)
                await _drop(connection, target, record.role)

    async def observe(self, target: Incarnation) -> DatabaseFacts | None:
        async with self._connections.to(target.cell) as connection:
            record = await _read(connection, target)
            if record is None or record.uid != target.uid:
                return None
            complete = set(_roles(record.role)) == await _existing_roles(connection, record.role)
        if not complete or await self._credential(target) is None:
            return None
        return _facts(target, record)

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
    ) -> "_Record":
        role = database_role(target.namespace)
        first, _ = _logins(role)
        credential = Credential(first, secrets.token_urlsafe(_PASSWORD_BYTES))
        # Before the role gets it: when we die in between, nobody has used it yet and the next
        # call writes another.
        await self._secrets.put(namespace_database(target.namespace), credential.to_json())
        try:
            async with connection.transaction():
                record = await _write(
                    connection,
                    "INSERT INTO namespaces (namespace, uid, role, login, server_name)"
                    " VALUES (%s, %s, %s, %s, %s) RETURNING uid, role, login, rotated_at",
                    (target.namespace, target.uid, role, first, server_name),
                )
                await _ensure_roles(connection, role)
                await _let_in(connection, credential)
        except psycopg.errors.InsufficientPrivilege as error:
            raise rejected(
                f"the database server of cell {target.cell} has a role {role} that is not the "
                f"cell's own: {error.diag.message_primary}. Remove that role first"
            ) from error
        return record

    async def _replace_credential(
        self, connection: AsyncConnection, target: Incarnation, record: "_Record"
    ) -> "_Record":
        """Make the other login the current one, with a new password."""
        first, second = _logins(record.role)
        following = second if record.login == first else first
        credential = await self._credential(target)
        # It is the following one already when an earlier call died right after switching.
        # Clients use it by now: it must not change again.
        if credential is None or credential.username != following:
            credential = Credential(following, secrets.token_urlsafe(_PASSWORD_BYTES))
            await _let_in(connection, credential)
            await self._secrets.put(namespace_database(target.namespace), credential.to_json())
        return await _write(
            connection,
            "UPDATE namespaces SET login = %s, rotated_at = now(), updated_at = now()"
            " WHERE namespace = %s AND uid = %s RETURNING uid, role, login, rotated_at",
            (following, target.namespace, target.uid),
        )

    async def _credential(self, target: Incarnation) -> Credential | None:
        value = await self._secrets.get(namespace_database(target.namespace))
        return None if value is None else Credential.from_json(value)


@dataclass(frozen=True)
class _Record:
    uid: str
    role: str
    login: str
    rotated_at: datetime


def _logins(role: str) -> tuple[str, str]:
    return f"{role}:a", f"{role}:b"


def _roles(role: str) -> tuple[str, str, str]:
    return (*_logins(role), role)


def _facts(target: Incarnation, record: _Record) -> DatabaseFacts:
    return DatabaseFacts(
        role=record.role,
        credential=namespace_database(target.namespace),
        login=record.login,
        rotated_at=record.rotated_at,
    )


def _refuse_another(target: Incarnation, record: _Record) -> None:
    if record.uid != target.uid:
        raise rejected(
            f"cell {target.cell} has a record of namespace {target.namespace} with uid "
            f"{record.uid}, not {target.uid}: delete that namespace first"
        )


async def _read(connection: AsyncConnection, target: Incarnation) -> _Record | None:
    cursor = connection.cursor(row_factory=class_row(_Record))
    await cursor.execute(
        "SELECT uid, role, login, rotated_at FROM namespaces WHERE namespace = %s",
        (target.namespace,),
    )
    return await cursor.fetchone()


async def _write(
    connection: AsyncConnection, statement: LiteralString, values: tuple[str, ...]
) -> _Record:
    cursor = connection.cursor(row_factory=class_row(_Record))
    await cursor.execute(statement, values)
    written = await cursor.fetchone()
    if written is None:
        raise LookupError("the namespace's record was removed by hand while it was worked on")
    return written


async def _existing_roles(connection: AsyncConnection, role: str) -> set[str]:
    cursor = await connection.execute(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", (list(_roles(role)),)
    )
    return {row[0] for row in await cursor.fetchall()}


async def _ensure_roles(connection: AsyncConnection, role: str) -> set[str]:
    """Create what is missing of the namespace's roles, letting nobody in, and return its names."""
    missing = set(_roles(role)) - await _existing_roles(connection, role)
    if role in missing:
        tenants = f"tenants:{connection.info.dbname}"
        await connection.execute(
            sql.SQL("CREATE ROLE {} NOLOGIN IN ROLE {}").format(
                sql.Identifier(role), sql.Identifier(tenants)
            )
        )
    for login in _logins(role):
        if login in missing:
            await connection.execute(
                sql.SQL("CREATE ROLE {} NOLOGIN CONNECTION LIMIT {}").format(
                    sql.Identifier(login), sql.Literal(_SESSIONS_PER_LOGIN)
                )
            )
    if missing:
        await connection.execute(
            sql.SQL("GRANT {} TO {}").format(
                sql.Identifier(role), sql.SQL(", ").join(map(sql.Identifier, _logins(role)))
            )
        )
    return missing


async def _let_in(connection: AsyncConnection, credential: Credential) -> None:
    # Hashed here: the server's log and statistics never see the password.
    verifier = connection.pgconn.encrypt_password(
        credential.password.encode(), credential.username.encode(), b"scram-sha-256"
    )
    await connection.execute(
        sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(
            sql.Identifier(credential.username), sql.Literal(verifier.decode())
        )
    )


async def _shut_out(connection: AsyncConnection, role: str) -> None:
    """Let no session of the namespace begin any more. Committed before the open ones are ended."""
    existing = await _existing_roles(connection, role)
    for login in _logins(role):
        if login in existing:
            await connection.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(sql.Identifier(login)))


async def _drop(connection: AsyncConnection, target: Incarnation, role: str) -> None:
    """End the namespace's sessions; remove its record, its roles and all that they own."""
    roles = sorted(await _existing_roles(connection, role))
    async with connection.transaction():
        if roles:
            names = sql.SQL(", ").join(sql.Identifier(name) for name in roles)
            # One who may create roles may administer them, but needs to be a member of them to
            # end their sessions and drop what they own (a large object, say).
            await connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(names))
            await connection.execute(
                "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity"
                " WHERE usename = ANY(%s)",
                (_GOODBYE_MILLISECONDS, roles),
            )
            await connection.execute(sql.SQL("DROP OWNED BY {}").format(names))
            await connection.execute(sql.SQL("DROP ROLE {}").format(names))
        await connection.execute(
            "DELETE FROM namespaces WHERE namespace = %s AND uid = %s",
            (target.namespace, target.uid),
        )
