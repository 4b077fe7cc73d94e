"""A world to evacuate, of one test."""

from collections.abc import AsyncIterator

import pytest
from temporalio.testing import WorkflowEnvironment

from tests.engine import fresh_namespace
from tests.provisioning.evacuation.emptying import Emptying, emptying


@pytest.fixture
async def world(engine: WorkflowEnvironment) -> AsyncIterator[Emptying]:
    async with emptying(await fresh_namespace(engine.client)) as world:
        yield world
