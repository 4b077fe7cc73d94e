"""The ledger on a real engine, with its projection in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from temporalio.client import Client
from temporalio.worker import Replayer, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from cells.ledger.activities import LedgerActivities
from cells.ledger.client import LedgerClient
from cells.ledger.memory import MemoryLedgerProjection
from cells.ledger.ports import LedgerProjection
from cells.ledger.types import LEDGER_ID
from cells.ledger.workflow import LedgerWorkflow
from controlplane.payloads import data_converter
from controlplane.queues import fleet_queue


@dataclass(frozen=True)
class RunningLedger:
    temporal: Client
    projection: MemoryLedgerProjection = field(default_factory=MemoryLedgerProjection)

    @property
    def client(self) -> LedgerClient:
        return LedgerClient(self.temporal)

    async def runs(self) -> int:
        """Return how many runs it has had."""
        return len([run async for run in self.temporal.list_workflows(f"WorkflowId='{LEDGER_ID}'")])


@asynccontextmanager
async def keeping_the_ledger(
    client: Client, projection: LedgerProjection | None = None
) -> AsyncIterator[RunningLedger]:
    """Run a worker that keeps the ledger, and see afterwards that all it did can be replayed."""
    ledger = RunningLedger(client)
    async with Worker(
        client,
        task_queue=fleet_queue(),
        workflows=[LedgerWorkflow],
        activities=[LedgerActivities(projection or ledger.projection).publish_ledger],
        workflow_runner=SandboxedWorkflowRunner(),
    ):
        yield ledger
    await assert_the_ledger_replays(client)


async def assert_the_ledger_replays(client: Client) -> None:
    """The histories of all its runs lead today's code to the same commands."""
    replayer = Replayer(workflows=[LedgerWorkflow], data_converter=data_converter)
    runs = client.list_workflows(f"WorkflowId='{LEDGER_ID}'")
    async with replayer.workflow_replay_iterator(runs.map_histories()) as results:
        async for result in results:
            assert result.replay_failure is None, result.replay_failure
