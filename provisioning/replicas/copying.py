"""Replicates the workflow executions that were there before the replica was."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from temporalio.client import WorkflowExecutionStatus

from provisioning.frontend import called
from provisioning.ports import Incarnation
from provisioning.replicas.records import Record
from provisioning.replicas.services import CellService
from provisioning.replicas.system_workflows import Arguments, SystemWorkflow
from provisioning.replicas.types import CopyProgress

_TYPE = "force-replication"
_PROGRESS = "force-replication-status"
_LOOK_EVERY = 0.5  # Seconds.

_ALL = "TemporalNamespaceDivision IS NULL OR TemporalNamespaceDivision IS NOT NULL"
"""Schedules and worker deployments too, which a query that names no division leaves out."""
_EXECUTIONS_PER_SECOND = 200
"""A copy of millions takes hours, beside a namespace at work."""


def copy_of(service: CellService, uuid: str, to: str) -> SystemWorkflow:
    """Return the workflow that copies a namespace from the service's cell to another one."""
    return SystemWorkflow(service, f"controlplane-copy/{uuid}/{to}")


async def copy(
    source: CellService,
    active: Incarnation,
    record: Record,
    to: str,
    told: Callable[[CopyProgress], None],
) -> CopyProgress:
    """Replicate every execution and see each at the other side, task queues' settings included.

    Whoever stops waiting leaves it running, for the next one to follow.
    """
    copying = copy_of(source, record.uuid, to)
    await copying.begin_or_follow(_TYPE, _arguments(record.name, source.name_of(to)))
    progress = CopyProgress(0, 0)
    while True:
        status = await copying.status()
        if status not in (WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.COMPLETED):
            break
        progress = _progress(await copying.query(_PROGRESS))
        told(progress)
        if status is WorkflowExecutionStatus.COMPLETED:
            return progress
        await asyncio.sleep(_LOOK_EVERY)
    reason = await copying.failure()
    told(replace(progress, failed=reason))
    raise ConnectionError(
        f"{called(active)} was not replicated to cell {to} ({progress.done} of {progress.of} "
        f"executions were): {reason}. See whether {to} answers and is joined with {active.cell}, "
        "then try again"
    )


def _arguments(namespace: str, cluster: str) -> Arguments:
    return {
        "Namespace": namespace,
        "Query": _ALL,
        "TargetClusterName": cluster,
        "EnableVerification": True,
        "VerifyIntervalInSeconds": 1,
        "ConcurrentActivityCount": 2,
        "OverallRps": _EXECUTIONS_PER_SECOND,
        "GetParentInfoRPS": _EXECUTIONS_PER_SECOND,
        "ListWorkflowsPageSize": 200,
        "PageCountPerExecution": 200,
        "TaskQueueUserDataReplicationParams": {"PageSize": 20, "RPS": 10},
    }


def _progress(status: dict[str, object]) -> CopyProgress:
    done, of = status["ReplicatedWorkflowCount"], status["TotalWorkflowCount"]
    assert isinstance(done, int)
    assert isinstance(of, int)
    # What was started meanwhile is copied too, and nobody wants to read "31 of 30".
    return CopyProgress(done, max(done, of))
