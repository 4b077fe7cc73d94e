"""Sending updates to entities that may be between two runs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from temporalio.client import (
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

T = TypeVar("T")

PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)  # Seconds.


async def delivered(send: Callable[[], Awaitable[T]]) -> T:
    """Send an update that may be repeated, again while the entity is not ready to take it.

    An entity that continues as new, or whose workflow task was lost with its worker, answers
    FAILED_PRECONDITION ("workflow not ready") and did not see the update. What an entity refuses is
    raised as the ApplicationError that it gave (see `controlplane.errors`).
    """
    try:
        for pause in PAUSES:
            try:
                return await send()
            except RPCError as error:
                if error.status != RPCStatusCode.FAILED_PRECONDITION:
                    raise
            await asyncio.sleep(pause)
        return await send()
    except WorkflowUpdateFailedError as error:
        if isinstance(error.cause, ApplicationError):
            raise error.cause from None
        raise


@asynccontextmanager
async def starting(start: WithStartWorkflowOperation[Any, Any]) -> AsyncIterator[None]:
    """Send an update with this start within the block; an error of both is raised once.

    The start holds the same error for whoever awaits its handle. Left there, it is logged with a
    traceback whenever garbage is collected.
    """
    try:
        yield
    except (RPCError, WorkflowUpdateRPCTimeoutOrCancelledError, WorkflowAlreadyStartedError):
        with contextlib.suppress(Exception, asyncio.CancelledError):
            await start.workflow_handle()
        raise
