"""The least that an engine has to do for as many children as a fleet has cells, in virtual time."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

from temporalio import activity, workflow

from rollout.simulation.virtual.engine import Engine

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


def bare(cells: int) -> float:
    """Return how many seconds so many children take, fifty at a time."""
    began = time.monotonic()
    with Engine([BareRollout, BareVisit], began_at=datetime.now(UTC)) as engine:
        engine.offer([bare_step])
        engine.start(BareRollout, "bare", cells)
        engine.go_on(engine.now + timedelta(days=60), lambda: not engine.is_under_way("bare"))
    return time.monotonic() - began
