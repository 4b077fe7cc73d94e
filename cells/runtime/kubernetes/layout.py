"""One cell as its manifests need to know it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cells.life.types import Blueprint
from cells.providers.types import Foundation
from cells.types import Capacity, Provider


@dataclass(frozen=True)
class Immutable:
    """What never changes in a cell, and what its spec does not say: kept with its services."""

    uid: str
    history_shards: int
    network: str
    """The CIDR of the cell's own network."""


@dataclass(frozen=True)
class Layout:
    cell: str
    provider: Provider
    capacity: Capacity
    failover_version: int
    foundation: Foundation
    immutable: Immutable

    @classmethod
    def of(cls, blueprint: Blueprint, foundation: Foundation) -> "Layout":
        return cls(
            cell=blueprint.cell,
            provider=blueprint.provider,
            capacity=blueprint.capacity,
            failover_version=blueprint.failover_version,
            foundation=foundation,
            immutable=Immutable(blueprint.uid, blueprint.history_shards, blueprint.network),
        )

    @property
    def namespace(self) -> str:
        """The namespace of the cluster that everything is in."""
        return self.cell

    @property
    def database_host(self) -> str:
        return self.foundation.database.rpartition(":")[0]

    @property
    def database_port(self) -> int:
        return int(self.foundation.database.rpartition(":")[2])


@dataclass(frozen=True)
class CellSecrets:
    """The values that services are started with."""

    temporal_database: str = field(repr=False)
    gatekeeper_database: str = field(repr=False)
    sealing_key: bytes = field(repr=False)
    peer_certificate: str = field(repr=False)
    """PEM: certificate, then private key."""
    endpoint_ca: str
    """PEM: the certificate alone, as are the next two."""
    prober_ca: str
    peer_ca: str


@dataclass(frozen=True)
class Features:
    """What a cluster's API server knows."""

    version: tuple[int, int]
    """Major and minor."""
    kinds: Mapping[str, str] = field(default_factory=dict)
    """Of the kinds whose API group has several versions or may be absent: the version to use."""

    @property
    def probes_grpc(self) -> bool:
        """Whether its nodes can ask a pod's gRPC health service: since 1.24."""
        return self.version >= (1, 24)

    @property
    def disruption_budgets(self) -> str:
        return self.kinds.get("PodDisruptionBudget", "policy/v1")

    @property
    def service_monitors(self) -> str:
        """Empty where Prometheus' operator is not installed."""
        return self.kinds.get("ServiceMonitor", "")
