"""Where a cell is reached: load balancers for those outside, Services for those inside."""

from cells.runtime.kubernetes.documents import Json
from cells.runtime.kubernetes.layout import Layout
from cells.runtime.kubernetes.manifests.ingress import HEALTH_PORT
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
            # Who connects privately comes from within the cell's own network.
            sources=(*networks.clients, layout.immutable.network),
            public=settings.ingress_is_public,
            node_port=settings.ingress_node_port,
        ),
    ]


def inner(layout: Layout) -> list[Json]:
    """Return the Services that lead to every pod by itself: by one Envoy balances requests over the
    frontends, by the other gatekeepers find each other."""
    return [
        _headless(layout, Service.FRONTEND, "rpc", RPC_PORTS[Service.FRONTEND]),
        _headless(layout, INGRESS, "health", HEALTH_PORT),
    ]


def _headless(layout: Layout, component: str, target: str, port: int) -> Json:
    spec: Json = {
        "clusterIP": "None",
        "selector": selector(layout, component),
        "ports": [_port(target, port)],
    }
    return manifest("v1", "Service", layout, f"{component}-pods", component, spec=spec)


def _balanced(
    layout: Layout,
    name: str,
    component: str,
    ports: dict[str, int],
    *,
    sources: tuple[str, ...],
    public: bool = False,
    node_port: int = 0,
) -> Json:
    fixed: Json = {"nodePort": node_port} if node_port else {}
    spec: Json = {
        "type": "LoadBalancer",
        "selector": selector(layout, component),
        "ports": [{**_port(target, port), **fixed} for target, port in ports.items()],
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
            # Those that the cloud controller of EKS itself reads.
            return {
                f"{_AWS}type": "nlb",
                f"{_AWS}cross-zone-load-balancing-enabled": "true",
                **({} if public else {f"{_AWS}internal": "true"}),
            }
        case Provider.GCP:
            if public:
                return {}
            return {
                "networking.gke.io/load-balancer-type": "Internal",
                # The control plane and other cells may be in other regions.
                "networking.gke.io/internal-load-balancer-allow-global-access": "true",
            }


def _port(target: str, port: int) -> Json:
    return {"name": target, "port": port, "targetPort": target, "protocol": "TCP"}
