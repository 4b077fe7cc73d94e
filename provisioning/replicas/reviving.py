"""Hands out again the work that a failover left lying.

Now and then the service loses a task that became due in the moment of a failover: the workflow
task stays scheduled for ever, whichever cell is active, and with it the workflow. To hand it out
again is an operation of the service's AdminService; it does no harm where nothing was lost.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import grpc
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState, PendingWorkflowTaskState
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionResponse,
    RequestCancelWorkflowExecutionRequest,
)

from provisioning.frontend import CALL
from provisioning.replicas.executions import Executions

_REFRESH = "/temporal.server.api.adminservice.v1.AdminService/RefreshWorkflowTasks"
_LYING_AFTER = timedelta(seconds=10)
"""A task that has waited for so long was lost, or nobody polls for it."""
_AT_ONCE = 8


async def revive(executions: Executions, uuid: str) -> int:
    """Hand out again what has been lying for a while; return of how many executions."""
    address = executions.service.client.service_client.config.target_host
    before = datetime.now(UTC) - _LYING_AFTER
    revived = 0
    async with grpc.aio.insecure_channel(address) as channel:
        refresh: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(_REFRESH)
        async for some in _in_groups(executions.running()):
            found = await asyncio.gather(*(executions.describe(execution) for execution in some))
            lying = [
                execution
                for execution, described in zip(some, found, strict=True)
                if described is not None and _is_lying(described, before)
            ]
            for execution in lying:
                await refresh(_request(uuid, execution), timeout=CALL.total_seconds())
            revived += len(lying)
    return revived


async def _in_groups(
    executions: AsyncIterator[WorkflowExecution],
) -> AsyncIterator[list[WorkflowExecution]]:
    group: list[WorkflowExecution] = []
    async for execution in executions:
        group.append(execution)
        if len(group) == _AT_ONCE:
            yield group
            group = []
    yield group


def _is_lying(described: DescribeWorkflowExecutionResponse, before: datetime) -> bool:
    task = described.pending_workflow_task
    if (
        task.state == PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED
        and task.scheduled_time.ToDatetime(UTC) < before
    ):
        return True
    return any(
        activity.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
        and activity.scheduled_time.ToDatetime(UTC) < before
        for activity in described.pending_activities
    )


def _request(uuid: str, execution: WorkflowExecution) -> bytes:
    """Return a RefreshWorkflowTasksRequest: its execution is field 2, its namespace's id field 3.

    The SDK does not know that message, but one whose fields 2 and 3 are just that on the wire.
    """
    return RequestCancelWorkflowExecutionRequest(
        workflow_execution=execution, identity=uuid
    ).SerializeToString()
