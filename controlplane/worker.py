"""The worker process: the one place that knows every workflow and every activity."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta

from temporalio.client import Client
from temporalio.common import VersioningBehavior
from temporalio.envconfig import ClientConfig
from temporalio.worker import (
    UnsandboxedWorkflowRunner,
    Worker,
    WorkerDeploymentConfig,
    WorkerDeploymentVersion,
    WorkflowRunner,
)

from cells.ledger.workflow import LedgerWorkflow
from cells.life.workflow import CellLifeWorkflow
from cells.runtime.ports import CellRuntime
from cells.visits.workflow import CellVisitWorkflow
from cells.workflow import CellWorkflow
from controlplane.adapters import Activities, adapters
from controlplane.heartbeats import Heartbeats
from controlplane.payloads import data_converter
from controlplane.queues import cells_queue, fleet_queue, namespaces_queue
from controlplane.settings import Settings
from provisioning.automatic.client import AvailabilityClient
from provisioning.automatic.workflow import AvailabilityWorkflow
from provisioning.evacuation.workflow import EvacuationWorkflow
from provisioning.replicas.workflow import ReplicaChangeWorkflow
from provisioning.workflow import NamespaceWorkflow
from rollout.workflow import RolloutWorkflow

DEPLOYMENT = "controlplane"
GRACEFUL_SHUTDOWN = timedelta(seconds=10)
# Workflow tasks left on the queue of a worker that died go back to the others after this long.
STICKY_TIMEOUT = timedelta(seconds=3)
# As much as one process keeps moving in a region; the rest waits in its queues.
CONCURRENT_ACTIVITIES = 64

Activity = Callable[..., Awaitable[object]]


async def connect_engine() -> Client:
    """Connect to the engine that Temporal's own client configuration names."""
    config = ClientConfig.load_client_connect_config()
    return await Client.connect(**config, data_converter=data_converter)


def build_workers(
    client: Client,
    activities: Activities,
    regions: Sequence[str],
    *,
    build_id: str | None = None,
    workflow_runner: WorkflowRunner | None = None,
) -> list[Worker]:
    """Return a worker per task queue; with a build id, they join the versioned deployment.

    Workflows run unsandboxed unless a runner is given. The sandbox finds non-determinism, which is
    for tests to do, on every path they take; a worker in production would spend a third to a half
    of its time in it.
    """
    runner = workflow_runner or UnsandboxedWorkflowRunner()
    cells, visits, provisioning = activities.cells, activities.visits, activities.provisioning
    rollouts, replicas = activities.rollouts, activities.replicas
    evacuations, availability = activities.evacuations, activities.availability
    sites, lives = activities.sites, activities.lives
    of_the_fleet: Sequence[Activity] = [
        rollouts.take_inventory,
        rollouts.gather_evidence,
        rollouts.acquire_lease,
        rollouts.give_back_lease,
        rollouts.supersede_rollout,
        rollouts.publish_rollout,
        activities.ledger.publish_ledger,
        availability.survey_fleet,
        availability.survey_namespaces,
        availability.move_namespaces,
        availability.publish_availability,
        evacuations.survey_cell,
        evacuations.cordon_for_evacuation,
        evacuations.uncordon_after_evacuation,
        evacuations.take_evacuation_lease,
        evacuations.give_back_evacuation_lease,
        evacuations.begin_move,
        evacuations.follow_move,
        evacuations.tell_wish,
        evacuations.publish_evacuation,
        lives.register_cell,
        lives.open_cell,
        lives.cordon_leaving_cell,
        lives.count_residents,
        lives.forget_cell,
        lives.publish_life,
    ]
    of_cells: Sequence[Activity] = [
        cells.observe_cell,
        cells.publish_cell,
        visits.begin_visit,
        visits.inspect_cell,
        visits.migrate_schema,
        visits.deploy_software,
        visits.verify_cell,
        visits.fence_visit,
        visits.end_visit,
        availability.probe_cells,
        availability.ask_peers,
        sites.find_obstacles,
        sites.ensure_account,
        sites.build_infrastructure,
        sites.enter_cluster,
        sites.prepare_stores,
        sites.install_services,
        sites.publish_cell_name,
        sites.prove_cell,
        sites.withdraw_cell_name,
        sites.remove_services,
        sites.forget_stores,
        sites.dismantle_infrastructure,
        sites.find_account,
        sites.sweep_account,
        sites.close_account,
    ]
    of_namespaces: Sequence[Activity] = [
        provisioning.choose_cell,
        provisioning.reserve_cell,
        provisioning.write_database,
        provisioning.remove_database,
        provisioning.issue_certificate,
        provisioning.issue_client_certificate,
        provisioning.destroy_certificate,
        provisioning.register,
        provisioning.rename_attribute,
        provisioning.deregister,
        provisioning.admit,
        provisioning.dismiss,
        provisioning.publish_dns,
        provisioning.withdraw_dns,
        provisioning.prove,
        provisioning.observe_namespace,
        provisioning.publish_namespace,
        replicas.choose_replica_cell,
        replicas.check_failover_target,
        replicas.join_cells,
        replicas.extend_namespace,
        replicas.copy_executions,
        replicas.compare_replicas,
        replicas.hand_over,
        replicas.force_failover,
        replicas.settle_replication,
        replicas.await_active,
        replicas.revive_executions,
        replicas.withdraw_replica,
        replicas.route_requests,
        replicas.observe_replication,
    ]
    deployment = _deployment(build_id) if build_id else None
    in_regions = (
        queue
        for region in regions
        for queue in (
            (
                namespaces_queue(region),
                [NamespaceWorkflow, ReplicaChangeWorkflow],
                of_namespaces,
            ),
            (cells_queue(region), [CellWorkflow, CellVisitWorkflow], of_cells),
        )
    )
    return [
        Worker(
            client,
            task_queue=task_queue,
            workflows=workflows,
            activities=doing,
            workflow_runner=runner,
            interceptors=[Heartbeats()],
            max_concurrent_activities=CONCURRENT_ACTIVITIES,
            graceful_shutdown_timeout=GRACEFUL_SHUTDOWN,
            sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
            deployment_config=deployment,
        )
        for task_queue, workflows, doing in (
            (
                fleet_queue(),
                [
                    RolloutWorkflow,
                    LedgerWorkflow,
                    EvacuationWorkflow,
                    AvailabilityWorkflow,
                    CellLifeWorkflow,
                ],
                of_the_fleet,
            ),
            *in_regions,
        )
    ]


def _deployment(build_id: str) -> WorkerDeploymentConfig:
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(DEPLOYMENT, build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.PINNED,
    )


async def run(runtime: CellRuntime) -> None:
    """Work until told to stop; `runtime` is what changes the servers of the cells."""
    settings = Settings.from_env()
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    client = await connect_engine()
    async with adapters(settings, client, runtime) as activities, AsyncExitStack() as running:
        for worker in build_workers(
            client, activities, settings.regions, build_id=settings.build_id
        ):
            await running.enter_async_context(worker)
        await AvailabilityClient(client).begin()
        await stop.wait()


def main(runtime: CellRuntime) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(runtime))
