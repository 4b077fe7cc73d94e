"""What the workers of a replicated namespace do."""

from datetime import timedelta
from enum import StrEnum

from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError

QUEUE = "orders"
SOON = timedelta(seconds=3)
"""What a failover interrupts is tried again after so long."""


@activity.defn
async def double(number: int) -> int:
    return 2 * number


@workflow.defn
class Order:
    """Takes two activities and a moment, so that many are under way at any time."""

    @workflow.run
    async def run(self, number: int) -> int:
        once = await workflow.execute_activity(double, number, start_to_close_timeout=SOON)
        await workflow.sleep(timedelta(milliseconds=300))
        return await workflow.execute_activity(double, once, start_to_close_timeout=SOON)


class Way(StrEnum):
    """How a workflow execution ends: the name of its status."""

    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    TERMINATED = "TERMINATED"
    TIMED_OUT = "TIMED_OUT"
    CONTINUED_AS_NEW = "CONTINUED_AS_NEW"


@workflow.defn
class Ending:
    @workflow.run
    async def run(self, way: Way) -> None:
        if way is Way.FAILED:
            raise ApplicationError("it was to fail", non_retryable=True)
        if way is Way.CONTINUED_AS_NEW:
            workflow.continue_as_new(Way.COMPLETED)
        if way is not Way.COMPLETED:
            await workflow.wait_condition(lambda: False)
