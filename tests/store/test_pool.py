from psycopg import AsyncConnection

from controlplane.store.pool import open_pool_on
from tests.eventually import eventually
from tests.postgres import RunningPostgres

_END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
_HELD = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"


async def test_nobody_is_given_a_connection_that_the_server_has_closed(
    postgres: RunningPostgres,
) -> None:
    database = await postgres.create_database()
    pool = await open_pool_on(database.conninfo)

    async def gone() -> bool:
        held = await (await other.execute(_HELD, (database.name,))).fetchone()
        return held == (0,)

    try:
        async with await AsyncConnection.connect(postgres.conninfo, autocommit=True) as other:
            await other.execute(_END, (database.name,))
            await eventually(gone)

        async with pool.connection() as connection:
            assert await (await connection.execute("SELECT 1")).fetchone() == (1,)
    finally:
        await pool.close()
