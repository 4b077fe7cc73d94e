"""Roles and databases of a PostgreSQL server, made by a role that may be no superuser.

The first role of a server that a cloud runs may create roles and databases, and no more. Made for
PostgreSQL 16 and later, where one who creates a role administers it.
"""

from typing import Literal

from psycopg import AsyncConnection, sql

RoleAttribute = Literal["CREATEROLE"]


async def ensure_role(
    connection: AsyncConnection, role: str, password: str, *attributes: RoleAttribute
) -> None:
    """Create a login role with `attributes` (say `CREATEROLE`), or give it this password."""
    row = await (
        await connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,))
    ).fetchone()
    # Hashed here: the server's log and statistics never see the password.
    verifier = connection.pgconn.encrypt_password(
        password.encode(), role.encode(), b"scram-sha-256"
    ).decode()
    await connection.execute(
        sql.SQL("{verb} ROLE {role} LOGIN {attributes} PASSWORD {verifier}").format(
            verb=sql.SQL("CREATE" if row is None else "ALTER"),
            role=sql.Identifier(role),
            attributes=sql.SQL(" ").join(sql.SQL(a) for a in attributes),
            verifier=sql.Literal(verifier),
        )
    )


async def ensure_database(connection: AsyncConnection, name: str, owner: str) -> None:
    """Create a database that only its owner may connect to, and whom the owner lets in."""
    row = await (
        await connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
    ).fetchone()
    await _act_for(connection, owner)
    database = sql.Identifier(name)
    if row is None:
        # Copying the template's files instead forces checkpoints, which can take a second.
        await connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} STRATEGY wal_log").format(
                database, sql.Identifier(owner)
            )
        )
    await connection.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(database))


async def keep_everybody_out(connection: AsyncConnection) -> None:
    """Close the databases that every server has: PostgreSQL lets everybody in there, tenants' roles
    too. Where they are not ours to close, the cloud says who enters."""
    for maintenance in ("postgres", "template1"):
        await connection.execute(
            sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(maintenance))
        )


async def _act_for(connection: AsyncConnection, role: str) -> None:
    """Let the connection's role, where it is no superuser, do what the other one may."""
    await connection.execute(
        sql.SQL(
            "DO $$ BEGIN IF NOT pg_has_role({role}, 'SET') THEN "
            "GRANT {identifier} TO CURRENT_USER; END IF; END $$"
        ).format(role=sql.Literal(role), identifier=sql.Identifier(role))
    )
