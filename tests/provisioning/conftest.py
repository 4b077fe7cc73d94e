"""Entities on a real engine, with a world in memory."""

from collections.abc import AsyncIterator

import pytest
from temporalio.testing import WorkflowEnvironment

from tests.engine import Entities, fresh_namespace, working


@pytest.fixture
async def entities(engine: WorkflowEnvironment) -> AsyncIterator[Entities]:
    async with working(await fresh_namespace(engine.client)) as entities:
        yield entities
