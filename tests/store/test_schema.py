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


async def test_migrating_again_keeps_what_is_there(postgres: RunningPostgres) -> None:
    database = await postgres.create_database()
    await migrate(database.conninfo)
    async with await AsyncConnection.connect(database.conninfo) as connection:
        await connection.execute("INSERT INTO accounts (id, name) VALUES ('acme1', 'Acme')")

    await migrate(database.conninfo)

    async with await AsyncConnection.connect(database.conninfo) as connection:
        rows = await connection.execute("SELECT id FROM accounts")
        assert await rows.fetchall() == [("acme1",)]
