"""Who may talk to whom in a cell. What is not said here is denied, in both directions."""

from collections.abc import Sequence

from cells.runtime.kubernetes.documents import Json
from cells.runtime.kubernetes.layout import Layout
from cells.runtime.kubernetes.manifests import ingress
from cells.runtime.kubernetes.manifests.naming import (
    COMPONENT,
    INGRESS,
    ROLE,
    SCHEMA,
    TEMPORAL,
    Service,
    manifest,
    selector,
)
from cells.runtime.kubernetes.settings import KubernetesSettings
from cells.runtime.kubernetes.temporal_config import MEMBERSHIP_PORTS, METRICS_PORT, RPC_PORTS

_HTTPS = 443
_EVERYWHERE = "0.0.0.0/0"
_METADATA = ("169.254.169.252/32", "169.254.169.254/32", "169.254.170.23/32")
"""Where pods learn, on each cloud, which identity they have there."""
_NODE_DNS = "169.254.20.10/32"


def policies(layout: Layout, settings: KubernetesSettings) -> list[Json]:
    return [
        _policy(layout, "default-deny", {}, arriving=[], leaving=[]),
        _policy(layout, "names", {}, leaving=[_names()]),
        _temporal(layout),
        _frontend(layout, settings),
        _replication(layout, settings),
        _stores(layout, "stores", {ROLE: TEMPORAL}),
        _stores(layout, "schema-stores", {COMPONENT: SCHEMA}),
        _ingress(layout, settings),
        _metrics(layout, settings),
    ]


def _temporal(layout: Layout) -> Json:
    """Every pod of the Temporal service talks to every other."""
    ports = _ports(*RPC_PORTS.values(), *MEMBERSHIP_PORTS.values())
    peers = [{"podSelector": {"matchLabels": {ROLE: TEMPORAL}}}]
    return _policy(
        layout,
        "temporal",
        {ROLE: TEMPORAL},
        arriving=[{"from": peers, "ports": ports}],
        leaving=[{"to": peers, "ports": ports}],
    )


def _frontend(layout: Layout, settings: KubernetesSettings) -> Json:
    callers = [
        {"podSelector": {"matchLabels": selector(layout, INGRESS)}},
        # Load balancers ask from the cell's network whether a pod is well.
        *_blocks(*settings.networks.control_plane, layout.immutable.network),
    ]
    return _policy(
        layout,
        Service.FRONTEND,
        selector(layout, Service.FRONTEND),
        arriving=[{"from": callers, "ports": _ports(RPC_PORTS[Service.FRONTEND])}],
    )


def _replication(layout: Layout, settings: KubernetesSettings) -> Json:
    """Cells pull from each other's internal frontends."""
    fleet = _blocks(*settings.networks.fleet, layout.immutable.network)
    ours = _ports(RPC_PORTS[Service.INTERNAL_FRONTEND])
    theirs = _ports(settings.ports.replication)
    return _policy(
        layout,
        "replication",
        {ROLE: TEMPORAL},
        arriving=[{"from": fleet, "ports": ours}],
        leaving=[{"to": fleet, "ports": theirs}],
    )


def _stores(layout: Layout, name: str, pods: Json) -> Json:
    ports = [layout.database_port, *([_HTTPS] if layout.foundation.search else [])]
    leaving: list[Json] = [
        {"to": _blocks(layout.immutable.network), "ports": _ports(*ports)},
    ]
    if layout.foundation.identities:
        # The cloud gives an identity's credentials by a public service.
        leaving.append({"to": _blocks(_EVERYWHERE), "ports": _ports(_HTTPS)})
        leaving.append({"to": _blocks(*_METADATA), "ports": _ports(80, 988)})
    return _policy(layout, name, pods, leaving=leaving)


def _ingress(layout: Layout, settings: KubernetesSettings) -> Json:
    networks = settings.networks
    clients = _blocks(*networks.clients, *networks.fleet, layout.immutable.network)
    control_plane = _blocks(*networks.control_plane, layout.immutable.network)
    frontend = [{"podSelector": {"matchLabels": selector(layout, Service.FRONTEND)}}]
    companions = [{"podSelector": {"matchLabels": selector(layout, INGRESS)}}]
    return _policy(
        layout,
        INGRESS,
        selector(layout, INGRESS),
        arriving=[
            {"from": clients, "ports": _ports(ingress.LISTEN_PORT)},
            {"from": control_plane, "ports": _ports(ingress.STATUS_PORT, ingress.HEALTH_PORT)},
            {"from": companions, "ports": _ports(ingress.HEALTH_PORT)},
        ],
        leaving=[
            {"to": frontend, "ports": _ports(RPC_PORTS[Service.FRONTEND])},
            {"to": companions, "ports": _ports(ingress.HEALTH_PORT)},
            {"to": _blocks(layout.immutable.network), "ports": _ports(layout.database_port)},
            # Other cells' ingresses, to which it passes requests on.
            {
                "to": _blocks(_EVERYWHERE if settings.ingress_is_public else "", *networks.fleet),
                "ports": _ports(settings.ports.ingress),
            },
        ],
    )


def _metrics(layout: Layout, settings: KubernetesSettings) -> Json:
    scrapers = [
        {
            "namespaceSelector": {
                "matchLabels": {"kubernetes.io/metadata.name": settings.networks.monitoring}
            }
        }
    ]
    ports = _ports(METRICS_PORT, ingress.STATUS_PORT)
    return _policy(layout, "metrics", {}, arriving=[{"from": scrapers, "ports": ports}])


def _names() -> Json:
    """Pods ask the cluster's name servers, wherever they run in it."""
    port: list[Json] = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
    return {"to": [{"namespaceSelector": {}}, *_blocks(_NODE_DNS)], "ports": port}


def _policy(
    layout: Layout,
    name: str,
    pods: Json,
    *,
    arriving: Sequence[Json] | None = None,
    leaving: Sequence[Json] | None = None,
) -> Json:
    spec: Json = {
        "podSelector": {"matchLabels": pods} if pods else {},
        "policyTypes": [
            *(["Ingress"] if arriving is not None else []),
            *(["Egress"] if leaving is not None else []),
        ],
    }
    if arriving:
        spec["ingress"] = list(arriving)
    if leaving:
        spec["egress"] = list(leaving)
    return manifest("networking.k8s.io/v1", "NetworkPolicy", layout, name, "network", spec=spec)


def _blocks(*networks: str) -> list[Json]:
    return [{"ipBlock": {"cidr": cidr}} for cidr in dict.fromkeys(networks) if cidr]


def _ports(*numbers: int) -> list[Json]:
    return [{"port": number, "protocol": "TCP"} for number in numbers]
