"""What was changed in a cell's real PostgreSQL behind our back is seen, said and mended."""

from collections.abc import AsyncIterator
from typing import LiteralString

import psycopg
import pytest
from psycopg import AsyncConnection, sql
from psycopg.conninfo import make_conninfo
from temporalio.exceptions import ApplicationError

from controlplane.errors import ErrorType
from controlplane.secrets.port import namespace_database
from provisioning.database import Credential
from provisioning.ports import Incarnation
from tests.postgres import RunningPostgres
from tests.provisioning.cell_databases import query
from tests.provisioning.database_world import World, host, incarnation, running_world


@pytest.fixture(scope="module")
async def world(postgres: RunningPostgres) -> AsyncIterator[World]:
    async with running_world(postgres) as world:
        yield world


@pytest.fixture
def target() -> Incarnation:
    return incarnation()


async def tamper(
    postgres: RunningPostgres, world: World, target: Incarnation, statement: LiteralString
) -> None:
    """Run a statement as superuser in the cell's database; names in braces stand for roles."""
    group = f"ns:{target.namespace}"
    composed = sql.SQL(statement).format(
        group=sql.Identifier(group),
        a=sql.Identifier(f"{group}:a"),
        b=sql.Identifier(f"{group}:b"),
        tenants=sql.Identifier(f"tenants:{world.cell.name}"),
        owner=sql.Identifier(world.cell.owner),
        namespace=sql.Literal(target.namespace),
    )
    conninfo = make_conninfo(postgres.conninfo, dbname=world.cell.name)
    async with await AsyncConnection.connect(conninfo, autocommit=True) as superuser:
        await superuser.execute(composed)


