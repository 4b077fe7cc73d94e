"""Why pods do not come up, as their statuses and the cluster's events have it."""

from collections.abc import Sequence

from cells.runtime.kubernetes.client import ClusterClient
from cells.runtime.kubernetes.documents import Json, elements, mapping, number, text
from cells.runtime.kubernetes.layout import Layout
from cells.runtime.kubernetes.manifests.naming import COMPONENT, INSTANCE

_LONGEST = 300
_MOST = 3
IMAGE_REASONS = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
)


async def pods_of(client: ClusterClient, layout: Layout, component: str) -> list[Json]:
    """Return the pods of a component, old ones and new ones."""
    return await client.listed(
        "v1",
        "Pod",
        layout.namespace,
        label_selector=f"{COMPONENT}={component},{INSTANCE}={layout.cell}",
    )


async def newest_pods_of(client: ClusterClient, layout: Layout, deployment: Json) -> list[Json]:
    """Return the pods that a Deployment has made as it is now."""
    revision = _revision(deployment)
    sets = await client.listed(
        "apps/v1",
        "ReplicaSet",
        layout.namespace,
        label_selector=f"{COMPONENT}={text(deployment, 'metadata', 'name')}",
    )
    names = {text(found, "metadata", "name") for found in sets if _revision(found) == revision}
    pods = await pods_of(client, layout, text(deployment, "metadata", "name"))
    return [
        pod
        for pod in pods
        if any(
            text(owner, "name") in names for owner in elements(pod, "metadata", "ownerReferences")
        )
    ]


def most_restarts(pods: Sequence[Json]) -> int:
    """Return how often the container that died most did so, of those that do not run."""
    return max(
        (
            number(status, "restartCount")
            for pod in pods
            for status in elements(pod, "status", "containerStatuses")
            if mapping(status, "state", "waiting") or mapping(status, "state", "terminated")
        ),
        default=0,
    )


async def reasons(client: ClusterClient, layout: Layout, pods: Sequence[Json]) -> Sequence[str]:
    """Return, without repeating any, why pods are not ready."""
    found = [reason for pod in pods for reason in pod_reasons(pod)]
    if not found:
        found = [
            await _warning(client, layout, pod) for pod in pods if not _is(pod, "Ready", "True")
        ]
    return list(dict.fromkeys(reason for reason in found if reason))[:_MOST]


def pod_reasons(pod: Json) -> list[str]:
    """Return what a pod's own status says of why it is not ready."""
    if _is(pod, "Ready", "True"):
        return []
    if unscheduled := _condition(pod, "PodScheduled", "False"):
        return [f"no node takes the pod: {_short(unscheduled)}"]
    statuses = [
        *elements(pod, "status", "initContainerStatuses"),
        *elements(pod, "status", "containerStatuses"),
    ]
    return [reason for status in statuses if (reason := _container_reason(status))]


def image_problem(pod: Json) -> str:
    """Return why an image of the pod cannot be had; nothing when it can."""
    for status in elements(pod, "status", "containerStatuses"):
        waiting = mapping(status, "state", "waiting")
        if text(waiting, "reason") in IMAGE_REASONS:
            message = _short(text(waiting, "message"))
            return f"there is no image {text(status, 'image')} to be had: {message}"
    return ""


def _container_reason(status: Json) -> str:
    name = text(status, "name")
    ended = mapping(status, "state", "terminated") or mapping(status, "lastState", "terminated")
    waiting = mapping(status, "state", "waiting")
    reason = text(waiting, "reason")
    if reason in IMAGE_REASONS:
        return f"{name}: {reason}: {_short(text(waiting, 'message') or text(status, 'image'))}"
    if ended and (number(ended, "exitCode") or text(ended, "reason") == "OOMKilled"):
        said = _short(text(ended, "message"))
        why = text(ended, "reason") or "Error"
        return (
            f"{name}: {reason or why}, exit code {number(ended, 'exitCode')}"
            f"{f': {said}' if said else ''}"
        )
    if reason and reason not in ("ContainerCreating", "PodInitializing"):
        return f"{name}: {reason}: {_short(text(waiting, 'message'))}"
    return ""


async def _warning(client: ClusterClient, layout: Layout, pod: Json) -> str:
    """Return what the cluster last warned of about a pod: a failing probe, a missing volume."""
    uid = text(pod, "metadata", "uid")
    events = await client.listed(
        "v1",
        "Event",
        layout.namespace,
        field_selector=f"involvedObject.uid={uid},type=Warning",
    )
    if not events:
        return ""
    latest = max(events, key=lambda event: text(event, "lastTimestamp"))
    return f"{text(latest, 'reason')}: {_short(text(latest, 'message'))}"


def _is(document: Json, condition: str, status: str) -> bool:
    return any(
        text(found, "type") == condition and text(found, "status") == status
        for found in elements(document, "status", "conditions")
    )


def _condition(document: Json, condition: str, status: str) -> str:
    """Return the message of a condition that has this status; nothing when it has another."""
    for found in elements(document, "status", "conditions"):
        if text(found, "type") == condition and text(found, "status") == status:
            return text(found, "message") or text(found, "reason") or condition
    return ""


def _short(message: str) -> str:
    """Return the end of a message on one line: what a program says last says why it died."""
    line = " ".join(message.split())
    return line if len(line) <= _LONGEST else f"…{line[-_LONGEST:]}"


def failed_condition(document: Json, condition: str) -> str:
    """Return why a condition is true; nothing when it is not."""
    return _condition(document, condition, "True")


def _revision(document: Json) -> str:
    return text(document, "metadata", "annotations", "deployment.kubernetes.io/revision")
