"""The ingress of a cell: Envoy and its gatekeeper, in one pod, with the files that both read."""

import json
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlencode

from cells.ingress.clusters import peer_secrets, socket_address
from cells.ingress.descriptors import descriptor_set
from cells.ingress.envoy import IngressConfig, bootstrap
from cells.ingress.gatekeeper.config import GatekeeperConfig
from cells.ingress.http_filters import TYPE
from cells.release import Software
from cells.runtime.kubernetes.documents import Json
from cells.runtime.kubernetes.layout import CellSecrets, Features, Layout
from cells.runtime.kubernetes.manifests import pods
from cells.runtime.kubernetes.manifests.configuration import config_map
from cells.runtime.kubernetes.manifests.naming import INGRESS, Service, labels, manifest, selector
from cells.runtime.kubernetes.settings import KubernetesSettings
from cells.runtime.kubernetes.sizes import Size, sizes_for
from cells.runtime.kubernetes.temporal_config import RPC_PORTS
from cells.stores.names import gatekeeper_role, ingress_database

ENVOY, GATEKEEPER = "envoy", "gatekeeper"
LISTEN_PORT, STATUS_PORT, HEALTH_PORT = 10_443, 9_902, 8_080
ADMIN_PORT = 9_900
"""Envoy's administration interface, which could stop it: nothing outside the pod reaches it."""

ENVOY_FOLDER = Path("/etc/ingress/envoy")
GATEKEEPER_FOLDER = Path("/etc/ingress/gatekeeper")
AUTHORITIES_FOLDER = Path("/etc/ingress/authorities")
SECRETS_FOLDER = Path("/etc/ingress/secrets")
SHARED_FOLDER = Path("/run/ingress")

_STATUS_PATHS = ("/ready", "/stats/prometheus")
_ENVOY_SHARE = 0.75
"""Of the pod's processors and memory; the gatekeeper has the rest."""


def ingress_files(layout: Layout) -> dict[str, str | bytes]:
    """Return Envoy's files, by name."""
    config = _ingress_config(layout)
    secrets = peer_secrets(config.peer_certificate_file, config.endpoint_ca_file)
    return {
        config.bootstrap_file.name: json.dumps(_with_status(bootstrap(config)), indent=1),
        config.descriptor_file.name: descriptor_set(),
        **{name: json.dumps(secret, indent=1) for name, secret in secrets.items()},
    }


def gatekeeper_file(layout: Layout, settings: KubernetesSettings) -> str:
    """Return what the gatekeeper is told."""
    config = GatekeeperConfig(
        cell=layout.cell,
        # In a folder of its own, which the gatekeeper makes for itself and Envoy alone.
        socket=SHARED_FOLDER / "private" / "gatekeeper.sock",
        health_listen=f"0.0.0.0:{HEALTH_PORT}",
        database_url=_database_url(layout, settings),
        password_file=SECRETS_FOLDER / "gatekeeper-password",
        snapshot=SHARED_FOLDER / "snapshot",
        sealing_key_file=SECRETS_FOLDER / "sealing-key",
        prober_ca_file=AUTHORITIES_FOLDER / "prober.pem",
        peer_ca_file=AUTHORITIES_FOLDER / "peer.pem",
        envoy_folder=ENVOY_FOLDER,
        companions=f"{INGRESS}-pods.{layout.namespace}.svc:{HEALTH_PORT}",
    )
    return json.dumps({name: str(value) for name, value in asdict(config).items()}, indent=2)


def authorities(layout: Layout, secrets: CellSecrets) -> dict[str, str | bytes]:
    """Return the certificates of those whom the ingress believes, by file name."""
    files: dict[str, str | bytes] = {
        "endpoint.pem": secrets.endpoint_ca,
        "prober.pem": secrets.prober_ca,
        "peer.pem": secrets.peer_ca,
    }
    if layout.foundation.database_ca:
        files["database.pem"] = layout.foundation.database_ca
    return files


