from collections.abc import AsyncIterator

import pytest

from tests.api.doors import Door, GrpcDoor, HttpDoor
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


@pytest.fixture
async def operator(api: RunningApi) -> Tenant:
    """Somebody who runs the fleet."""
    return await api.tenant(operator=True)


@pytest.fixture(params=["gRPC", "HTTP"])
async def door(request: pytest.FixtureRequest, tenant: Tenant) -> AsyncIterator[Door]:
    """Each way to the Cloud Ops API, as the tenant."""
    if request.param == "gRPC":
        yield GrpcDoor(tenant.cloud)
    else:
        async with tenant.http() as http:
            yield HttpDoor(http)
