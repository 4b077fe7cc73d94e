from collections.abc import AsyncIterator

import pytest

from tests.api.running import RunningApi, Tenant, running_api
from tests.postgres import RunningPostgres


@pytest.fixture(scope="session")
async def api(postgres: RunningPostgres) -> AsyncIterator[RunningApi]:
    """One API for all tests: each has an account of its own."""
    async with running_api(postgres) as api:
        yield api


@pytest.fixture
async def tenant(api: RunningApi) -> Tenant:
    return await api.tenant()