def objects(
    layout: Layout,
    software: Software,
    secrets: CellSecrets,
    secret_name: str,
    features: Features,
    settings: KubernetesSettings,
) -> tuple[list[Json], Json]:
    """Return what the ingress reads, and its Deployment."""
    envoy = config_map(layout, "envoy", INGRESS, ingress_files(layout))
    gatekeeper = config_map(
        layout, "gatekeeper", INGRESS, {"gatekeeper.json": gatekeeper_file(layout, settings)}
    )
    trusted = config_map(layout, "ingress-authorities", INGRESS, authorities(layout, secrets))
    files = [envoy, gatekeeper, trusted]
    volumes: list[Json] = [
        *(
            pods.config_volume(volume, _name(file))
            for volume, file in zip(("envoy", "gatekeeper", "authorities"), files, strict=True)
        ),
        pods.secret_volume("secrets", secret_name),
        {"name": "shared", "emptyDir": {"sizeLimit": "256Mi"}},
    ]
    return files, _deployment(layout, software, volumes, features, settings)


def _deployment(
    layout: Layout,
    software: Software,
    volumes: list[Json],
    features: Features,
    settings: KubernetesSettings,
) -> Json:
    size = sizes_for(layout.capacity, small=settings.small).ingress
    version = software.ingress_version or settings.images.gatekeeper_version
    drain = round(settings.pace.drain.total_seconds())
    mounts = [
        pods.mount("envoy", str(ENVOY_FOLDER)),
        pods.mount("authorities", str(AUTHORITIES_FOLDER)),
        pods.mount("secrets", str(SECRETS_FOLDER)),
        pods.mount("shared", str(SHARED_FOLDER), writable=True),
    ]
    spec: Json = {
        "replicas": size.replicas,
        "revisionHistoryLimit": 3,
        "minReadySeconds": round(settings.pace.min_ready.total_seconds()),
        "progressDeadlineSeconds": round(settings.pace.progress_deadline.total_seconds()),
        # Clients are never turned away.
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
        },
        "selector": {"matchLabels": selector(layout, INGRESS)},
        "template": {
            "metadata": {
                "labels": {
                    **labels(layout, INGRESS),
                    "app.kubernetes.io/version": version.replace("+", "-"),
                }
            },
            "spec": {
                **pods.pod(
                    layout,
                    INGRESS,
                    INGRESS,
                    [
                        _envoy(mounts, size, drain, settings),
                        _gatekeeper(mounts, size, version, drain, features, settings),
                    ],
                    volumes,
                ),
                "terminationGracePeriodSeconds": drain + 30,
            },
        },
    }
    return manifest("apps/v1", "Deployment", layout, INGRESS, INGRESS, spec=spec)


def _envoy(mounts: list[Json], size: Size, drain: int, settings: KubernetesSettings) -> Json:
    images = settings.images
    return pods.container(
        ENVOY,
        images.reference(images.envoy, images.envoy_version),
        command=["envoy"],
        args=[
            "--config-path",
            str(ENVOY_FOLDER / "envoy.json"),
            "--disable-hot-restart",
            "--concurrency",
            "$(PROCESSORS)",
            "--log-level",
            "warn",
        ],
        mounts=mounts,
        env=[pods.processors("PROCESSORS", ENVOY)],
        ports=[
            {"name": "ingress", "containerPort": LISTEN_PORT, "protocol": "TCP"},
            {"name": "status", "containerPort": STATUS_PORT, "protocol": "TCP"},
        ],
        resources=pods.resources(size, _ENVOY_SHARE),
        readinessProbe={
            "httpGet": {"path": "/ready", "port": STATUS_PORT},
            "periodSeconds": 3,
            "timeoutSeconds": 3,
            "failureThreshold": 2,
        },
        **_leaves_slowly(drain),
    )


