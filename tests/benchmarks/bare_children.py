"""The least that an engine has to do for as many children as a fleet has cells, in skipped time."""

import asyncio
import sys
import time
from datetime import timedelta
from pathlib import Path

from temporalio import activity, workflow
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

QUEUE = "bare"
STEPS = 6
AT_ONCE = 50


@activity.defn
async def bare_step(number: int) -> int:
    return number


@workflow.defn
class BareVisit:
    @workflow.run
    async def run(self, number: int) -> int:
        for _ in range(STEPS):
            number = await workflow.execute_activity(
                bare_step, number, start_to_close_timeout=timedelta(seconds=30)
            )
        await workflow.sleep(600)
        return number


@workflow.defn
class BareRollout:
    @workflow.run
    async def run(self, cells: int) -> None:
        for first in range(0, cells, AT_ONCE):
            await asyncio.gather(
                *(
                    workflow.execute_child_workflow(
                        BareVisit.run, number, id=f"{workflow.info().workflow_id}/{number}"
                    )
                    for number in range(first, min(first + AT_ONCE, cells))
                )
            )


async def bare(cells: int) -> float:
    """Return how many seconds so many children take, fifty at a time."""
    server = str(Path(sys.executable).with_name("temporal-test-server"))
    async with (
        await WorkflowEnvironment.start_time_skipping(test_server_existing_path=server) as engine,
        Worker(
            engine.client,
            task_queue=QUEUE,
            workflows=[BareRollout, BareVisit],
            activities=[bare_step],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ),
    ):
        began = time.monotonic()
        await engine.client.execute_workflow(
            BareRollout.run, cells, id=f"bare-{cells}", task_queue=QUEUE
        )
        return time.monotonic() - began
