import asyncio
from importlib.resources import files

from psycopg import AsyncConnection

from controlplane.store.schema import migrate
from tests.postgres import RunningPostgres


async def test_processes_that_migrate_at_once_apply_each_migration_once(
    postgres: RunningPostgres,
) -> None:
    database = await postgres.create_database()

    await asyncio.gather(*(migrate(database.conninfo) for _ in range(5)))

    async with await AsyncConnection.connect(database.conninfo) as connection:
        rows = await connection.execute("SELECT name FROM schema_migrations ORDER BY name")
        assert [row[0] for row in await rows.fetchall()] == sorted(
            entry.name for entry in (files("controlplane.store") / "migrations").iterdir()
        )


async def test_the_account_that_a_deployment_began_with_becomes_its_operators(
    postgres: RunningPostgres,
) -> None:
    database = await postgres.create_database()
    folder = files("controlplane.store") / "migrations"
    before = sorted(entry.name for entry in folder.iterdir() if entry.name < "0007")
    async with await AsyncConnection.connect(database.conninfo) as connection:
        await connection.execute(
            "CREATE TABLE schema_migrations "
            "(name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        for name in before:
            await connection.execute((folder / name).read_bytes())
            await connection.execute("INSERT INTO schema_migrations VALUES (%s)", (name,))
        await connection.execute(
            "INSERT INTO accounts (id, name, created_at) "
            "VALUES ('later1', 'Later', '2026-02-01'), ('first1', 'First', '2026-01-01')"
        )

    await migrate(database.conninfo)

    async with await AsyncConnection.connect(database.conninfo) as connection:
        rows = await connection.execute("SELECT id, operator FROM accounts ORDER BY id")
        assert await rows.fetchall() == [("first1", True), ("later1", False)]


async def test_migrating_again_keeps_what_is_there(postgres: RunningPostgres) -> None:
    database = await postgres.create_database()
    await migrate(database.conninfo)
    async with await AsyncConnection.connect(database.conninfo) as connection:
        await connection.execute("INSERT INTO accounts (id, name) VALUES ('acme1', 'Acme')")

    await migrate(database.conninfo)

    async with await AsyncConnection.connect(database.conninfo) as connection:
        rows = await connection.execute("SELECT id FROM accounts")
        assert await rows.fetchall() == [("acme1",)]
