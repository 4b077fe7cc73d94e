"""A migrated database of one's own, with a pool on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from controlplane.store.pool import Pool, open_pool_on
from controlplane.store.schema import migrate
from tests.postgres import RunningPostgres


@asynccontextmanager
async def migrated_pool(postgres: RunningPostgres) -> AsyncIterator[Pool]:
    database = await postgres.create_database("controlplane")
    await migrate(database.conninfo)
    pool = await open_pool_on(database.conninfo)
    try:
        yield pool
    finally:
        await pool.close()
