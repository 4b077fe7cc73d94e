"""A cell whose services run in a real cluster, its pods being processes of this machine."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from cells.life.types import Blueprint
from cells.providers.types import Account, ClusterAccess, DatabaseLogin, Foundation
from cells.runtime.kubernetes.client import ClusterClient, connected
from cells.runtime.kubernetes.clusters import Clusters
from cells.runtime.kubernetes.documents import Json, text
from cells.runtime.kubernetes.runtime import KubernetesRuntime
from cells.runtime.kubernetes.services import KubernetesServices
from cells.stores.postgres import PostgresStores
from cells.types import CellAddresses, CellSpec
from controlplane.local.postgres import SUPERUSER
from controlplane.secrets.memory import MemorySecretStore
from controlplane.secrets.port import FLEET_CA, PEER_CA, PROBER_CA
from provisioning.certificates.peers import FleetPeers
from provisioning.certificates.x509 import new_ca
from tests.kubernetes.cell_settings import settings_here
from tests.kubernetes.cluster import RunningCluster
from tests.postgres import RunningPostgres, running_postgres
from tests.runtime.kubernetes.cell_in_cloud import BLUEPRINT

IMPATIENT = timedelta(seconds=12)
"""For what is known not to come up."""


@dataclass(frozen=True)
class KnownCloud:
    """A cloud that has one cluster and one database server, as far as it is asked here."""

    cluster: RunningCluster
    postgres: RunningPostgres

    async def cluster_access(self, foundation: Foundation) -> ClusterAccess:
        assert foundation.cluster == self.cluster.cluster
        return self.cluster.access

    async def database_login(self, foundation: Foundation) -> DatabaseLogin:
        assert foundation.database_secret
        return DatabaseLogin(SUPERUSER, self.postgres.password)


@dataclass(frozen=True)
class CellInCluster:
    """A cell, installed or not, and everything that is needed to do something to it."""

    cloud: KnownCloud
    blueprint: Blueprint
    foundation: Foundation
    clusters: Clusters

    @property
    def id(self) -> str:
        return self.blueprint.cell

    @property
    def services(self) -> KubernetesServices:
        return KubernetesServices(self.clusters)

    def runtime(self) -> KubernetesRuntime:
        """Return a runtime that knows of no other one."""
        return KubernetesRuntime(self.clusters)

    def spec(self, addresses: CellAddresses) -> CellSpec:
        blueprint = self.blueprint
        return CellSpec(
            provider=blueprint.provider,
            region=blueprint.region,
            ring=blueprint.ring,
            server_version=blueprint.server_version,
            capacity=blueprint.capacity,
            addresses=addresses,
            failover_version=blueprint.failover_version,
            foundation=self.foundation,
        )

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[ClusterClient]:
        async with connected(lambda: self.cloud.cluster_access(self.foundation)) as client:
            yield client

    async def pods(self, component: str) -> set[str]:
        """Return the uids of a component's pods."""
        async with self.client() as client:
            found = await client.listed(
                "v1", "Pod", self.id, label_selector=f"app.kubernetes.io/name={component}"
            )
        return {text(pod, "metadata", "uid") for pod in found if not _leaves(pod)}

    async def install(self) -> CellAddresses:
        return await self.services.install(self.blueprint, self.foundation, quietly)

    async def remove(self) -> None:
        await self.services.remove(self.blueprint, self.foundation, quietly)


@contextlib.asynccontextmanager
async def cell_in_cluster(
    cluster: RunningCluster, folder: Path, cell: str, uid: str
) -> AsyncIterator[CellInCluster]:
    """Prepare everything that a cell's services need; what is installed is removed in the end."""
    async with running_postgres(folder) as postgres:
        port = postgres.server.port
        blueprint = replace(BLUEPRINT, cell=cell, uid=uid)
        foundation = Foundation(
            account=Account("123456789012"),
            cluster=cluster.cluster,
            database=f"127.0.0.1:{port}",
            database_secret="the server's first role",
            region="us-east-1",
        )
        secrets = MemorySecretStore()
        for name in (FLEET_CA, PROBER_CA, PEER_CA):
            await secrets.put(name, new_ca(name, validity=timedelta(days=1)).to_pem())
        cloud = KnownCloud(cluster, postgres)
        stores = PostgresStores(secrets, cloud, FleetPeers(secrets), sslmode="disable")
        await stores.prepare(blueprint, foundation)
        running = CellInCluster(
            cloud, blueprint, foundation, Clusters(cloud, secrets, settings_here())
        )
        try:
            yield running
        finally:
            await running.remove()


async def quietly(_: str) -> None:
    """Hear what is being done, and say nothing."""


def _leaves(pod: Json) -> bool:
    return bool(text(pod, "metadata", "deletionTimestamp"))
