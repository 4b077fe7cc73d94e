"""Small workloads to see how the stand-in runs them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.eventually import eventually
from tests.kubernetes.api import Json, KubernetesApi, Refused
from tests.kubernetes.cluster import RunningCluster

_PATIENCE_SECONDS = 120.0

WEB_PORT = 8000
WEB: Json = {
    "name": "web",
    "image": "registry.example.com/mirror/busybox:1.36",
    "command": ["sh", "-ec"],
    "args": [
        "mkdir -p /files && exec python -m http.server ${LISTEN##*:} --bind 127.0.0.1 "
        "--directory /files"
    ],
    "env": [{"name": "LISTEN", "value": f"0.0.0.0:{WEB_PORT}"}],
    "ports": [{"name": "http", "containerPort": WEB_PORT}],
    "readinessProbe": {"httpGet": {"path": "/", "port": "http"}},
    "volumeMounts": [{"name": "files", "mountPath": "/files"}],
}
"""A container that serves files over HTTP, of a volume `files`."""


@dataclass(frozen=True)
class Space:
    """A namespace of one test."""

    api: KubernetesApi
    name: str
    cluster: RunningCluster

    def path(self, kind: str, name: str = "") -> str:
        """Return the path of a kind, or of one object, such as `deployments` or `pods`."""
        group = {"deployments": "/apis/apps/v1", "jobs": "/apis/batch/v1"}.get(kind, "/api/v1")
        return f"{group}/namespaces/{self.name}/{kind}" + (f"/{name}" if name else "")

    async def create(self, kind: str, name: str, **content: Any) -> None:
        await self.api.create(self.path(kind), {"metadata": {"name": name}, **content})

    async def get(self, kind: str, name: str) -> Json:
        return await self.api.get(self.path(kind, name))

    async def pods(self) -> list[Json]:
        items: list[Json] = (await self.api.get(self.path("pods")))["items"]
        return items

    async def deploy(
        self, name: str, container: Json, volumes: Sequence[Json] = (), **spec: Any
    ) -> None:
        """Create or replace a Deployment of one container."""
        labels = {"app": name}
        document: Json = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "containers": [container],
                        "volumes": list(volumes),
                        "terminationGracePeriodSeconds": 10,
                    },
                },
                **spec,
            },
        }
        await self.apply("deployments", name, document)

    async def apply(self, kind: str, name: str, document: Json, manager: str = "tests") -> Json:
        """Apply on the server's side, as one manager of fields."""
        path = f"{self.path(kind, name)}?fieldManager={manager}"
        return await self.api.patch(path, document, "application/apply-patch+yaml")

    async def until_pods_are_admitted(self) -> None:
        """Wait for the service account that every pod has."""

        spec = {"containers": [{"name": "any", "image": "any"}]}

        async def admitted() -> bool:
            try:
                path = f"{self.path('pods')}?dryRun=All"
                await self.api.create(path, {"metadata": {"name": "any"}, "spec": spec})
            except Refused:
                return False
            return True

        await eventually(admitted, within=_PATIENCE_SECONDS)

    async def until_rolled_out(self, name: str) -> None:
        """Wait until every pod is one of the newest, and available."""

        async def rolled_out() -> bool:
            deployment = await self.get("deployments", name)
            wanted, status = deployment["spec"]["replicas"], deployment["status"]
            return bool(
                status.get("observedGeneration") == deployment["metadata"]["generation"]
                and wanted
                == status.get("updatedReplicas")
                == status.get("availableReplicas")
                == status.get("replicas")
            )

        await eventually(rolled_out, within=_PATIENCE_SECONDS, every=0.2)

    async def until_waiting(self, reason: str) -> Json:
        """Wait until a container waits for this reason, and return its pod's status."""
        found: list[Json] = []

        async def waits() -> bool:
            for pod in await self.pods():
                for container in pod["status"].get("containerStatuses", []):
                    if container["state"].get("waiting", {}).get("reason") == reason:
                        found.append(pod["status"])
            return bool(found)

        await eventually(waits, within=_PATIENCE_SECONDS, every=0.2)
        return found[0]
