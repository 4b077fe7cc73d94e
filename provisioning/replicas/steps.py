"""How each step of a change of replicas is taken and undone, from inside its workflow."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig

from cells.placement import Placement
from cells.types import Release, Reserve
from cells.workflow import CellWorkflow
from controlplane.ids import cell_workflow_id
from provisioning.activities import ProvisioningActivities, WriteDatabase
from provisioning.ports import Incarnation
from provisioning.replicas.activities import (
    AwaitActive,
    Between,
    ChooseReplicaCell,
    Copied,
    CopyFor,
    HandOver,
    ReplicaActivities,
)
from provisioning.replicas.types import Comparison, ReplicationFacts
from provisioning.steps import PATIENT
from provisioning.types import DEMAND, DatabaseFacts, DnsFacts

COPY_PATIENCE = timedelta(seconds=30)
"""How long a look at a namespace waits for what it found missing."""
HANDOVER_PATIENCE = timedelta(seconds=20)
"""Beyond the time that a handover is allowed: for it to be seen, or taken back."""

_ABOUT_A_MINUTE = RetryPolicy(
    initial_interval=timedelta(milliseconds=500),
    maximum_interval=timedelta(seconds=10),
    maximum_attempts=10,
)
FOR_A_WHILE = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=2),
    heartbeat_timeout=timedelta(seconds=5),
    retry_policy=_ABOUT_A_MINUTE,
    # So that an undo never overtakes what it undoes.
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)
"""Steps that can be undone: tried for about a minute."""
FOR_NOW = PATIENT
"""Steps that the namespace's entity comes back to."""
FOR_EVER = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=2),
    heartbeat_timeout=timedelta(seconds=5),
    retry_policy=RetryPolicy(
        initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=30)
    ),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)
"""Undoing, and what comes after a point of no return."""
FOR_LONG = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=30),
    heartbeat_timeout=timedelta(seconds=5),
    retry_policy=_ABOUT_A_MINUTE,
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)
"""Looking at every workflow execution of a namespace."""
ONCE = ActivityConfig(
    heartbeat_timeout=timedelta(seconds=5),
    retry_policy=RetryPolicy(maximum_attempts=1),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)
"""What has an alternative: trying again would only take longer."""
BRIEFLY = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),
    heartbeat_timeout=timedelta(seconds=5),
    retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_attempts=2),
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)
"""What may concern a cell that is lost: the namespace's entity comes back to it."""

_run = workflow.execute_activity_method


async def choose_cell(region: str, cell: str, beside: tuple[str, ...]) -> Placement:
    request = ChooseReplicaCell(region, cell, beside)
    return await _run(ReplicaActivities.choose_replica_cell, request, **FOR_A_WHILE)


async def reserve(target: Incarnation) -> None:
    await _run(ProvisioningActivities.reserve_cell, target, **FOR_A_WHILE)


async def confirm(target: Incarnation) -> None:
    """Keep the capacity that is held for the replica."""
    reserved = Reserve(target.namespace, target.uid, DEMAND)
    await _cell(target.cell).signal(CellWorkflow.confirm, reserved)


async def release(target: Incarnation) -> None:
    released = Release(target.namespace, target.uid)
    await _cell(target.cell).signal(CellWorkflow.release, released)


async def write_database(target: Incarnation) -> DatabaseFacts:
    return await _run(
        ProvisioningActivities.write_database, WriteDatabase(target, None), **FOR_A_WHILE
    )


async def remove_database(target: Incarnation, patience: ActivityConfig = FOR_EVER) -> None:
    await _run(ProvisioningActivities.remove_database, target, **patience)


async def join(replica: Incarnation, cell: str) -> None:
    await _run(ReplicaActivities.join_cells, Between(replica, cell), **FOR_A_WHILE)


async def extend(active: Incarnation, to: str) -> None:
    await _run(ReplicaActivities.extend_namespace, Between(active, to), **FOR_A_WHILE)


async def withdraw(active: Incarnation, cell: str, patience: ActivityConfig = FOR_EVER) -> None:
    await _run(ReplicaActivities.withdraw_replica, Between(active, cell), **patience)


async def copy(active: Incarnation, to: str, patience: timedelta) -> Copied:
    longest = ActivityConfig(
        **{**FOR_A_WHILE, "start_to_close_timeout": patience + timedelta(minutes=1)}
    )
    return await _run(ReplicaActivities.copy_executions, CopyFor(active, to, patience), **longest)


async def compare(source: Incarnation, to: str) -> Comparison:
    return await _run(ReplicaActivities.compare_replicas, Between(source, to), **FOR_LONG)


async def close_ingress(target: Incarnation, patience: ActivityConfig = FOR_EVER) -> None:
    await _run(ProvisioningActivities.dismiss, target, **patience)


async def check_target(cell: str) -> None:
    await _run(ReplicaActivities.check_failover_target, cell, **BRIEFLY)


async def hand_over(
    active: Incarnation, to: str, within: timedelta, allowed_lag: timedelta
) -> None:
    request = HandOver(active, to, within, allowed_lag)
    once = ActivityConfig(**{**ONCE, "start_to_close_timeout": within + HANDOVER_PATIENCE})
    await _run(ReplicaActivities.hand_over, request, **once)


async def settle(at: Incarnation, patience: ActivityConfig) -> None:
    await _run(ReplicaActivities.settle_replication, at, **patience)


async def force(to: Incarnation) -> None:
    await _run(ReplicaActivities.force_failover, to, **FOR_A_WHILE)


async def await_active(at: Incarnation, active: str) -> None:
    request = AwaitActive(at, active, timedelta(seconds=30))
    await _run(ReplicaActivities.await_active, request, **FOR_A_WHILE)


async def route(replica: Incarnation, active: str, patience: ActivityConfig) -> None:
    await _run(ReplicaActivities.route_requests, Between(replica, active), **patience)


async def observe(
    at: Incarnation, patience: ActivityConfig = FOR_A_WHILE
) -> ReplicationFacts | None:
    return await _run(ReplicaActivities.observe_replication, at, **patience)


async def revive(active: Incarnation) -> int:
    return await _run(ReplicaActivities.revive_executions, active, **FOR_LONG)


async def publish_dns(target: Incarnation) -> DnsFacts:
    return await _run(ProvisioningActivities.publish_dns, target, **BRIEFLY)


def _cell(cell: str) -> workflow.ExternalWorkflowHandle[CellWorkflow]:
    return workflow.get_external_workflow_handle_for(CellWorkflow.run, cell_workflow_id(cell))
