"""Where a cell is reached: load balancers for those outside, Services for those inside."""

from cells.runtime.kubernetes.documents import Json
from cells.runtime.kubernetes.layout import Layout
from cells.runtime.kubernetes.manifests.naming import INGRESS, Service, manifest, selector
from cells.runtime.kubernetes.settings import KubernetesSettings
from cells.runtime.kubernetes.temporal_config import RPC_PORTS
from cells.types import Provider

FRONTEND, REPLICATION, INGRESS_STATUS = "frontend", "replication", "ingress-status"

_AWS = "service.beta.kubernetes.io/aws-load-balancer-"


def balanced(layout: Layout, settings: KubernetesSettings) -> list[Json]:
    """Return the Services that load balancers lead to; the cloud tells their addresses."""
    ports, networks = settings.ports, settings.networks
    control_plane = (*networks.control_plane, layout.immutable.network)
    ingress_sources = networks.clients
    return [
        _balanced(
            layout, FRONTEND, Service.FRONTEND, {"rpc": ports.frontend}, sources=control_plane
        ),
        _balanced(
            layout,
            REPLICATION,
            Service.INTERNAL_FRONTEND,
            {"rpc": ports.replication},
            sources=networks.fleet,
        ),
        _balanced(
            layout,
            INGRESS_STATUS,
            INGRESS,
            {"status": ports.ingress_status, "health": ports.gatekeeper},
            sources=control_plane,
        ),
        _balanced(
            layout,
            INGRESS,
            INGRESS,
            {"ingress": ports.ingress},
            sources=ingress_sources,
            public=settings.ingress_is_public,
        ),
    ]


def inner(layout: Layout) -> Json:
    """Return the Service by which Envoy finds every frontend pod, to balance requests over them."""
    port = RPC_PORTS[Service.FRONTEND]
    spec: Json = {
        "clusterIP": "None",
        "selector": selector(layout, Service.FRONTEND),
        "ports": [_port("rpc", port)],
    }
    name = f"{Service.FRONTEND}-pods"
    return manifest("v1", "Service", layout, name, Service.FRONTEND, spec=spec)


def _balanced(
    layout: Layout,
    name: str,
    component: str,
    ports: dict[str, int],
    *,
    sources: tuple[str, ...],
    public: bool = False,
) -> Json:
    spec: Json = {
        "type": "LoadBalancer",
        "selector": selector(layout, component),
        "ports": [_port(target, port) for target, port in ports.items()],
        "loadBalancerSourceRanges": sorted(set(sources)),
        # Pods see who calls, and a node without a pod gets nothing.
        "externalTrafficPolicy": "Local",
    }
    service = manifest("v1", "Service", layout, name, component, spec=spec)
    metadata = service["metadata"]
    assert isinstance(metadata, dict)
    metadata["annotations"] = _annotations(layout, public=public)
    return service


def _annotations(layout: Layout, *, public: bool) -> Json:
    match layout.provider:
        case Provider.AWS:
            return {
                f"{_AWS}type": "external",
                f"{_AWS}nlb-target-type": "ip",
                f"{_AWS}scheme": "internet-facing" if public else "internal",
                f"{_AWS}attributes": "load_balancing.cross_zone.enabled=true",
                f"{_AWS}target-group-attributes": (
                    "deregistration_delay.timeout_seconds=30,preserve_client_ip.enabled=true"
                ),
            }
        case Provider.GCP:
            return {} if public else {"networking.gke.io/load-balancer-type": "Internal"}


def _port(target: str, port: int) -> Json:
    return {"name": target, "port": port, "targetPort": target, "protocol": "TCP"}
