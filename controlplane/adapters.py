"""Joins every activity with the adapters for the real world."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from temporalio.client import Client

from cells.activities import CellActivities
from cells.client import CellClient
from cells.ingress.enforcement import Gatekeepers
from cells.ledger.activities import LedgerActivities
from cells.ledger.client import LedgerClient
from cells.life.activities import CellLifeActivities, CellSiteActivities
from cells.life.client import CellLifeClient
from cells.replication.observer import LinkObserver
from cells.replication.operator_service import OperatorServiceLinks
from cells.runtime.examiner import AddressExaminer
from cells.runtime.observer import AddressObserver
from cells.runtime.ports import CellRuntime
from cells.types import CellView, Reserve
from cells.visits.activities import VisitActivities
from controlplane.clouds import Clouds, RuntimeOfEachCell, connected_clouds
from controlplane.identity.cell_keys import GatekeeperKeys
from controlplane.identity.distribution import KeyDistribution
from controlplane.identity.outbox import Outbox
from controlplane.identity.signing_keys import Signer
from controlplane.secrets.file import FileSecretStore
from controlplane.secrets.port import SecretStore
from controlplane.settings import Settings
from controlplane.store.availability import AvailabilityProjections
from controlplane.store.cell_lives import CellLives
from controlplane.store.client_certificates import RecordedClientCertificates
from controlplane.store.directory import Directory
from controlplane.store.evacuation_projections import EvacuationProjections
from controlplane.store.fleet_sight import StoredFleetSight
from controlplane.store.inventory import StoredInventory
from controlplane.store.ledger import LedgerProjections
from controlplane.store.pool import Pool, database_conninfo, open_pool
from controlplane.store.projections import Projections
from controlplane.store.registry import FleetRegistry
from controlplane.store.replicas import StoredReplicas
from controlplane.store.replication import ReplicationLinks
from controlplane.store.rollout_projections import RolloutProjections
from provisioning.activities import ProvisioningActivities
from provisioning.automatic.activities import AvailabilityActivities
from provisioning.automatic.hearsay import LinkedPeers
from provisioning.automatic.knocking import KnockingProber
from provisioning.cell_canary import CellCanary
from provisioning.certificates.authority import FleetAuthority
from provisioning.client import NamespaceClient
from provisioning.connections import CellConnections
from provisioning.database import PostgresDatabases
from provisioning.dns.cell_names import ZoneCellNames
from provisioning.dns.rfc2136 import Rfc2136Dns
from provisioning.evacuation.activities import EvacuationActivities
from provisioning.ingress import GatekeeperIngress
from provisioning.proof import EndpointProber
from provisioning.replicas.activities import ReplicaActivities
from provisioning.replicas.temporal import TemporalReplication
from provisioning.temporal import TemporalRegistrar
from rollout.activities import RolloutActivities
from rollout.client import RolloutClient
from rollout.evidence.comparing import ComparisonGate
from rollout.evidence.gathering import GatesEvidence
from rollout.evidence.health import ExaminedGate
from rollout.evidence.ports import GateAsker
from rollout.evidence.prometheus import Prometheus
from rollout.evidence.queried import QueriedGate
from rollout.gates import GateKind


@dataclass(frozen=True)
class Activities:
    """All there are."""

    cells: CellActivities
    visits: VisitActivities
    ledger: LedgerActivities
    rollouts: RolloutActivities
    provisioning: ProvisioningActivities
    replicas: ReplicaActivities
    evacuations: EvacuationActivities
    availability: AvailabilityActivities
    sites: CellSiteActivities
    lives: CellLifeActivities


@dataclass(frozen=True)
class StoredFleet:
    """The fleet as provisioning sees it: cells read from the store, capacity held by the cells."""

    directory: Directory
    client: CellClient

    async def cells(self) -> list[CellView]:
        return await self.directory.newest()

    async def reserve(self, cell: str, request: Reserve) -> None:
        await self.client.reserve(cell, request)


@asynccontextmanager
async def adapters(
    settings: Settings, client: Client, runtime: CellRuntime, given: Clouds | None = None
) -> AsyncIterator[Activities]:
    """Join the activities with the world; `runtime` is what changes the servers of the cells that
    are in none of the clouds, which are those of the environment unless they are given."""
    async with AsyncExitStack() as closing:
        secrets = FileSecretStore(settings.secrets_dir, settings.secrets_key_file)
        clouds = (
            await closing.enter_async_context(connected_clouds(secrets)) if given is None else given
        )
        pool = await open_pool(settings, secrets)
        closing.push_async_callback(pool.close)
        directory, projections = Directory(pool), Projections(pool)
        connections = CellConnections(directory, secrets)
        closing.push_async_callback(connections.close)
        gatekeepers = Gatekeepers()
        closing.push_async_callback(gatekeepers.close)
        ingress = GatekeeperIngress(directory, connections, secrets, gatekeepers)
        account_keys = await closing.enter_async_context(
            _distributing_keys(
                settings, secrets, pool, GatekeeperKeys(directory, connections, gatekeepers)
            )
        )
        dns = Rfc2136Dns(settings.zone, settings.dns_servers, secrets)
        databases, authority = PostgresDatabases(connections, secrets), FleetAuthority(secrets)
        registrar, cells = TemporalRegistrar(directory), CellClient(client)
        fleet = StoredFleet(directory, cells)
        links = OperatorServiceLinks(directory)
        observer = AddressObserver(secrets)
        canary = CellCanary(settings.zone, databases, authority, registrar, ingress, secrets)
        examiner = AddressExaminer(observer, canary)
        yield Activities(
            cells=CellActivities(
                LinkObserver(observer, links, ReplicationLinks(pool)), projections
            ),
            visits=VisitActivities(RuntimeOfEachCell(clouds.connected, runtime), examiner, cells),
            ledger=LedgerActivities(LedgerProjections(pool)),
            rollouts=RolloutActivities(
                inventory=StoredInventory(pool),
                evidence=GatesEvidence(_askers(settings, secrets, directory, examiner)),
                ledger=LedgerClient(client),
                rollouts=RolloutClient(client),
                projection=RolloutProjections(pool),
            ),
            provisioning=ProvisioningActivities(
                zone=settings.zone,
                fleet=fleet,
                databases=databases,
                certificates=authority,
                registrar=registrar,
                ingress=ingress,
                account_keys=account_keys,
                client_certificates=RecordedClientCertificates(pool),
                dns=dns,
                prober=EndpointProber(directory, secrets, dns.resolve),
                projection=projections,
            ),
            replicas=ReplicaActivities(
                fleet=fleet,
                links=links,
                replication=TemporalReplication(directory, links),
                ingress=ingress,
            ),
            evacuations=EvacuationActivities(
                namespaces=StoredReplicas(pool),
                changes=NamespaceClient(client),
                fleet=directory,
                cells=cells,
                disturbances=LedgerProjections(pool),
                ledger=LedgerClient(client),
                projection=EvacuationProjections(pool),
            ),
            availability=AvailabilityActivities(
                sight=StoredFleetSight(pool, directory),
                prober=KnockingProber(directory),
                peers=LinkedPeers(links),
                namespaces=NamespaceClient(client),
                projection=AvailabilityProjections(pool),
            ),
            sites=CellSiteActivities(
                clouds=clouds.by_provider,
                infrastructure=clouds,
                stores=clouds,
                services=clouds,
                names=ZoneCellNames(settings.zone, dns),
                examiner=examiner,
                listener=CellLifeClient(client),
            ),
            lives=CellLifeActivities(FleetRegistry(cells, StoredReplicas(pool)), CellLives(pool)),
        )


def _askers(
    settings: Settings, secrets: SecretStore, directory: Directory, examiner: AddressExaminer
) -> Mapping[GateKind, GateAsker]:
    """Return who asks which gates: those that query need a Prometheus."""
    askers: dict[GateKind, GateAsker] = {
        GateKind.HEALTH: ExaminedGate(directory, examiner.health),
        GateKind.CANARY: ExaminedGate(directory, examiner.canaries),
    }
    if settings.prometheus_url:
        metrics = Prometheus(
            settings.prometheus_url,
            secrets,
            settings.prometheus_ca_file,
            settings.prometheus_resolution,
        )
        askers[GateKind.PROMETHEUS] = askers[GateKind.REPLICATION_LAG] = QueriedGate(metrics)
        askers[GateKind.COMPARISON] = ComparisonGate(metrics)
    return askers


@asynccontextmanager
async def _distributing_keys(
    settings: Settings, secrets: SecretStore, pool: Pool, cells: GatekeeperKeys
) -> AsyncIterator[KeyDistribution]:
    """Tell the cells of the worker's regions of every change of API keys until the block ends."""
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
