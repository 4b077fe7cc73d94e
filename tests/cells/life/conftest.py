"""Lives on real engines; whatever a test did, its histories replay."""

from collections.abc import AsyncIterator

import pytest
from temporalio.testing import WorkflowEnvironment

from tests.cells.life.living import Lives, assert_everything_replays, assert_replays, living
from tests.engine import fresh_namespace


@pytest.fixture
async def lives(engine_in_skipped_time: WorkflowEnvironment) -> AsyncIterator[Lives]:
    """Lives that are led quickly: an engine of their own, where no pause takes long."""
    client = engine_in_skipped_time.client
    async with living(client) as lives:
        yield lives
        for cell in lives.lives.views:
            await assert_replays(client, cell)


@pytest.fixture
async def rolling_lives(engine: WorkflowEnvironment) -> AsyncIterator[Lives]:
    """Lives on the engine that the session shares, on which each layer or two has a run of its own:
    a second per run."""
    client = await fresh_namespace(engine.client)
    async with living(client) as lives:
        yield lives
        await assert_everything_replays(client)
