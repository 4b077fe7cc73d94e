"""A namespace's roles in its cell's PostgreSQL: a group with access to its rows, two logins in it.

What roles should be is written down here once: they are made by it, and compared with it. Made for
PostgreSQL 16 and later, where one who may create roles administers those it has created alone.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from psycopg import AsyncConnection, sql
from psycopg.rows import class_row

from controlplane.ids import database_role

SESSIONS_PER_LOGIN = 8
"""So that one namespace cannot use up its cell's connections."""

_GOODBYE_MILLISECONDS = 2000
"""How long to wait for a session of a removed role to end."""

# Memberships are written as text, with what is special about them: an option too many or too few
# makes another one of it.
_ROLES = """
SELECT role.rolname AS name, role.rolcanlogin AS may_log_in, role.rolconnlimit AS sessions,
       array_remove(ARRAY[
           CASE WHEN role.rolsuper THEN 'SUPERUSER' END,
           CASE WHEN role.rolcreaterole THEN 'CREATEROLE' END,
           CASE WHEN role.rolcreatedb THEN 'CREATEDB' END,
           CASE WHEN role.rolreplication THEN 'REPLICATION' END,
           CASE WHEN role.rolbypassrls THEN 'BYPASSRLS' END,
           CASE WHEN NOT role.rolinherit THEN 'NOINHERIT' END,
           CASE WHEN role.rolvaliduntil < 'infinity' THEN 'VALID UNTIL' END,
           CASE WHEN EXISTS (SELECT FROM pg_db_role_setting WHERE setrole = role.oid)
                THEN 'settings of its own' END,
           CASE WHEN EXISTS (SELECT FROM pg_shdepend
                             WHERE refclassid = 'pg_authid'::regclass AND refobjid = role.oid
                               AND deptype = 'a') THEN 'privileges of its own' END
       ], NULL) AS extras,
       ARRAY(SELECT DISTINCT granted.rolname
                 || CASE WHEN held.admin_option THEN ' with admin option' ELSE '' END
                 || CASE WHEN held.inherit_option THEN '' ELSE ' without inheriting' END
             FROM pg_auth_members held JOIN pg_roles granted ON granted.oid = held.roleid
             WHERE held.member = role.oid) AS member_of,
       ARRAY(SELECT DISTINCT member.rolname::text
             FROM pg_auth_members held JOIN pg_roles member ON member.oid = held.member
             WHERE held.roleid = role.oid AND member.rolname <> current_user) AS members
FROM pg_roles role WHERE role.rolname = ANY(%s)
"""


@dataclass(frozen=True)
class TenantRoles:
    """How the roles of one replica of a namespace are called."""

    group: str

    @classmethod
    def of(cls, namespace: str, replica: int = 0) -> "TenantRoles":
        return cls(database_role(namespace, replica))

    @property
    def logins(self) -> tuple[str, str]:
        return f"{self.group}:a", f"{self.group}:b"

    @property
    def all(self) -> tuple[str, str, str]:
        return (*self.logins, self.group)

    def following(self, login: str) -> str:
        """Return the login whose turn it is after this one."""
        first, second = self.logins
        return second if login == first else first


@dataclass(frozen=True)
class Flaw:
    """One way in which a role is not as we make it."""

    role: str
    what: str
    anew: bool
    """Whether the role must be made anew: what was added to it may not be ours to take back."""

    def __str__(self) -> str:
        return f"role {self.role} {self.what}"


async def flaws(connection: AsyncConnection, roles: TenantRoles) -> list[Flaw]:
    """Return what is wrong with any of the roles. Whether a login lets anybody in is not."""
    found = await _read(connection, roles)
    tenants = _tenants(connection)
    problems: list[Flaw] = []
    for name in roles.all:
        role = found.get(name)
        if role is None:
            problems.append(Flaw(name, "is missing", anew=True))
        elif name == roles.group:
            problems += _compare(role, group=tenants, members=roles.logins, sessions=-1)
            if role.may_log_in:
                problems.append(Flaw(name, "may log in", anew=True))
        else:
            problems += _compare(role, group=roles.group, members=(), sessions=SESSIONS_PER_LOGIN)
    return problems


