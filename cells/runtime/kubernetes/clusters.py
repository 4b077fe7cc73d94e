"""How a cell's cluster is reached, and a roll-out made ready."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from cells.life.ports import Progress
from cells.providers.types import ClusterAccess, Foundation
from cells.runtime.kubernetes import facts
from cells.runtime.kubernetes.client import ClusterClient, connected
from cells.runtime.kubernetes.layout import Layout
from cells.runtime.kubernetes.rollout import Rollout
from cells.runtime.kubernetes.settings import KubernetesSettings
from controlplane.secrets.port import SecretStore


class ClusterAccesses(Protocol):
    """The part of `cells.providers.ports.Cloud` that leads into clusters."""

    async def cluster_access(self, foundation: Foundation) -> ClusterAccess: ...


@dataclass(frozen=True)
class Clusters:
    """The clusters of one cloud, and what services in them are made with."""

    access: ClusterAccesses
    secrets: SecretStore
    settings: KubernetesSettings = field(default_factory=KubernetesSettings)

    @contextlib.asynccontextmanager
    async def client(self, foundation: Foundation) -> AsyncIterator[ClusterClient]:
        async with connected(partial(self.access.cluster_access, foundation)) as client:
            yield client

    async def rollout(
        self, client: ClusterClient, layout: Layout, generation: int, progress: Progress
    ) -> Rollout:
        """Return a roll-out under this generation, which has changed nothing yet."""
        return Rollout(
            client=client,
            layout=layout,
            secrets=await facts.cell_secrets(self.secrets, layout.cell),
            features=await facts.features(client),
            settings=self.settings,
            generation=generation,
            progress=progress,
        )
