"""What Prometheus' operator is told, where a cluster has one."""

from cells.runtime.kubernetes.documents import Json
from cells.runtime.kubernetes.layout import Features, Layout
from cells.runtime.kubernetes.manifests.naming import COMPONENT, INGRESS, INSTANCE, manifest


def monitors(layout: Layout, features: Features) -> list[Json]:
    """Return the ServiceMonitors; none where nobody would read them."""
    if not features.service_monitors:
        return []
    return [
        _monitor(layout, features, "temporal", "metrics", {"port": "metrics"}),
        _monitor(
            layout, features, INGRESS, INGRESS, {"port": "status", "path": "/stats/prometheus"}
        ),
    ]


def _monitor(layout: Layout, features: Features, name: str, component: str, endpoint: Json) -> Json:
    spec: Json = {
        "selector": {"matchLabels": {COMPONENT: component, INSTANCE: layout.cell}},
        "endpoints": [{"interval": "15s", **endpoint}],
        # Temporal's own names its service; whoever scrapes must not overwrite it.
        "jobLabel": COMPONENT,
    }
    return manifest(features.service_monitors, "ServiceMonitor", layout, name, component, spec=spec)
