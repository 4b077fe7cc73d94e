"""What a cell has in its cluster and does not need any more."""

from cells.runtime.kubernetes.client import ClusterClient
from cells.runtime.kubernetes.documents import Json, text
from cells.runtime.kubernetes.layout import Features, Layout
from cells.runtime.kubernetes.manifests.naming import owned
from cells.runtime.kubernetes.manifests.plan import Manifests

LAST_GOOD = "last-good"
"""The ConfigMap of what the cell ran when it was last well."""


def kinds(features: Features) -> list[tuple[str, str]]:
    """Return version and kind of everything that a cell is made of, its namespace and its Jobs
    aside."""
    found = [
        ("apps/v1", "Deployment"),
        (features.disruption_budgets, "PodDisruptionBudget"),
        ("v1", "Service"),
        ("networking.k8s.io/v1", "NetworkPolicy"),
        ("v1", "ConfigMap"),
        ("v1", "Secret"),
        ("v1", "ServiceAccount"),
    ]
    if features.service_monitors:
        found.append((features.service_monitors, "ServiceMonitor"))
    return found


async def prune(
    client: ClusterClient, layout: Layout, features: Features, wanted: Manifests
) -> None:
    """Delete what is the cell's and no part of it any more, such as earlier configurations."""
    kept = {_key(document) for document in wanted.everything} | {("ConfigMap", LAST_GOOD)}
    for api_version, kind in kinds(features):
        for document in await client.listed(
            api_version, kind, layout.namespace, label_selector=owned(layout)
        ):
            if _key(document) not in kept:
                await client.delete(document)


def _key(document: Json) -> tuple[str, str]:
    return text(document, "kind"), text(document, "metadata", "name")
