"""What all pods of a cell have in common: who they are, what they may, where they run."""

from collections.abc import Sequence

from cells.runtime.kubernetes.documents import Json
from cells.runtime.kubernetes.layout import Features, Layout
from cells.runtime.kubernetes.manifests.naming import selector
from cells.runtime.kubernetes.sizes import Size

USER = 1000
"""Whom images of Temporal run as; the others can be anybody."""
TEMPORARY = "temporary"
_GIBIBYTE = 1 << 20
_GO_MEMORY = 0.9
"""What Go's heap may take of a pod's memory before it is collected harder."""


def pod(
    layout: Layout,
    component: str,
    account: str,
    containers: Sequence[Json],
    volumes: Sequence[Json],
) -> Json:
    """Return a pod that has no rights in the cluster and none on its node."""
    return {
        "serviceAccountName": account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            _spread(layout, component, "topology.kubernetes.io/zone"),
            _spread(layout, component, "kubernetes.io/hostname"),
        ],
        "containers": list(containers),
        "volumes": [*volumes, {"name": TEMPORARY, "emptyDir": {"sizeLimit": "256Mi"}}],
    }


def container(
    name: str,
    image: str,
    *,
    command: Sequence[str],
    args: Sequence[str] = (),
    mounts: Sequence[Json] = (),
    **content: object,
) -> Json:
    """Return a container that writes nowhere but where something is mounted for that."""
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "args": list(args),
        "volumeMounts": [*mounts, {"name": TEMPORARY, "mountPath": "/tmp"}],  # noqa: S108 - its own.
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **content,
    }


def resources(size: Size, share: float = 1.0) -> Json:
    """Return what a container has to itself. There is no limit of processors: being throttled
    costs latency just when there is work to do."""
    memory = f"{round(size.memory * share)}Mi"
    return {
        "requests": {"cpu": f"{round(size.cpu * share)}m", "memory": memory},
        "limits": {"memory": memory},
    }


def go_runtime(container_name: str, size: Size) -> list[Json]:
    """Return the environment in which Go uses what its container has, not what its node has."""
    return [
        processors("GOMAXPROCS", container_name),
        {"name": "GOMEMLIMIT", "value": str(round(size.memory * _GIBIBYTE * _GO_MEMORY))},
    ]


def processors(variable: str, container_name: str) -> Json:
    """Return a variable that holds the processors a container asked for, rounded up."""
    return {
        "name": variable,
        "valueFrom": {
            "resourceFieldRef": {
                "containerName": container_name,
                "resource": "requests.cpu",
                "divisor": "1",
            }
        },
    }


def from_field(variable: str, field: str) -> Json:
    return {
        "name": variable,
        "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": field}},
    }


def from_secret(variable: str, secret: str, key: str) -> Json:
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def asks_grpc(features: Features, port: int, service: str, **timing: int) -> Json:
    """Return a probe of a gRPC health service; of the port alone where nodes cannot ask it."""
    if not features.probes_grpc:
        return {"tcpSocket": {"port": port}, **timing}
    return {"grpc": {"port": port, "service": service}, **timing}


def config_volume(name: str, config_map: str) -> Json:
    return {"name": name, "configMap": {"name": config_map, "defaultMode": 0o444}}


def secret_volume(name: str, secret: str) -> Json:
    return {"name": name, "secret": {"secretName": secret, "defaultMode": 0o440}}


def mount(name: str, path: str, *, writable: bool = False) -> Json:
    mounted: Json = {"name": name, "mountPath": path}
    return mounted if writable else {**mounted, "readOnly": True}


def _spread(layout: Layout, component: str, topology: str) -> Json:
    return {
        "maxSkew": 1,
        "topologyKey": topology,
        # A zone that is lost must not keep its share of pods from running elsewhere.
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector(layout, component)},
    }
