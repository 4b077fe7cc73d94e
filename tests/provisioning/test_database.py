"""Records, roles and credentials in a cell's real PostgreSQL."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from psycopg import AsyncConnection, sql
from temporalio.exceptions import ApplicationError

from controlplane.secrets.port import cell_database, namespace_database
from provisioning.connections import CellConnections
from provisioning.database import PostgresDatabases
from provisioning.ports import Incarnation
from tests.eventually import eventually
from tests.postgres import RunningPostgres
from tests.provisioning.cell_databases import NOWHERE, Died, query
from tests.provisioning.database_world import (
    CELL,
    World,
    host,
    incarnation,
    roles,
    running_world,
)


@pytest.fixture(scope="module")
async def world(postgres: RunningPostgres) -> AsyncIterator[World]:
    async with running_world(postgres) as world:
        yield world


@pytest.fixture
def target() -> Incarnation:
    return incarnation()


async def test_a_prepared_namespace_admits_nobody_and_can_log_in(
    world: World, target: Incarnation
) -> None:
    facts = await world.databases.prepare(target, host(target))

    assert facts.role == f"ns:{target.namespace}"
    assert facts.login == f"ns:{target.namespace}:a"
    assert facts.credential == namespace_database(target.namespace)
    rows = await query(
        world.login(await world.credential(target)),
        "SELECT namespace, uid, server_name, admitted FROM namespaces",
    )
    assert rows == [(target.namespace, target.uid, host(target), False)]


async def test_every_call_may_be_made_twice(world: World, target: Incarnation) -> None:
    prepared = await world.databases.prepare(target, host(target))
    credential = await world.credential(target)
    assert await world.databases.prepare(target, host(target)) == prepared
    assert await world.credential(target) == credential
    assert await world.databases.observe(target) == prepared

    rotated = await world.databases.rotate(target, prepared.rotated_at)
    credential = await world.credential(target)
    assert await world.databases.rotate(target, prepared.rotated_at) == rotated
    assert await world.credential(target) == credential
    assert await world.databases.observe(target) == rotated != prepared

    for _ in range(2):
        await world.databases.remove(target)
        assert await world.databases.observe(target) is None
        assert await roles(world, target) == []
        assert await world.secrets.get(namespace_database(target.namespace)) is None


async def test_an_incarnation_is_fenced_from_its_successor(
    world: World, target: Incarnation
) -> None:
    facts = await world.databases.prepare(target, host(target))
    credential = await world.credential(target)
    late = incarnation(target.namespace)

    with pytest.raises(ApplicationError, match=f"uid {target.uid}, not {late.uid}") as refused:
        await world.databases.prepare(late, host(late))
    assert refused.value.non_retryable
    with pytest.raises(ApplicationError, match="delete that namespace first"):
        await world.databases.rotate(late, facts.rotated_at)
    assert await world.databases.observe(late) is None
    await world.databases.remove(late)

    assert await world.databases.observe(target) == facts
    assert await world.credential(target) == credential


async def test_a_call_that_comes_late_brings_back_nothing_that_was_removed(
    world: World, target: Incarnation
) -> None:
    await world.databases.remove(target)
    for _ in range(2):
        with pytest.raises(ApplicationError, match=f"uid {target.uid} was removed") as refused:
            await world.databases.prepare(target, host(target))
        assert refused.value.non_retryable
        assert await world.databases.observe(target) is None
        assert await roles(world, target) == []
        assert await world.secrets.names(f"namespaces/{target.namespace}/") == []

    successor = incarnation(target.namespace)
    facts = await world.databases.prepare(successor, host(successor))
    assert await world.databases.observe(successor) == facts


async def test_removals_are_forgotten_after_a_day_and_not_before(world: World) -> None:
    old, recent = incarnation(), incarnation()
    for target, hours in ((old, "25"), (recent, "23")):
        await world.databases.remove(target)
        await query(
            world.cell.conninfo,
            "UPDATE removed SET removed_at = now() - make_interval(hours => %s::int)"
            " WHERE uid = %s RETURNING 1",
            hours,
            target.uid,
        )

    await world.databases.remove(incarnation())

    known = await query(
        world.cell.conninfo, "SELECT uid FROM removed WHERE uid IN (%s, %s)", old.uid, recent.uid
    )
    assert known == [(recent.uid,)]


async def test_a_tenant_sees_its_own_rows_and_no_key(world: World) -> None:
    mine, other = incarnation(), incarnation()
    for target in (mine, other):
        await world.databases.prepare(target, host(target))
        await query(
            world.cell.conninfo,
            "INSERT INTO usage (namespace, hour, actions) VALUES (%s, now(), 7) RETURNING 1",
            target.namespace,
        )
    login = world.login(await world.credential(mine))

    assert await query(login, "SELECT namespace FROM namespaces") == [(mine.namespace,)]
    assert await query(login, "SELECT namespace, actions FROM usage") == [(mine.namespace, 7)]
    forbidden: tuple[LiteralString, ...] = (
        "SELECT sealed_key FROM namespaces",
        "SELECT * FROM namespaces",
        "UPDATE namespaces SET admitted = true RETURNING 1",
        "DELETE FROM usage RETURNING 1",
        "CREATE TABLE mine (id int)",
        "CREATE TEMP TABLE mine (id int)",
        "SELECT rolpassword FROM pg_authid",
    )
    for statement in forbidden:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await query(login, statement)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="set role"):
        await query(login, "SELECT set_config('role', %s, false)", f"ns:{other.namespace}")


async def test_a_tenant_cannot_connect_to_another_cells_database(
    world: World, target: Incarnation
) -> None:
    await world.databases.prepare(target, host(target))
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        await query(world.login(await world.credential(target), world.other_cell), "SELECT 1")


async def test_a_tenant_finds_its_row_by_index(world: World, target: Incarnation) -> None:
    await world.databases.prepare(target, host(target))
    login = world.login(await world.credential(target))
    async with await AsyncConnection.connect(login) as connection:
        await connection.execute("SET enable_seqscan = off")
        plan = await (await connection.execute("EXPLAIN SELECT uid FROM namespaces")).fetchall()
    assert "Index Scan using namespaces_role_key" in plan[0][0]


async def test_a_credential_outlives_one_rotation_and_not_two(
    world: World, target: Incarnation
) -> None:
    facts = await world.databases.prepare(target, host(target))
    first = await world.credential(target)

    facts = await world.databases.rotate(target, facts.rotated_at)
    second = await world.credential(target)
    assert facts.login == second.username != first.username
    for credential in (first, second):
        assert await query(world.login(credential), "SELECT 1") == [(1,)]

    await world.databases.rotate(target, facts.rotated_at)
    third = await world.credential(target)
    assert third.username == first.username
    for credential in (second, third):
        assert await query(world.login(credential), "SELECT 1") == [(1,)]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        await query(world.login(first), "SELECT 1")


async def test_clients_with_the_current_credential_notice_no_rotation(
    world: World, target: Incarnation
) -> None:
    facts = await world.databases.prepare(target, host(target))
    connected: list[str] = []

    async def client() -> None:
        while True:
            credential = await world.credential(target)
            await query(world.login(credential), "SELECT uid FROM namespaces")
            connected.append(credential.username)

    async with asyncio.timeout(100), asyncio.TaskGroup() as group:
        clients = [group.create_task(client()) for _ in range(3)]
        for _ in range(6):
            # A credential is good until the next rotation but one: each client has moved on.
            enough = len(connected) + 2 * len(clients)

            async def moved_on(enough: int = enough) -> bool:
                return len(connected) >= enough

            await eventually(moved_on)
            facts = await world.databases.rotate(target, facts.rotated_at)
        for task in clients:
            task.cancel()
    assert set(connected) == {f"{facts.role}:a", f"{facts.role}:b"}


@pytest.mark.parametrize("when", ["before", "after"])
async def test_preparing_that_died_around_the_secret_is_completed(
    world: World, target: Incarnation, when: str
) -> None:
    world.secrets.dies.append((when, "put"))
    with pytest.raises(Died):
        await world.databases.prepare(target, host(target))
    assert await roles(world, target) == []

    facts = await world.databases.prepare(target, host(target))

    assert await query(world.login(await world.credential(target)), "SELECT 1") == [(1,)]
    assert await world.databases.observe(target) == facts


@pytest.mark.parametrize("when", ["before", "after"])
async def test_rotating_that_died_around_the_secret_is_completed_without_a_gap(
    world: World, target: Incarnation, when: str
) -> None:
    prepared = await world.databases.prepare(target, host(target))
    first = await world.credential(target)
    world.secrets.dies.append((when, "put"))
    with pytest.raises(Died):
        await world.databases.rotate(target, prepared.rotated_at)
    between = await world.credential(target)
    assert await query(world.login(between), "SELECT 1") == [(1,)]

    rotated = await world.databases.rotate(target, prepared.rotated_at)

    current = await world.credential(target)
    assert rotated.login == current.username != first.username
    # Who had the secret in hand at any of these moments is still let in.
    for credential in (first, between, current):
        assert await query(world.login(credential), "SELECT 1") == [(1,)]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_removing_that_died_around_the_secret_is_completed(
    world: World, target: Incarnation, when: str
) -> None:
    await world.databases.prepare(target, host(target))
    world.secrets.dies.append((when, "delete"))
    with pytest.raises(Died):
        await world.databases.remove(target)

    await world.databases.remove(target)

    assert await roles(world, target) == []
    assert await world.secrets.names(f"namespaces/{target.namespace}/") == []


async def test_removing_ends_open_sessions_and_takes_what_they_made(
    world: World, target: Incarnation
) -> None:
    await world.databases.prepare(target, host(target))
    login = world.login(await world.credential(target))
    async with await AsyncConnection.connect(login, autocommit=True) as session:
        # Every role may make large objects, and a role that owns one cannot be dropped.
        await session.execute("SELECT lo_create(0)")

        await world.databases.remove(target)

        with pytest.raises(psycopg.OperationalError):
            await session.execute("SELECT 1")
    assert await roles(world, target) == []
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        await query(login, "SELECT 1")


async def test_a_role_of_somebody_else_is_not_taken_over(
    world: World, target: Incarnation, postgres: RunningPostgres
) -> None:
    name = sql.Identifier(f"ns:{target.namespace}:a")
    async with await AsyncConnection.connect(postgres.conninfo, autocommit=True) as superuser:
        await superuser.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
        with pytest.raises(ApplicationError, match="is not the cell's own") as refused:
            await world.databases.prepare(target, host(target))
        await superuser.execute(sql.SQL("DROP ROLE {}").format(name))

    assert refused.value.non_retryable
    assert await world.databases.observe(target) is None


async def test_concurrent_calls_for_many_namespaces_make_one_of_each(world: World) -> None:
    targets = [incarnation() for _ in range(16)]
    await asyncio.gather(
        *(world.databases.prepare(target, host(target)) for target in targets for _ in range(2))
    )
    for target in targets:
        assert len(await roles(world, target)) == 3
        assert await query(world.login(await world.credential(target)), "SELECT 1") == [(1,)]
    await asyncio.gather(*(world.databases.remove(target) for target in targets * 2))
    for target in targets:
        assert await roles(world, target) == []


async def test_a_call_cut_off_at_any_moment_can_be_made_again(world: World) -> None:
    for milliseconds in (0, 1, 2, 3, 4, 6, 8, 10, 13, 16, 20, 30):
        target = incarnation()

        async def life(target: Incarnation = target) -> None:
            facts = await world.databases.prepare(target, host(target))
            await world.databases.rotate(target, facts.rotated_at)
            await world.databases.remove(target)

        cut_off = asyncio.create_task(life())
        await asyncio.sleep(milliseconds / 1000)
        cut_off.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await cut_off
        async with asyncio.timeout(60):  # Nobody holds on to the namespace.
            await world.databases.remove(target)
            target = incarnation(target.namespace)
            facts = await world.databases.prepare(target, host(target))
            login = world.login(await world.credential(target))
            assert await query(login, "SELECT uid FROM namespaces") == [(target.uid,)]
            assert await world.databases.observe(target) == facts
            await world.databases.remove(target)
        assert await roles(world, target) == []


async def test_the_server_never_hears_a_password(
    world: World, target: Incarnation, tmp_path: Path
) -> None:
    connections = CellConnections(world.directory, world.secrets)
    databases = PostgresDatabases(connections, world.secrets)
    wire = tmp_path / "wire"
    with wire.open("wb") as file:
        async with connections.to(CELL) as connection:
            connection.pgconn.trace(file.fileno())
        facts = await databases.prepare(target, host(target))
        first = await world.credential(target)
        await databases.rotate(target, facts.rotated_at)
        second = await world.credential(target)
        await connections.close()

    said = wire.read_text()
    assert said.count("SCRAM-SHA-256$") == 2
    for credential in (first, second):
        assert credential.password not in said
        assert credential.password not in repr(credential)


async def test_a_database_that_does_not_answer_is_named(world: World) -> None:
    world.directory.addresses["aws-eu-west-1-c9"] = replace(NOWHERE)
    await world.secrets.put(cell_database("aws-eu-west-1-c9"), b"hidden")
    connections = CellConnections(world.directory, world.secrets, connect_within=0.2)
    databases = PostgresDatabases(connections, world.secrets)
    target = replace(incarnation(), cell="aws-eu-west-1-c9")
    with pytest.raises(ConnectionError, match=r"cell aws-eu-west-1-c9, .*127\.0\.0\.1:1") as failed:
        await databases.observe(target)
    assert "hidden" not in str(failed.value)
    await connections.close()
