"""The Temporal services of a cell, one Deployment each."""

from dataclasses import dataclass

from cells.runtime.kubernetes.documents import Json
from cells.runtime.kubernetes.layout import Features, Layout
from cells.runtime.kubernetes.manifests import pods
from cells.runtime.kubernetes.manifests.naming import (
    INSTANCE,
    ROLE,
    TEMPORAL,
    Service,
    labels,
    manifest,
    selector,
)
from cells.runtime.kubernetes.settings import KubernetesSettings
from cells.runtime.kubernetes.sizes import Size, Sizes, sizes_for
from cells.runtime.kubernetes.temporal_config import (
    HTTP_PORT,
    MEMBERSHIP_PORTS,
    METRICS_PORT,
    PASSWORD_VARIABLE,
    RPC_PORTS,
    drain_seconds,
)

CONTAINER = "temporal"
CONFIG_FOLDER = "/etc/temporal/config"
DYNAMIC_FOLDER = "/etc/temporal/dynamic"
AUTHORITIES_FOLDER = "/etc/temporal/authorities"

MANY_HISTORY_PODS = 10
"""From here on history is rolled one pod at a time. Fewer are rolled by halves: every pod that goes
or comes moves shards, and so they move twice only."""

_STOP_MARGIN_SECONDS = 15
_API = "temporal.api.workflowservice.v1."
_HEALTH = {
    Service.FRONTEND: f"{_API}WorkflowService",
    Service.INTERNAL_FRONTEND: f"{_API}WorkflowService",
    Service.HISTORY: f"{_API}HistoryService",
    Service.MATCHING: f"{_API}MatchingService",
    Service.WORKER: f"{_API}WorkerService",
}
_WORKER_SAYS_HEALTH = (1, 31)
"""Since this server version the worker has a gRPC health service."""


@dataclass(frozen=True)
class TemporalFiles:
    """The names of what the services read."""

    static: str
    dynamic: str
    authorities: str
    secret: str


def deployment(
    layout: Layout,
    service: Service,
    server_version: str,
    files: TemporalFiles,
    features: Features,
    settings: KubernetesSettings,
) -> Json:
    """Return the Deployment of one service."""
    size = size_of(service, sizes_for(layout.capacity, small=settings.small))
    image = settings.images.reference(settings.images.server, server_version)
    spec: Json = {
        "replicas": size.replicas,
        "revisionHistoryLimit": 3,
        "minReadySeconds": round(settings.pace.min_ready.total_seconds()),
        "progressDeadlineSeconds": round(settings.pace.progress_deadline.total_seconds()),
        "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling(service, size.replicas)},
        "selector": {"matchLabels": selector(layout, service)},
        "template": {
            "metadata": {
                "labels": {
                    **labels(layout, service),
                    ROLE: TEMPORAL,
                    "app.kubernetes.io/version": server_version,
                },
            },
            "spec": {
                **pods.pod(
                    layout,
                    service,
                    TEMPORAL,
                    [_container(service, image, server_version, size, files, features)],
                    _volumes(files),
                ),
                "terminationGracePeriodSeconds": drain_seconds(service, settings)
                + _STOP_MARGIN_SECONDS,
            },
        },
    }
    return manifest("apps/v1", "Deployment", layout, service, service, spec=spec)


def size_of(service: Service, sizes: Sizes) -> Size:
    match service:
        case Service.HISTORY:
            return sizes.history
        case Service.MATCHING:
            return sizes.matching
        case Service.WORKER:
            return sizes.worker
        case Service.INTERNAL_FRONTEND:
            return sizes.internal_frontend
        case Service.FRONTEND:
            return sizes.frontend


def rolling(service: Service, replicas: int) -> Json:
    """Return how many pods are replaced at once."""
    match service:
        case Service.HISTORY if replicas < MANY_HISTORY_PODS:
            return {"maxSurge": "50%", "maxUnavailable": "50%"}
        case Service.HISTORY:
            return {"maxSurge": 1, "maxUnavailable": 0}
        case Service.FRONTEND | Service.INTERNAL_FRONTEND:
            # Clients are never turned away.
            return {"maxSurge": "25%", "maxUnavailable": 0}
        case Service.MATCHING | Service.WORKER:
            return {"maxSurge": "50%", "maxUnavailable": 0}


def disruption_budget(layout: Layout, component: str, features: Features) -> Json:
    """Return how many pods whoever empties nodes may take away at once."""
    spec: Json = {
        "maxUnavailable": 1,
        "selector": {"matchLabels": selector(layout, component)},
    }
    return manifest(
        features.disruption_budgets, "PodDisruptionBudget", layout, component, component, spec=spec
    )


def headless_metrics(layout: Layout) -> Json:
    """Return the Service by which Prometheus finds every pod, ready or not."""
    spec: Json = {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": {INSTANCE: layout.cell, ROLE: TEMPORAL},
        "ports": [
            {"name": "metrics", "port": METRICS_PORT, "targetPort": "metrics", "protocol": "TCP"}
        ],
    }
    return manifest("v1", "Service", layout, "metrics", "metrics", spec=spec)


def _container(
    service: Service,
    image: str,
    server_version: str,
    size: Size,
    files: TemporalFiles,
    features: Features,
) -> Json:
    ports: list[Json] = [
        {"name": "rpc", "containerPort": RPC_PORTS[service], "protocol": "TCP"},
        {"name": "membership", "containerPort": MEMBERSHIP_PORTS[service], "protocol": "TCP"},
        {"name": "metrics", "containerPort": METRICS_PORT, "protocol": "TCP"},
    ]
    if service is Service.FRONTEND:
        ports.append({"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"})
    return pods.container(
        CONTAINER,
        image,
        command=["temporal-server"],
        args=[
            f"--config-file={CONFIG_FOLDER}/config.yaml",
            "--allow-no-auth",  # Network policies say who reaches it; tenants come by the ingress.
            "start",
            f"--service={service}",
        ],
        mounts=[
            pods.mount("config", CONFIG_FOLDER),
            pods.mount("dynamic", DYNAMIC_FOLDER),
            pods.mount("authorities", AUTHORITIES_FOLDER),
        ],
        env=[
            pods.from_field("POD_IP", "status.podIP"),
            pods.from_secret(PASSWORD_VARIABLE, files.secret, "password"),
            *pods.go_runtime(CONTAINER, size),
        ],
        ports=ports,
        resources=pods.resources(size),
        readinessProbe=_readiness(service, server_version, features),
        livenessProbe={
            "tcpSocket": {"port": RPC_PORTS[service]},
            # A history pod takes its time to get its shards.
            "initialDelaySeconds": 150,
            "periodSeconds": 20,
            "failureThreshold": 6,
        },
    )


def _readiness(service: Service, server_version: str, features: Features) -> Json:
    timing = {"periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 3}
    major, minor, *_ = (int(part) for part in server_version.split("."))
    if service is Service.WORKER and (major, minor) < _WORKER_SAYS_HEALTH:
        return {"tcpSocket": {"port": MEMBERSHIP_PORTS[service]}, **timing}
    return pods.asks_grpc(features, RPC_PORTS[service], _HEALTH[service], **timing)


def _volumes(files: TemporalFiles) -> list[Json]:
    return [
        pods.config_volume("config", files.static),
        pods.config_volume("dynamic", files.dynamic),
        pods.config_volume("authorities", files.authorities),
    ]
