"""The ledger on a real engine, with its projection in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer, Worker

from cells.ledger.activities import LedgerActivities
from cells.ledger.client import LedgerClient
from cells.ledger.memory import MemoryLedgerProjection
from cells.ledger.ports import LedgerProjection
from cells.ledger.types import LEDGER_ID
from cells.ledger.workflow import LedgerWorkflow
from controlplane.payloads import data_converter
from controlplane.queues import fleet_queue
from tests.sandbox import SANDBOX


@dataclass(frozen=True)
class RunningLedger:
    temporal: Client
    projection: MemoryLedgerProjection = field(default_factory=MemoryLedgerProjection)

    @property
    def client(self) -> LedgerClient:
        return LedgerClient(self.temporal)


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
        workflow_runner=SANDBOX,
    ):
        yield ledger
    await assert_the_ledger_replays(client)


async def assert_the_ledger_replays(client: Client) -> None:
    """The histories of all its runs lead today's code to the same commands."""
    replayer = Replayer(workflows=[LedgerWorkflow], data_converter=data_converter)
    async for history in histories(client):
        await replayer.replay_workflow(history)


async def histories(client: Client) -> AsyncIterator[WorkflowHistory]:
    """Yield what happened in each of its runs, the latest first."""
    run: str | None = None
    while run != "":
        history = await client.get_workflow_handle(LEDGER_ID, run_id=run).fetch_history()
        yield history
        begun = history.events[0].workflow_execution_started_event_attributes
        run = begun.continued_execution_run_id
