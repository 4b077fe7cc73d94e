"""A ledger of one test."""

from collections.abc import AsyncIterator

import pytest
from temporalio.testing import WorkflowEnvironment

from tests.engine import fresh_namespace
from tests.ledger.running import RunningLedger, keeping_the_ledger


@pytest.fixture
async def ledger(engine: WorkflowEnvironment) -> AsyncIterator[RunningLedger]:
    async with keeping_the_ledger(await fresh_namespace(engine.client)) as ledger:
        yield ledger
