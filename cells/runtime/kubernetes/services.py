"""A cell's services brought to a new cluster, and taken out of it again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from temporalio.exceptions import ApplicationError

from cells.life.ports import Progress
from cells.life.types import Blueprint
from cells.providers.types import Foundation
from cells.release import Software
from cells.runtime.kubernetes import record as records
from cells.runtime.kubernetes.client import ClusterClient
from cells.runtime.kubernetes.clusters import Clusters
from cells.runtime.kubernetes.documents import Json, elements, mapping, text
from cells.runtime.kubernetes.errors import ClusterUnavailable
from cells.runtime.kubernetes.layout import Layout
from cells.runtime.kubernetes.manifests import configuration, services
from cells.runtime.kubernetes.manifests.naming import INGRESS
from cells.runtime.kubernetes.progress import Failed, balanced, gone
from cells.runtime.kubernetes.record import Record
from cells.runtime.kubernetes.rollout import Rollout
from cells.stores.names import ingress_database
from cells.types import CellAddresses
from controlplane.errors import ErrorType, rejected

_RIGHTS = (
    ("patch", "", "namespaces"),
    ("delete", "", "namespaces"),
    ("patch", "", "configmaps"),
    ("patch", "", "secrets"),
    ("patch", "", "services"),
    ("patch", "", "serviceaccounts"),
    ("list", "", "pods"),
    ("list", "", "events"),
    ("patch", "apps", "deployments"),
    ("patch", "batch", "jobs"),
    ("patch", "networking.k8s.io", "networkpolicies"),
    ("patch", "policy", "poddisruptionbudgets"),
)
"""What we do in a cluster: verb, API group, resource."""


@dataclass(frozen=True)
class KubernetesServices:
    """Meets `cells.life.ports.Services` for cells in Kubernetes clusters."""

    clusters: Clusters

    async def admitted(self, blueprint: Blueprint, foundation: Foundation) -> Sequence[str]:  # noqa: ARG002 - the port's
        """Return why services cannot be run in the cluster."""
        try:
            async with self.clusters.client(foundation) as client:
                return [*await _missing_rights(client), *await _missing_nodes(client)]
        except ClusterUnavailable as unavailable:
            return [str(unavailable)]
        except ApplicationError as error:
            if error.type != ErrorType.REJECTED:
                raise
            return [error.message]

    async def install(
        self, blueprint: Blueprint, foundation: Foundation, progress: Progress
    ) -> CellAddresses:
        """Bring everything to the cluster; return once it serves, and where.

        A cell that was upgraded since its first installation gets what it runs now.
        """
        layout = Layout.of(blueprint, foundation)
        async with self.clusters.client(foundation) as client:
            try:
                record = await self._begin(client, layout, blueprint.server_version)
                rollout = await self.clusters.rollout(client, layout, record.generation, progress)
                return await self._install(rollout, record)
            except Failed as failed:
                raise rejected(str(failed)) from failed

    async def remove(
        self, blueprint: Blueprint, foundation: Foundation, progress: Progress
    ) -> None:
        """Remove everything, load balancers first: they would outlive the cluster."""
        layout, pace = Layout.of(blueprint, foundation), self.clusters.settings.pace
        async with self.clusters.client(foundation) as client:
            namespace = await client.get("v1", "Namespace", layout.namespace)
            if namespace is None:
                return
            outliving = await _outliving(client, layout)
            await progress(f"removing {len(outliving)} load balancers and volumes")
            for document in outliving:
                await client.delete(document)
            try:
                await gone(client, outliving, pace)
                await progress(f"removing the namespace {layout.namespace}")
                await client.delete(namespace)
                await gone(client, [namespace], pace)
            except Failed as failed:
                raise ClusterUnavailable(str(failed)) from failed

    async def _begin(self, client: ClusterClient, layout: Layout, version: str) -> Record:
        """Make the namespace and return what it remembers."""
        found = await client.get("v1", "Namespace", layout.namespace)
        if found is not None and text(found, "metadata", "deletionTimestamp"):
            await gone(client, [found], self.clusters.settings.pace)
        await client.apply(configuration.namespace(layout), force=True)

        def begun(record: Record | None) -> Record:
            if record is None:
                return Record(layout.immutable, Software(version))
            if record.immutable.uid != layout.immutable.uid:
                raise rejected(
                    f"the cluster {layout.foundation.cluster.name} has a cell {layout.cell} with "
                    f"uid {record.immutable.uid}, not {layout.immutable.uid}: remove that one first"
                )
            if record.immutable.history_shards != layout.immutable.history_shards:
                raise rejected(
                    f"cell {layout.cell} has {record.immutable.history_shards} history shards, "
                    f"which can never be {layout.immutable.history_shards}"
                )
            return replace(record, immutable=layout.immutable)

        return await records.write(client, layout.namespace, begun)

    async def _install(self, rollout: Rollout, record: Record) -> CellAddresses:
        software = record.software
        wanted = rollout.manifests(software)
        await rollout.progress("applying configuration, network policies and load balancers")
        await rollout.apply_base(wanted)
        await rollout.bring_schema(wanted, record, software.server_version)
        if record.settled:
            await rollout.roll(wanted)
        else:
            await rollout.start_all(wanted)
        addresses = await self._addresses(rollout)
        await rollout.until_it_answers(addresses.frontend, software.server_version)
        await rollout.settle(wanted, software, record.gap_seconds)
        return addresses

    async def _addresses(self, rollout: Rollout) -> CellAddresses:
        ports = rollout.settings.ports

        async def host(service: str) -> str:
            return await balanced(
                rollout.client, rollout.layout, service, rollout.settings.pace, rollout.progress
            )

        status = await host(services.INGRESS_STATUS)
        return CellAddresses(
            frontend=f"{await host(services.FRONTEND)}:{ports.frontend}",
            ingress=f"{await host(INGRESS)}:{ports.ingress}",
            ingress_admin=f"{status}:{ports.ingress_status}",
            gatekeeper=f"{status}:{ports.gatekeeper}",
            database=self._database_url(rollout.layout),
            database_ca=self._database_ca(rollout.layout),
            replication={"": f"{await host(services.REPLICATION)}:{ports.replication}"},
        )

    def _database_url(self, layout: Layout) -> str:
        name = ingress_database(layout.cell)
        url = f"postgresql://{name}@{layout.foundation.database}/{name}"
        if not self.clusters.settings.database_tls:
            return url
        by_public_authority = "" if layout.foundation.database_ca else "&sslrootcert=system"
        return f"{url}?sslmode=verify-full{by_public_authority}"

    def _database_ca(self, layout: Layout) -> str:
        return layout.foundation.database_ca if self.clusters.settings.database_tls else ""


async def _missing_rights(client: ClusterClient) -> list[str]:
    missing = [
        f"{verb} {resource}{f'.{group}' if group else ''}"
        for verb, group, resource in _RIGHTS
        if not await client.review(verb, group, resource, "")
    ]
    if not missing:
        return []
    return [
        f"the cluster lets us in, and does not allow us to {', '.join(missing)}: bind whom the "
        f"control plane acts as to the cluster role cluster-admin, or to one with these rights"
    ]


async def _missing_nodes(client: ClusterClient) -> list[str]:
    nodes = await client.listed("v1", "Node")
    if any(_is_ready(node) for node in nodes):
        return []
    return [
        f"the cluster has {len(nodes)} nodes, of which none is ready" if nodes else "no node yet"
    ]


def _is_ready(node: Json) -> bool:
    return mapping(node, "spec").get("unschedulable") is not True and any(
        text(condition, "type") == "Ready" and text(condition, "status") == "True"
        for condition in elements(node, "status", "conditions")
    )


async def _outliving(client: ClusterClient, layout: Layout) -> list[Json]:
    """Return what stands for something in the cloud that does not go with the cluster."""
    balanced = [
        service
        for service in await client.listed("v1", "Service", layout.namespace)
        if text(service, "spec", "type") == "LoadBalancer"
    ]
    return [*balanced, *await client.listed("v1", "PersistentVolumeClaim", layout.namespace)]
