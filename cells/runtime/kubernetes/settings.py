"""What those who run a fleet choose about cells in Kubernetes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.metadata import version


@dataclass(frozen=True)
class Ports:
    """Where a cell's load balancers answer."""

    frontend: int = 7233
    ingress: int = 443
    ingress_status: int = 9901
    """Whether Envoy is ready, and its statistics: HTTP."""
    gatekeeper: int = 8080
    """The gatekeeper's gRPC health service."""
    replication: int = 7236
    """Where other cells pull from."""


@dataclass(frozen=True)
class Images:
    """Where images come from. A tag is the version that a cell runs."""

    registry: str = ""
    """Such as `registry.example.com/mirror`; empty for where each is published."""
    server: str = "temporalio/server"
    admin_tools: str = "temporalio/admin-tools"
    """The schema tools; of the same version as the server."""
    envoy: str = "envoyproxy/envoy"
    envoy_version: str = "v1.40.0"
    gatekeeper: str = "controlplane/gatekeeper"
    gatekeeper_version: str = field(default_factory=lambda: version("controlplane"))
    """Of cells whose software names no version of the ingress."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """By `name:tag`, the digest that an image must have, `sha256:…`."""

    def reference(self, name: str, tag: str) -> str:
        """Return what a container names to run this image and no other."""
        # A tag has no plus sign, which tells builds of one version apart.
        image = f"{name}:{tag.replace('+', '-')}"
        digest = self.digests.get(image)
        where = f"{self.registry}/{image}" if self.registry else image
        return f"{where}@{digest}" if digest else where


@dataclass(frozen=True)
class Networks:
    """Who may reach a cell, and whom it may reach, as CIDRs."""

    control_plane: tuple[str, ...] = ("10.0.0.0/8",)
    """Where workers of the control plane are."""
    fleet: tuple[str, ...] = ("10.0.0.0/8",)
    """Where other cells are: they pull from this one, and pass requests on."""
    clients: tuple[str, ...] = ("0.0.0.0/0",)
    """Where tenants' workers are."""
    monitoring: str = "monitoring"
    """The namespace, in each cluster, whose Prometheus may scrape."""


@dataclass(frozen=True)
class Pace:
    """How patient a roll-out is."""

    min_ready: timedelta = timedelta(seconds=10)
    """How long a new pod must have been ready before it counts."""
    progress_deadline: timedelta = timedelta(minutes=10)
    """How long a service may make no progress before what ran before is brought back."""
    most_restarts: int = 4
    """How often a new pod may die before nothing more is expected of it."""
    schema_retries: int = 3
    """How often a change of a schema is tried again."""
    schema_deadline: timedelta = timedelta(hours=4)
    """A change of the visibility schema took two hours on a large table."""
    load_balancer_deadline: timedelta = timedelta(minutes=10)
    answer_deadline: timedelta = timedelta(minutes=2)
    """How long until a service that is rolled out must answer through its load balancer."""
    removal_deadline: timedelta = timedelta(minutes=15)
    look: timedelta = timedelta(seconds=1)
    """Between two looks at what is under way."""
    drain: timedelta = timedelta(seconds=15)
    """How long a pod that is to go still serves while load balancers forget it."""
    membership_settles: timedelta = timedelta(seconds=10)
    """How long pods that leave and come wait for each other, so that shards move once."""


@dataclass(frozen=True)
class KubernetesSettings:
    server_versions: tuple[str, ...] = ("1.30.6", "1.31.2", "1.32.0")
    """The versions whose images there are, hops on the way to others included."""
    images: Images = field(default_factory=Images)
    ports: Ports = field(default_factory=Ports)
    networks: Networks = field(default_factory=Networks)
    pace: Pace = field(default_factory=Pace)
    ingress_is_public: bool = False
    """Whether the ingress gets an address of the internet; else it has one of the network."""
    ingress_node_port: int = 30_443
    """Where, on every node, the load balancer ends that tenants connect to privately: it is made
    with the cluster. 0 where there is none."""
    database_tls: bool = True
    """Whether the database is reached by TLS alone, its name and authority verified."""
    small: bool = False
    """One small pod of each service, for cells that carry no load."""
