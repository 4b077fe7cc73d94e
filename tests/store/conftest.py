from collections.abc import AsyncIterator

import pytest

from controlplane.store.pool import Pool
from tests.postgres import RunningPostgres
from tests.store.databases import migrated_pool


@pytest.fixture
async def pool(postgres: RunningPostgres) -> AsyncIterator[Pool]:
    """A pool on a migrated database that belongs to this test alone."""
    async with migrated_pool(postgres) as pool:
        yield pool
