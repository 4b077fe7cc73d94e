"""A namespace's record in its cell's database: what of it is about its roles, not its ingress."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import LiteralString

from psycopg import AsyncConnection
from psycopg.rows import class_row

from controlplane.errors import rejected
from provisioning.ports import Incarnation

_REMOVALS_KEPT = timedelta(days=1)
"""Much longer than a call can be late."""

_READ = """
SELECT uid, role, login, server_name, rotated_at FROM namespaces WHERE namespace = %(namespace)s
"""
_INSERT = """
INSERT INTO namespaces (namespace, uid, role, login, server_name)
VALUES (%(namespace)s, %(uid)s, %(role)s, %(login)s, %(server_name)s)
RETURNING uid, role, login, server_name, rotated_at
"""
_CORRECT = """
UPDATE namespaces
SET role = %(role)s, login = %(login)s, server_name = %(server_name)s, updated_at = now()
WHERE namespace = %(namespace)s AND uid = %(uid)s
RETURNING uid, role, login, server_name, rotated_at
"""
_SWITCH = """
UPDATE namespaces SET login = %(login)s, rotated_at = now(), updated_at = now()
WHERE namespace = %(namespace)s AND uid = %(uid)s
RETURNING uid, role, login, server_name, rotated_at
"""


@dataclass(frozen=True)
class Record:
    uid: str
    role: str
    login: str
    """The login role that has the current credential."""
    server_name: str
    rotated_at: datetime


async def read(connection: AsyncConnection, target: Incarnation) -> Record | None:
    """Return the record of that name, whoever's it is."""
    cursor = connection.cursor(row_factory=class_row(Record))
    await cursor.execute(_READ, {"namespace": target.namespace})
    return await cursor.fetchone()


async def insert(
    connection: AsyncConnection, target: Incarnation, role: str, login: str, server_name: str
) -> Record:
    """Write a record that admits nobody."""
    values = {"role": role, "login": login, "server_name": server_name}
    return await _write(connection, _INSERT, target, values)


async def correct(
    connection: AsyncConnection, target: Incarnation, role: str, login: str, server_name: str
) -> Record:
    values = {"role": role, "login": login, "server_name": server_name}
    return await _write(connection, _CORRECT, target, values)


async def switch(connection: AsyncConnection, target: Incarnation, login: str) -> Record:
    """Make the login the one that has the current credential, as of now."""
    return await _write(connection, _SWITCH, target, {"login": login})


async def remove(connection: AsyncConnection, target: Incarnation) -> None:
    """Remove the record, if there is one, and note that the incarnation is gone for good."""
    await connection.execute(
        "DELETE FROM namespaces WHERE namespace = %s AND uid = %s",
        (target.namespace, target.record_uid),
    )
    await connection.execute("DELETE FROM removed WHERE removed_at < now() - %s", (_REMOVALS_KEPT,))
    await connection.execute(
        "INSERT INTO removed (uid) VALUES (%s) ON CONFLICT (uid) DO UPDATE SET removed_at = now()",
        (target.record_uid,),
    )


def refuse_another(target: Incarnation, record: Record) -> None:
    if record.uid != target.record_uid:
        raise rejected(
            f"cell {target.cell} has a record of namespace {target.namespace} with uid "
            f"{record.uid}, not {target.record_uid}: delete that namespace first"
        )


async def refuse_removed(connection: AsyncConnection, target: Incarnation) -> None:
    """A call that was under way when the record was removed must not bring it back."""
    rows = await connection.execute("SELECT FROM removed WHERE uid = %s", (target.record_uid,))
    if await rows.fetchone() is not None:
        raise rejected(
            f"namespace {target.namespace} with uid {target.record_uid} was removed from cell "
            f"{target.cell}: create it again, which gives it another uid"
        )


async def _write(
    connection: AsyncConnection,
    statement: LiteralString,
    target: Incarnation,
    values: dict[str, str],
) -> Record:
    cursor = connection.cursor(row_factory=class_row(Record))
    await cursor.execute(
        statement, {"namespace": target.namespace, "uid": target.record_uid, **values}
    )
    written = await cursor.fetchone()
    if written is None:
        raise LookupError("the namespace's record was removed by hand while it was worked on")
    return written
