"""The composition root: the one place that knows every workflow, activity and adapter."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
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

from cells.activities import CellActivities
from cells.client import CellClient
from cells.runtime.observer import AddressObserver
from cells.types import CellView, Reserve
from cells.workflow import CellWorkflow
from controlplane.heartbeats import Heartbeats
from controlplane.identity.cell_keys import GatekeeperKeys
from controlplane.identity.distribution import KeyDistribution
from controlplane.identity.outbox import Outbox
from controlplane.identity.signing_keys import Signer
from controlplane.payloads import data_converter
from controlplane.queues import cells_queue, namespaces_queue
from controlplane.secrets.file import FileSecretStore
from controlplane.secrets.port import SecretStore
from controlplane.settings import Settings
from controlplane.store.client_certificates import RecordedClientCertificates
from controlplane.store.directory import Directory
from controlplane.store.pool import Pool, database_conninfo, open_pool
from controlplane.store.projections import Projections
from provisioning.activities import ProvisioningActivities
from provisioning.certificates.authority import FleetAuthority
from provisioning.connections import CellConnections
from provisioning.database import PostgresDatabases
from provisioning.dns.rfc2136 import Rfc2136Dns
from provisioning.ingress import GatekeeperIngress
from provisioning.proof import EndpointProber
from provisioning.temporal import TemporalRegistrar
from provisioning.workflow import NamespaceWorkflow

DEPLOYMENT = "controlplane"
GRACEFUL_SHUTDOWN = timedelta(seconds=10)
# Workflow tasks left on the queue of a worker that died go back to the others after this long.
STICKY_TIMEOUT = timedelta(seconds=3)
# As much as one process keeps moving in a region; the rest waits in its queues.
CONCURRENT_ACTIVITIES = 64

Activity = Callable[..., Awaitable[object]]


@dataclass(frozen=True)
class StoredFleet:
    """The fleet as provisioning sees it: cells read from the store, capacity held by the cells."""

    directory: Directory
    client: CellClient

    async def cells(self) -> list[CellView]:
        return await self.directory.cells()

    async def reserve(self, cell: str, request: Reserve) -> None:
        await self.client.reserve(cell, request)


async def connect_engine() -> Client:
    """Connect to the engine that Temporal's own client configuration names."""
    config = ClientConfig.load_client_connect_config()
    return await Client.connect(**config, data_converter=data_converter)


def build_workers(
    client: Client,
    cells: CellActivities,
    provisioning: ProvisioningActivities,
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
    of_cells: Sequence[Activity] = [cells.observe_cell, cells.publish_cell]
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
    ]
    deployment = _deployment(build_id) if build_id else None
    return [
        Worker(
            client,
            task_queue=task_queue,
            workflows=[entity],
            activities=activities,
            workflow_runner=runner,
            interceptors=[Heartbeats()],
            max_concurrent_activities=CONCURRENT_ACTIVITIES,
            graceful_shutdown_timeout=GRACEFUL_SHUTDOWN,
            sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
            deployment_config=deployment,
        )
        for region in regions
        for task_queue, entity, activities in (
            (namespaces_queue(region), NamespaceWorkflow, of_namespaces),
            (cells_queue(region), CellWorkflow, of_cells),
        )
    ]


def _deployment(build_id: str) -> WorkerDeploymentConfig:
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(DEPLOYMENT, build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.PINNED,
    )


@asynccontextmanager
async def adapters(
    settings: Settings, client: Client
) -> AsyncIterator[tuple[CellActivities, ProvisioningActivities]]:
    """Join the activities with the adapters for the real world."""
    async with AsyncExitStack() as closing:
        secrets = FileSecretStore(settings.secrets_dir, settings.secrets_key_file)
        pool = await open_pool(settings, secrets)
        closing.push_async_callback(pool.close)
        directory, projections = Directory(pool), Projections(pool)
        connections = CellConnections(directory, secrets)
        closing.push_async_callback(connections.close)
        ingress = GatekeeperIngress(directory, connections, secrets)
        closing.push_async_callback(ingress.close)
        account_keys = await closing.enter_async_context(
            _distributing_keys(settings, secrets, pool, connections)
        )
        dns = Rfc2136Dns(settings.zone, settings.dns_servers, secrets)
        yield (
            CellActivities(AddressObserver(secrets), projections),
            ProvisioningActivities(
                zone=settings.zone,
                fleet=StoredFleet(directory, CellClient(client)),
                databases=PostgresDatabases(connections, secrets),
                certificates=FleetAuthority(secrets),
                registrar=TemporalRegistrar(directory),
                ingress=ingress,
                account_keys=account_keys,
                client_certificates=RecordedClientCertificates(pool),
                dns=dns,
                prober=EndpointProber(directory, secrets, dns.resolve),
                projection=projections,
            ),
        )


@asynccontextmanager
async def _distributing_keys(
    settings: Settings, secrets: SecretStore, pool: Pool, connections: CellConnections
) -> AsyncIterator[KeyDistribution]:
    """Tell the cells of the worker's regions of every change of API keys until the block ends."""
    cells = GatekeeperKeys(Directory(pool), connections)
    distribution = KeyDistribution(
        pool,
        Signer(secrets),
        cells,
        Outbox(pool, settings.regions),
        await database_conninfo(settings, secrets),
    )
    following = asyncio.create_task(distribution.run())
    try:
        yield distribution
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
        await cells.close()


async def run() -> None:
    """Work until told to stop."""
    settings = Settings.from_env()
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    client = await connect_engine()
    async with adapters(settings, client) as (cells, provisioning), AsyncExitStack() as running:
        for worker in build_workers(
            client, cells, provisioning, settings.regions, build_id=settings.build_id
        ):
            await running.enter_async_context(worker)
        await stop.wait()


def main() -> None:
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run())