async def may_log_in(connection: AsyncConnection, login: str) -> bool:
    rows = await connection.execute("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", (login,))
    row = await rows.fetchone()
    return row is not None and bool(row[0])


async def mend(connection: AsyncConnection, roles: TenantRoles, problems: Sequence[Flaw]) -> None:
    """Make the roles what they should be. Logins made anew let nobody in yet."""
    anew = {flaw.role for flaw in problems if flaw.anew}
    async with connection.transaction():
        await drop(connection, anew)
        if roles.group in anew:
            await connection.execute(
                sql.SQL("CREATE ROLE {} NOLOGIN IN ROLE {}").format(
                    sql.Identifier(roles.group), sql.Identifier(_tenants(connection))
                )
            )
        for login in roles.logins:
            if login in anew:
                await connection.execute(
                    sql.SQL("CREATE ROLE {} NOLOGIN CONNECTION LIMIT {}").format(
                        sql.Identifier(login), sql.Literal(SESSIONS_PER_LOGIN)
                    )
                )
        await _grant(connection, _tenants(connection), roles.group)
        await _grant(connection, roles.group, *roles.logins)


async def let_in(connection: AsyncConnection, login: str, password: str) -> None:
    """Open the login to whoever has the password."""
    # Hashed here: the server's log and statistics never see the password.
    verifier = connection.pgconn.encrypt_password(
        password.encode(), login.encode(), b"scram-sha-256"
    )
    await connection.execute(
        sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(
            sql.Identifier(login), sql.Literal(verifier.decode())
        )
    )


async def shut_out(connection: AsyncConnection, roles: TenantRoles) -> None:
    """Let no session of the namespace begin any more. Committed before the open ones are ended."""
    existing = await _existing(connection, roles.logins)
    for login in existing:
        await connection.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(sql.Identifier(login)))


async def drop(connection: AsyncConnection, roles: Collection[str]) -> None:
    """End the roles' sessions; remove the roles and all that they own."""
    existing = await _existing(connection, roles)
    if not existing:
        return
    names = sql.SQL(", ").join(sql.Identifier(name) for name in existing)
    # One who may create roles may administer them, but needs to be a member of them to end their
    # sessions and drop what they own (a large object, say).
    await connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(names))
    await connection.execute(
        "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity WHERE usename = ANY(%s)",
        (_GOODBYE_MILLISECONDS, existing),
    )
    await connection.execute(sql.SQL("DROP OWNED BY {}").format(names))
    await connection.execute(sql.SQL("DROP ROLE {}").format(names))


@dataclass(frozen=True)
class _Role:
    name: str
    may_log_in: bool
    sessions: int
    extras: list[str]
    member_of: list[str]
    members: list[str]


async def _read(connection: AsyncConnection, roles: TenantRoles) -> dict[str, _Role]:
    cursor = connection.cursor(row_factory=class_row(_Role))
    await cursor.execute(_ROLES, (list(roles.all),))
    return {role.name: role async for role in cursor}


def _compare(role: _Role, *, group: str, members: Collection[str], sessions: int) -> Iterator[Flaw]:
    if role.extras:
        yield Flaw(role.name, f"has {', '.join(role.extras)}", anew=True)
    if role.sessions != sessions:
        yield Flaw(role.name, f"may have {role.sessions} sessions, not {sessions}", anew=True)
    if group not in role.member_of:
        yield Flaw(role.name, f"is not a member of {group}", anew=False)
    for other in sorted(set(role.member_of) - {group}):
        yield Flaw(role.name, f"is a member of {other}", anew=True)
    for other in sorted(set(role.members) - set(members)):
        yield Flaw(role.name, f"has the member {other}", anew=True)


async def _existing(connection: AsyncConnection, roles: Collection[str]) -> list[str]:
    cursor = await connection.execute(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s) ORDER BY rolname", (list(roles),)
    )
    return [row[0] for row in await cursor.fetchall()]


async def _grant(connection: AsyncConnection, group: str, *members: str) -> None:
    await connection.execute(
        sql.SQL("GRANT {} TO {}").format(
            sql.Identifier(group), sql.SQL(", ").join(map(sql.Identifier, members))
        )
    )


def _tenants(connection: AsyncConnection) -> str:
    """Return the role of all tenants of the database."""
    return f"tenants:{connection.info.dbname}"