async def assert_whole(world: World, target: Incarnation) -> None:
    """The tenant gets in by the stored credential and sees its own record."""
    facts = await world.databases.observe(target)
    assert facts is not None
    assert facts.flaw == ""
    login = world.login(await world.credential(target))
    assert facts.login == (await world.credential(target)).username
    assert await query(login, "SELECT namespace FROM namespaces") == [(target.namespace,)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await query(login, "SELECT sealed_key FROM namespaces")


FLAWS: dict[LiteralString, str] = {
    "DROP ROLE {group}": "role {group} is missing",
    "DROP ROLE {a}": "role {group}:a is missing",
    "DROP ROLE {b}": "role {group}:b is missing",
    "DROP ROLE {a}, {b}, {group}": "role {group} is missing",
    "ALTER ROLE {a} NOLOGIN": "role {group}:a may not log in",
    "ALTER ROLE {a} PASSWORD 'guessed'": "role {group}:a has another password",
    "ALTER ROLE {a} PASSWORD NULL": "role {group}:a has another password",
    "ALTER ROLE {a} VALID UNTIL '2020-01-01'": "role {group}:a has VALID UNTIL",
    "ALTER ROLE {a} CREATEROLE": "role {group}:a has CREATEROLE",
    "ALTER ROLE {b} CREATEDB": "role {group}:b has CREATEDB",
    "ALTER ROLE {group} BYPASSRLS": "role {group} has BYPASSRLS",
    "ALTER ROLE {a} REPLICATION": "role {group}:a has REPLICATION",
    "ALTER ROLE {a} NOINHERIT": "role {group}:a has NOINHERIT",
    "ALTER ROLE {a} CONNECTION LIMIT -1": "role {group}:a may have -1 sessions, not 8",
    "ALTER ROLE {a} SET statement_timeout = '1s'": "role {group}:a has settings of its own",
    "ALTER ROLE {group} LOGIN": "role {group} may log in",
    "REVOKE {tenants} FROM {group} GRANTED BY {owner}": "role {group} is not a member of tenants:",
    "REVOKE {group} FROM {a} GRANTED BY {owner}": "role {group}:a is not a member of {group}",
    "GRANT pg_read_all_data TO {group}": "role {group} is a member of pg_read_all_data",
    "GRANT {group} TO {a} WITH ADMIN OPTION": "role {group}:a is a member of {group} with admin",
    "GRANT SELECT ON namespaces TO {a}": "role {group}:a has privileges of its own",
    "UPDATE namespaces SET login = 'x' WHERE namespace = {namespace}": "names the login x, not",
    "UPDATE namespaces SET role = 'x' WHERE namespace = {namespace}": "names the role x, not",
}


@pytest.mark.parametrize("statement", FLAWS)
async def test_a_flaw_is_seen_said_and_mended(
    world: World, target: Incarnation, postgres: RunningPostgres, statement: LiteralString
) -> None:
    prepared = await world.databases.prepare(target, host(target))
    credential = await world.credential(target)
    await tamper(postgres, world, target, statement)

    seen = await world.databases.observe(target)
    assert seen is not None
    assert FLAWS[statement].format(group=f"ns:{target.namespace}") in seen.flaw
    assert credential.password not in seen.flaw

    assert await world.databases.prepare(target, host(target)) == prepared
    await assert_whole(world, target)
    assert await world.credential(target) == credential, "clients keep what they have"


async def test_a_superuser_is_beyond_mending_and_named(
    world: World, target: Incarnation, postgres: RunningPostgres
) -> None:
    await world.databases.prepare(target, host(target))
    await tamper(postgres, world, target, "ALTER ROLE {a} SUPERUSER")

    seen = await world.databases.observe(target)
    assert seen is not None
    assert "has SUPERUSER" in seen.flaw
    with pytest.raises(ApplicationError, match="as a superuser, and remove what") as refused:
        await world.databases.prepare(target, host(target))
    assert refused.value.type == ErrorType.REJECTED

    await tamper(postgres, world, target, "ALTER ROLE {a} NOSUPERUSER")
    await world.databases.prepare(target, host(target))
    await assert_whole(world, target)


async def test_a_role_that_was_let_into_a_namespaces_group_is_thrown_out(
    world: World, target: Incarnation, postgres: RunningPostgres
) -> None:
    await world.databases.prepare(target, host(target))
    other = incarnation()
    await world.databases.prepare(other, host(other))
    intruder = f"ns:{other.namespace}:a"
    async with await AsyncConnection.connect(postgres.conninfo, autocommit=True) as superuser:
        await superuser.execute(
            sql.SQL("GRANT {} TO {}").format(
                sql.Identifier(f"ns:{target.namespace}"), sql.Identifier(intruder)
            )
        )

    mine, its = await world.databases.observe(target), await world.databases.observe(other)
    assert mine is not None
    assert its is not None
    assert f"has the member {intruder}" in mine.flaw
    assert f"is a member of ns:{target.namespace}" in its.flaw

    await world.databases.prepare(target, host(target))
    await assert_whole(world, target)
    await assert_whole(world, other)


async def test_mending_ends_the_sessions_of_a_role_that_could_do_too_much(
    world: World, target: Incarnation, postgres: RunningPostgres
) -> None:
    await world.databases.prepare(target, host(target))
    login = world.login(await world.credential(target))
    async with await AsyncConnection.connect(login, autocommit=True) as session:
        await session.execute("SELECT lo_create(0)")
        await tamper(postgres, world, target, "ALTER ROLE {a} CREATEROLE")
        await world.databases.prepare(target, host(target))
        with pytest.raises(psycopg.OperationalError):
            await session.execute("SELECT 1")
    await assert_whole(world, target)


@pytest.mark.parametrize("kept", [None, b"nonsense", b'{"username": "postgres", "password": "x"}'])
async def test_a_credential_that_is_lost_or_none_of_ours_is_replaced(
    world: World, target: Incarnation, kept: bytes | None
) -> None:
    await world.databases.prepare(target, host(target))
    name = namespace_database(target.namespace)
    await (world.secrets.delete(name) if kept is None else world.secrets.put(name, kept))

    seen = await world.databases.observe(target)
    assert seen is not None
    assert seen.flaw == f"the secret store has no credential {name}"

    await world.databases.prepare(target, host(target))
    await assert_whole(world, target)


async def test_a_credential_for_the_other_login_becomes_the_current_one(
    world: World, target: Incarnation
) -> None:
    await world.databases.prepare(target, host(target))
    other = Credential(f"ns:{target.namespace}:b", "restored-from-a-backup")
    await world.secrets.put(namespace_database(target.namespace), other.to_json())

    seen = await world.databases.observe(target)
    assert seen is not None
    assert "is for ns:" in seen.flaw

    await world.databases.prepare(target, host(target))
    assert await world.credential(target) == other
    await assert_whole(world, target)


async def test_a_record_under_another_server_name_gets_its_own_back(
    world: World, target: Incarnation, postgres: RunningPostgres
) -> None:
    await world.databases.prepare(target, host(target))
    await tamper(
        postgres,
        world,
        target,
        "UPDATE namespaces SET server_name = 'x' WHERE namespace = {namespace}",
    )
    await world.databases.prepare(target, host(target))

    rows = await query(
        world.cell.conninfo,
        "SELECT server_name FROM namespaces WHERE namespace = %s",
        target.namespace,
    )
    assert rows == [(host(target),)]


async def test_a_login_with_all_its_sessions_in_use_is_whole(
    world: World, target: Incarnation
) -> None:
    await world.databases.prepare(target, host(target))
    login = world.login(await world.credential(target))
    sessions = [await AsyncConnection.connect(login) for _ in range(8)]
    try:
        seen = await world.databases.observe(target)
    finally:
        for session in sessions:
            await session.close()
    assert seen is not None
    assert seen.flaw == ""


async def test_a_record_that_names_anothers_role_takes_nothing_of_it_along(
    world: World, target: Incarnation, postgres: RunningPostgres
) -> None:
    other = incarnation()
    await world.databases.prepare(other, host(other))
    await world.databases.prepare(target, host(target))
    await tamper(
        postgres, world, target, "ALTER TABLE namespaces DROP CONSTRAINT namespaces_role_key"
    )
    async with await AsyncConnection.connect(world.cell.conninfo, autocommit=True) as owner:
        await owner.execute(
            "UPDATE namespaces SET role = %s WHERE namespace = %s",
            (f"ns:{other.namespace}", target.namespace),
        )

    await world.databases.remove(target)

    await tamper(postgres, world, target, "ALTER TABLE namespaces ADD UNIQUE (role)")
    await assert_whole(world, other)
