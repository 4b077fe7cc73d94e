import asyncio
from functools import partial

from psycopg import AsyncConnection

from controlplane.store.pool import Pool, open_pool_on
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


async def test_whoever_is_cancelled_as_a_connection_comes_stops_and_leaves_it_to_others(
    postgres: RunningPostgres,
) -> None:
    pool = await open_pool_on((await postgres.create_database()).conninfo)
    try:
        # In which turn of the loop the connection arrives is the pool's affair: try them all.
        for turns in range(12):
            held = [await pool.getconn() for _ in range(pool.max_size)]
            waiting = asyncio.create_task(_use_for_ever(pool))
            await eventually(lambda: _somebody_waits(pool))
            returning = asyncio.create_task(pool.putconn(held.pop()))
            for _ in range(turns):
                await asyncio.sleep(0)

            waiting.cancel()

            await eventually(partial(_has_ended, waiting), within=10)
            await returning
            for connection in held:
                await pool.putconn(connection)
            await eventually(lambda: _all_are_back(pool))
    finally:
        await pool.close()


async def _use_for_ever(pool: Pool) -> None:
    while True:
        async with pool.connection():
            pass
        await asyncio.sleep(0)


async def _somebody_waits(pool: Pool) -> bool:
    return pool.get_stats().get("requests_waiting", 0) > 0


async def _has_ended(task: asyncio.Task[None]) -> bool:
    return task.done()


async def _all_are_back(pool: Pool) -> bool:
    return pool.get_stats()["pool_available"] == pool.max_size
