from collections.abc import AsyncIterator

import pytest

from controlplane.store.rollout_projections import RolloutProjections
from rollout.types import Outcome
from tests.api.running import RunningApi


@pytest.fixture(autouse=True)
async def no_rollout_goes_on(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """End the rollouts that a test has begun: there is one fleet for all tests."""
    yield
    if "api" not in request.fixturenames:
        return
    api: RunningApi = request.getfixturevalue("api")
    for rollout in list(api.fleet.rollouts):
        await RolloutProjections(api.pool).publish_rollout(api.fleet.end(rollout, Outcome.ABORTED))
