"""A tenant of the session's fleet."""

from collections.abc import AsyncIterator

import pytest

from tests.fleet import RunningFleet
from tests.tenant import Tenant, tenant_of


@pytest.fixture
async def tenant(fleet: RunningFleet) -> AsyncIterator[Tenant]:
    async with tenant_of(fleet) as tenant:
        yield tenant