def _gatekeeper(
    mounts: list[Json],
    size: Size,
    version: str,
    drain: int,
    features: Features,
    settings: KubernetesSettings,
) -> Json:
    images = settings.images
    return pods.container(
        GATEKEEPER,
        images.reference(images.gatekeeper, version),
        command=["python", "-m", "cells.ingress.gatekeeper"],
        args=[str(GATEKEEPER_FOLDER / "gatekeeper.json")],
        mounts=[*mounts, pods.mount("gatekeeper", str(GATEKEEPER_FOLDER))],
        ports=[{"name": "health", "containerPort": HEALTH_PORT, "protocol": "TCP"}],
        resources=pods.resources(size, 1 - _ENVOY_SHARE),
        readinessProbe=pods.asks_grpc(
            features, HEALTH_PORT, "", periodSeconds=3, timeoutSeconds=3, failureThreshold=2
        ),
        # Not before Envoy, which asks it about every connection.
        **_leaves_slowly(drain + 5 if drain else 0),
    )


def _leaves_slowly(seconds: int) -> Json:
    """Return how a container goes on serving while load balancers still send it connections."""
    if not seconds:
        return {}
    return {"lifecycle": {"preStop": {"exec": {"command": ["sleep", str(seconds)]}}}}


def _ingress_config(layout: Layout) -> IngressConfig:
    frontend = f"{Service.FRONTEND}-pods.{layout.namespace}.svc:{RPC_PORTS[Service.FRONTEND]}"
    return IngressConfig(
        cell=layout.cell,
        listen=f"0.0.0.0:{LISTEN_PORT}",
        admin=f"127.0.0.1:{ADMIN_PORT}",
        frontend=frontend,
        gatekeeper_socket=SHARED_FOLDER / "private" / "gatekeeper.sock",
        folder=ENVOY_FOLDER,
        peer_certificate_file=SECRETS_FOLDER / "peer-certificate.pem",
        endpoint_ca_file=AUTHORITIES_FOLDER / "endpoint.pem",
    )


def _with_status(configuration: Json) -> Json:
    """Add a listener that passes on two questions to the administration interface, and no other."""
    resources = configuration["static_resources"]
    assert isinstance(resources, dict)
    admin: Json = {
        "name": "admin",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": "admin",
            "endpoints": [
                {
                    "lb_endpoints": [
                        {"endpoint": {"address": socket_address(f"127.0.0.1:{ADMIN_PORT}")}}
                    ]
                }
            ],
        },
    }
    return {
        **configuration,
        "static_resources": {
            **resources,
            "listeners": [*resources["listeners"], _status_listener()],
            "clusters": [*resources["clusters"], admin],
        },
    }


def _status_listener() -> Json:
    manager = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    router = "envoy.extensions.filters.http.router.v3.Router"
    routes = [{"match": {"path": path}, "route": {"cluster": "admin"}} for path in _STATUS_PATHS]
    http: Json = {
        "@type": TYPE + manager,
        "stat_prefix": "status",
        "route_config": {
            "name": "status",
            "virtual_hosts": [{"name": "status", "domains": ["*"], "routes": routes}],
        },
        "http_filters": [
            {"name": "envoy.filters.http.router", "typed_config": {"@type": TYPE + router}}
        ],
    }
    name = "envoy.filters.network.http_connection_manager"
    return {
        "name": "status",
        "address": socket_address(f"0.0.0.0:{STATUS_PORT}"),
        "filter_chains": [{"filters": [{"name": name, "typed_config": http}]}],
    }


def _database_url(layout: Layout, settings: KubernetesSettings) -> str:
    role, database = gatekeeper_role(layout.cell), ingress_database(layout.cell)
    url = f"postgresql://{role}@{layout.foundation.database}/{database}"
    if not settings.database_tls:
        return url
    root = "system"
    if layout.foundation.database_ca:
        root = str(AUTHORITIES_FOLDER / "database.pem")
    return f"{url}?{urlencode({'sslmode': 'verify-full', 'sslrootcert': root}, safe='/')}"


def _name(document: Json) -> str:
    metadata = document["metadata"]
    assert isinstance(metadata, dict)
    return str(metadata["name"])
