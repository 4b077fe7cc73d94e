"""The clouds that the control plane is connected with, joined into one of each port."""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from cells.infrastructure.settings import InfrastructureSettings
from cells.infrastructure.terraform import TerraformInfrastructure
from cells.life.activities import not_connected
from cells.life.ports import Infrastructure, PlannedChanges, Progress, Services, Stores
from cells.life.types import Blueprint
from cells.providers.aws.cloud import AwsCloud
from cells.providers.aws.settings import AwsSettings
from cells.providers.gcp.cloud import GcpCloud
from cells.providers.gcp.settings import GcpSettings
from cells.providers.ports import Cloud
from cells.providers.types import Account, Foundation
from cells.release import Release, SchemaStep, Software
from cells.runtime.kubernetes.clusters import Clusters
from cells.runtime.kubernetes.runtime import KubernetesRuntime
from cells.runtime.kubernetes.services import KubernetesServices
from cells.runtime.kubernetes.settings import KubernetesSettings
from cells.runtime.ports import CellRuntime, Deployed
from cells.stores.postgres import PostgresStores, SslMode
from cells.types import CellAddresses, CellSpec, Provider
from controlplane.errors import rejected
from controlplane.secrets.port import SecretStore
from provisioning.certificates.peers import FleetPeers

KUBERNETES_SETTINGS = "CONTROLPLANE_KUBERNETES_SETTINGS"
"""Names a file of JSON: what differs from the defaults of `KubernetesSettings`."""


@dataclass(frozen=True)
class Connected:
    """One cloud, and what works in its accounts."""

    cloud: Cloud
    infrastructure: Infrastructure
    stores: Stores
    services: Services
    runtime: CellRuntime


@dataclass(frozen=True)
class Clouds:
    """Meets `Infrastructure`, `Stores` and `Services` of `cells.life.ports`: the cloud of each cell
    does."""

    connected: Mapping[Provider, Connected] = field(default_factory=dict)

    @property
    def by_provider(self) -> Mapping[Provider, Cloud]:
        return {provider: connected.cloud for provider, connected in self.connected.items()}

    async def plan(self, blueprint: Blueprint, account: Account) -> PlannedChanges:
        return await self._of(blueprint).infrastructure.plan(blueprint, account)

    async def build(self, blueprint: Blueprint, account: Account, progress: Progress) -> Foundation:
        return await self._of(blueprint).infrastructure.build(blueprint, account, progress)

    async def dismantle(self, blueprint: Blueprint, account: Account, progress: Progress) -> None:
        await self._of(blueprint).infrastructure.dismantle(blueprint, account, progress)

    async def prepare(self, blueprint: Blueprint, foundation: Foundation) -> None:
        await self._of(blueprint).stores.prepare(blueprint, foundation)

    async def forget(self, blueprint: Blueprint) -> None:
        await self._of(blueprint).stores.forget(blueprint)

    async def admitted(self, blueprint: Blueprint, foundation: Foundation) -> Sequence[str]:
        return await self._of(blueprint).services.admitted(blueprint, foundation)

    async def install(
        self, blueprint: Blueprint, foundation: Foundation, progress: Progress
    ) -> CellAddresses:
        return await self._of(blueprint).services.install(blueprint, foundation, progress)

    async def remove(
        self, blueprint: Blueprint, foundation: Foundation, progress: Progress
    ) -> None:
        await self._of(blueprint).services.remove(blueprint, foundation, progress)

    def _of(self, blueprint: Blueprint) -> Connected:
        return _of(self.connected, blueprint.provider)


@dataclass(frozen=True)
class RuntimeOfEachCell:
    """Meets `cells.runtime.ports.CellRuntime`: a cell in a cloud runs in its cluster, and every
    other one where `here` says."""

    connected: Mapping[Provider, Connected]
    here: CellRuntime

    async def running(self, cell: str, spec: CellSpec) -> Software:
        return await self._of(spec).running(cell, spec)

    async def obstacles(self, cell: str, spec: CellSpec, release: Release) -> Sequence[str]:
        return await self._of(spec).obstacles(cell, spec, release)

    async def migrate_schema(
        self, cell: str, spec: CellSpec, steps: Sequence[SchemaStep], generation: int
    ) -> None:
        await self._of(spec).migrate_schema(cell, spec, steps, generation)

    async def deploy(
        self, cell: str, spec: CellSpec, software: Software, generation: int
    ) -> Deployed:
        return await self._of(spec).deploy(cell, spec, software, generation)

    def _of(self, spec: CellSpec) -> CellRuntime:
        if spec.foundation is None:
            return self.here
        return _of(self.connected, spec.provider).runtime


@asynccontextmanager
async def connected_clouds(
    secrets: SecretStore, env: Mapping[str, str] = os.environ
) -> AsyncIterator[Clouds]:
    """Connect with the clouds that the environment has settings for, if any; a ValueError says
    what is missing or wrong."""
    clouds: dict[Provider, Cloud] = {}
    async with AsyncExitStack() as closing:
        if _has_any(env, "CONTROLPLANE_AWS_"):
            clouds[Provider.AWS] = AwsCloud(AwsSettings.from_env(env))
        if _has_any(env, "CONTROLPLANE_GCP_"):
            clouds[Provider.GCP] = google = GcpCloud(GcpSettings.from_env(env))
            closing.push_async_callback(google.close)
        if clouds:
            infrastructure = InfrastructureSettings.from_env(env)
            yield join(clouds, secrets, infrastructure, _kubernetes(env))
        else:
            yield Clouds()


def join(
    clouds: Mapping[Provider, Cloud],
    secrets: SecretStore,
    infrastructure: InfrastructureSettings,
    kubernetes: KubernetesSettings,
) -> Clouds:
    """Return the clouds with everything that works in them."""
    connected, terraform = {}, TerraformInfrastructure(infrastructure, clouds)
    tls: SslMode = "verify-full" if kubernetes.database_tls else "disable"
    for provider, cloud in clouds.items():
        clusters = Clusters(cloud, secrets, kubernetes)
        connected[provider] = Connected(
            cloud,
            terraform,
            PostgresStores(secrets, cloud, FleetPeers(secrets), tls),
            KubernetesServices(clusters),
            KubernetesRuntime(clusters),
        )
    return Clouds(connected)


def _of(connected: Mapping[Provider, Connected], provider: Provider) -> Connected:
    if provider not in connected:
        raise rejected(not_connected(provider))
    return connected[provider]


def _has_any(env: Mapping[str, str], prefix: str) -> bool:
    return any(name.startswith(prefix) and value for name, value in env.items())


def _kubernetes(env: Mapping[str, str]) -> KubernetesSettings:
    named = env.get(KUBERNETES_SETTINGS)
    if not named:
        return KubernetesSettings()
    try:
        return TypeAdapter(KubernetesSettings).validate_json(Path(named).read_bytes())
    except (OSError, ValidationError) as error:
        raise ValueError(f"{KUBERNETES_SETTINGS} names {named}: {error}") from None
