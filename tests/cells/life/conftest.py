"""Lives on the engine that the session shares; whatever a test did, its histories replay."""

from collections.abc import AsyncIterator

import pytest
from temporalio.testing import WorkflowEnvironment

from tests.cells.life.living import Lives, assert_everything_replays, living
from tests.engine import fresh_namespace


@pytest.fixture
async def lives(engine: WorkflowEnvironment) -> AsyncIterator[Lives]:
    client = await fresh_namespace(engine.client)
    async with living(client) as lives:
        yield lives
        await assert_everything_replays(client)
