"""What a failed update-with-start leaves behind in this process."""

import asyncio
import contextlib
from typing import Any

from temporalio.client import WithStartWorkflowOperation


async def forget_failed_start(start: WithStartWorkflowOperation[Any, Any]) -> None:
    """Take note of the error of a start whose update raised it already.

    The start holds the same error for whoever awaits its handle. Left there, it is logged with a
    traceback whenever garbage is collected.
    """
    with contextlib.suppress(Exception, asyncio.CancelledError):
        await start.workflow_handle()
