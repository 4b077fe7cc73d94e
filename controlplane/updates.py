"""Sending updates to entities that may be between two runs."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from temporalio.client import WithStartWorkflowOperation
from temporalio.service import RPCError, RPCStatusCode

T = TypeVar("T")

PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)  # Seconds.


async def delivered(send: Callable[[], Awaitable[T]]) -> T:
    """Send an update that may be repeated, again while the entity is not ready to take it.

    An entity that continues as new, or whose workflow task was lost with its worker, answers
    FAILED_PRECONDITION ("workflow not ready") and did not see the update.
    """
    for pause in PAUSES:
        try:
            return await send()
        except RPCError as error:
            if error.status != RPCStatusCode.FAILED_PRECONDITION:
                raise
        await asyncio.sleep(pause)
    return await send()


async def forget_failed_start(start: WithStartWorkflowOperation[Any, Any]) -> None:
    """Take note of the error of a start whose update raised it already.

    The start holds the same error for whoever awaits its handle. Left there, it is logged with a
    traceback whenever garbage is collected.
    """
    with contextlib.suppress(Exception, asyncio.CancelledError):
        await start.workflow_handle()
