"""An engine for tests: a real Temporal server, a namespace of it per test, workers on a world."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from cells.activities import CellActivities
from cells.client import CellClient
from cells.ledger.activities import LedgerActivities
from cells.ledger.client import LedgerClient
from cells.ledger.memory import MemoryLedgerProjection
from cells.life.activities import CellLifeActivities, CellSiteActivities
from cells.life.client import CellLifeClient
from cells.life.memory import (
    MemoryCellExaminer,
    MemoryCellNames,
    MemoryInfrastructure,
    MemoryLives,
    MemoryRegistry,
    MemoryServices,
    MemoryStores,
)
from cells.providers.memory import MemoryCloud, MemoryLand
from cells.replication.memory import MemoryLinks
from cells.runtime.memory import MemoryRuntime
from cells.types import (
    NOTHING,
    Capacity,
    CellAddresses,
    CellCondition,
    CellSpec,
    CellView,
    ObservedCell,
    Provider,
)
from cells.visits.activities import VisitActivities
from cells.visits.memory import MemoryExaminer
from controlplane.adapters import Activities
from controlplane.payloads import data_converter
from controlplane.resource import Condition, ConditionStatus
from controlplane.worker import build_workers
from provisioning.activities import ProvisioningActivities
from provisioning.automatic.activities import AvailabilityActivities
from provisioning.automatic.memory import MemorySky
from provisioning.certificates.x509 import new_ca
from provisioning.client import NamespaceClient
from provisioning.evacuation.activities import EvacuationActivities
from provisioning.evacuation.memory import (
    MemoryEvacuations,
    PublishedCells,
    PublishedNamespaces,
)
from provisioning.memory import (
    MemoryAccountKeys,
    MemoryCertificates,
    MemoryClientCertificates,
    MemoryDatabases,
    MemoryDns,
    MemoryFleet,
    MemoryIngress,
    MemoryNamespaceProjection,
    MemoryProber,
    MemoryRegistrar,
    MemoryWorld,
)
from provisioning.replicas.activities import ReplicaActivities
from provisioning.replicas.memory import MemoryReplication
from provisioning.types import NamespaceSpec
from rollout.activities import RolloutActivities
from rollout.client import RolloutClient
from rollout.memory import MemoryEvidence, MemoryInventory, MemoryRollouts
from rollout.types import Fleet
from tests.sandbox import SANDBOX

BIN = Path(sys.executable).parent
REGION = "aws-us-east-1"
CELL = "aws-us-east-1-c1"
ZONE = "fleet.test"
CLIENT_CA = new_ca("the tenant's CA", validity=timedelta(days=3650)).certificate_pem.decode()


@dataclass
class MemoryCells:
    """Observed cells and published views of cells, in memory."""

    answer: Callable[[], ObservedCell] = lambda: ObservedCell("1.32.0")
    views: dict[str, CellView] = field(default_factory=dict)

    async def observe(self, cell: str, spec: CellSpec) -> ObservedCell:  # noqa: ARG002 - the port's
        return self.answer()

    async def publish_cell(self, view: CellView) -> None:
        known = self.views.get(view.id)
        if known is None or known.revision < view.revision:
            self.views[view.id] = view


@dataclass(frozen=True)
class Entities:
    """The entities of one test, and the world they act on."""

    temporal: Client
    world: MemoryWorld
    cell_parts: MemoryCells
    replication: MemoryReplication
    evacuations: MemoryEvacuations = field(default_factory=MemoryEvacuations)

    @property
    def namespaces(self) -> NamespaceClient:
        return NamespaceClient(self.temporal)

    @property
    def cells(self) -> CellClient:
        return CellClient(self.temporal)


def cell_spec(
    region: str = REGION,
    *,
    ring: int = 1,
    capacity: Capacity = Capacity(namespaces=100, actions_per_second=50_000),  # noqa: B008 - frozen
    failover_version: int = 1,
) -> CellSpec:
    nowhere = CellAddresses(
        "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4", "db", {"": "127.0.0.1:5"}
    )
    provider = Provider(region.partition("-")[0])
    return CellSpec(
        provider, region, ring, "1.32.0", capacity, nowhere, failover_version=failover_version
    )


def cell_view(cell: str = CELL, spec: CellSpec | None = None, *, ready: bool = True) -> CellView:
    status = ConditionStatus.TRUE if ready else ConditionStatus.FALSE
    condition = Condition(
        CellCondition.READY, status, "AllPartsAnswer", 1, datetime(2026, 11, 1, tzinfo=UTC)
    )
    return CellView(
        id=cell,
        spec=spec or cell_spec(),
        generation=1,
        revision=1,
        cordon=None,
        allocated=NOTHING,
        namespaces=0,
        conditions={CellCondition.READY: condition},
        server_version="1.32.0",
    )


def namespace_spec(region: str = REGION) -> NamespaceSpec:
    return NamespaceSpec(region=region, retention=timedelta(days=30), client_ca=CLIENT_CA)


def memory_activities(world: MemoryWorld) -> ProvisioningActivities:
    return ProvisioningActivities(
        zone=ZONE,
        fleet=MemoryFleet(world),
        databases=MemoryDatabases(world),
        certificates=MemoryCertificates(world),
        registrar=MemoryRegistrar(world),
        ingress=MemoryIngress(world),
        dns=MemoryDns(world),
        prober=MemoryProber(world),
        account_keys=MemoryAccountKeys(world),
        client_certificates=MemoryClientCertificates(world),
        projection=MemoryNamespaceProjection(world),
    )


def memory_replicas(world: MemoryWorld, replication: MemoryReplication) -> ReplicaActivities:
    return ReplicaActivities(
        fleet=MemoryFleet(world),
        links=MemoryLinks(world.known_cells),
        replication=replication,
        ingress=MemoryIngress(world),
    )


def all_activities(
    client: Client,
    parts: MemoryCells,
    provisioning: ProvisioningActivities,
    replicas: ReplicaActivities | None = None,
    world: MemoryWorld | None = None,
    evacuations: MemoryEvacuations | None = None,
) -> Activities:
    """Return what a worker does in a fleet that exists in memory."""
    runtime, leases, sky = MemoryRuntime(), MemoryLedgerProjection(), MemorySky()
    nowhere, land = MemoryWorld(), MemoryLand()
    return Activities(
        cells=CellActivities(parts, parts),
        visits=VisitActivities(runtime, MemoryExaminer(runtime), CellClient(client)),
        ledger=LedgerActivities(leases),
        rollouts=RolloutActivities(
            inventory=MemoryInventory(lambda: Fleet(datetime.now(UTC), cells=())),
            evidence=MemoryEvidence(),
            ledger=LedgerClient(client),
            rollouts=RolloutClient(client),
            projection=MemoryRollouts(),
        ),
        provisioning=provisioning,
        replicas=replicas or memory_replicas(nowhere, MemoryReplication(nowhere)),
        evacuations=EvacuationActivities(
            namespaces=PublishedNamespaces(nowhere.views if world is None else world.views),
            changes=NamespaceClient(client),
            fleet=PublishedCells(parts.views),
            cells=CellClient(client),
            disturbances=leases,
            ledger=LedgerClient(client),
            projection=evacuations or MemoryEvacuations(),
        ),
        availability=AvailabilityActivities(sky, sky, sky, sky, sky),
        sites=CellSiteActivities(
            clouds={provider: MemoryCloud(land) for provider in Provider},
            infrastructure=MemoryInfrastructure(land),
            stores=MemoryStores(land),
            services=MemoryServices(land),
            names=MemoryCellNames(land),
            examiner=MemoryCellExaminer(land),
            listener=CellLifeClient(client),
        ),
        lives=CellLifeActivities(MemoryRegistry(land), MemoryLives()),
    )


# As for the embedded fleet's engine, whose settings say why.
NO_ATTACHED_QUERIES = ("--dynamic-config-value", "history.maxBufferedQueryCount=0")


@asynccontextmanager
async def running_engine() -> AsyncIterator[WorkflowEnvironment]:
    """Run a Temporal server; entities roll over early on it, so that every longer test does."""
    async with await WorkflowEnvironment.start_local(
        data_converter=data_converter,
        dev_server_existing_path=str(BIN / "temporal"),
        dev_server_extra_args=[
            "--dynamic-config-value",
            "limit.historyCount.suggestContinueAsNew=15",
            *NO_ATTACHED_QUERIES,
        ],
    ) as environment:
        yield environment


@asynccontextmanager
async def running_engine_in_skipped_time() -> AsyncIterator[WorkflowEnvironment]:
    async with await WorkflowEnvironment.start_time_skipping(
        data_converter=data_converter,
        test_server_existing_path=str(BIN / "temporal-test-server"),
    ) as environment:
        yield environment


@asynccontextmanager
async def working(
    client: Client,
    *,
    world: MemoryWorld | None = None,
    activities: ProvisioningActivities | None = None,
    replication: MemoryReplication | None = None,
) -> AsyncIterator[Entities]:
    """Run workers on a world in memory that holds one ready cell."""
    world = world or MemoryWorld(known_cells=[cell_view()])
    parts = MemoryCells()
    replication, evacuations = replication or MemoryReplication(world), MemoryEvacuations()
    workers = build_workers(
        client,
        all_activities(
            client,
            parts,
            activities or memory_activities(world),
            memory_replicas(world, replication),
            world,
            evacuations,
        ),
        sorted({REGION, *(cell.spec.region for cell in world.known_cells)}),
        workflow_runner=SANDBOX,
    )
    async with AsyncExitStack() as running:
        for worker in workers:
            await running.enter_async_context(worker)
        yield Entities(client, world, parts, replication, evacuations)


async def fresh_namespace(client: Client) -> Client:
    """Return a client of a new namespace, so that tests never meet each other's entities."""
    name = f"test-{uuid4().hex[:12]}"
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(
            namespace=name, workflow_execution_retention_period=Duration(seconds=86400)
        )
    )
    config = client.config()
    config["namespace"] = name
    return Client(**config)


def with_capacity(view: CellView, capacity: Capacity) -> CellView:
    return replace(view, spec=replace(view.spec, capacity=capacity))
