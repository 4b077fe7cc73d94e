"""How far a roll-out, a Job and a load balancer have come.

What a status says counts only when it is about the object as it is now: after a change, the
conditions of the one before stand for a while, that of a failure included.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto

from cells.life.ports import Progress
from cells.runtime.kubernetes.client import ClusterClient
from cells.runtime.kubernetes.documents import Json, elements, mapping, name_of, number, text
from cells.runtime.kubernetes.errors import ClusterUnavailable
from cells.runtime.kubernetes.layout import Layout
from cells.runtime.kubernetes.reasons import (
    failed_condition,
    image_problem,
    most_restarts,
    newest_pods_of,
    pods_of,
    reasons,
)
from cells.runtime.kubernetes.settings import Pace

_CONTROLLERS_SECONDS = 60.0
"""How long the cluster's controllers may take to notice an object, or a deadline of one."""

Check = Callable[[], Awaitable[None]]
"""Raises when whoever waits has no business waiting any more."""


class Failed(Exception):
    """It does not come up; the message says why."""


class Standing(Enum):
    """Where a roll-out is."""

    UNSEEN = auto()
    """Its controller has not seen the object as it is now."""
    UNDER_WAY = auto()
    DONE = auto()
    STUCK = auto()
    """It has made no progress for as long as it may."""


@dataclass(frozen=True)
class Look:
    standing: Standing
    told: str
    """How far it is, for people."""


def look_at(deployment: Json) -> Look:
    """Say how far a Deployment is. Pure."""
    wanted = number(deployment, "spec", "replicas")
    updated = number(deployment, "status", "updatedReplicas")
    ready = number(deployment, "status", "availableReplicas")
    every = number(deployment, "status", "replicas")
    told = f"{min(updated, ready)} of {wanted} new pods serve"
    generation = number(deployment, "metadata", "generation")
    if number(deployment, "status", "observedGeneration") < generation:
        return Look(Standing.UNSEEN, "not noticed yet")
    if updated == wanted == every == ready:
        return Look(Standing.DONE, told)
    if _exceeded_deadline(deployment):
        return Look(Standing.STUCK, told)
    return Look(Standing.UNDER_WAY, told)


async def rolled_out(
    client: ClusterClient,
    layout: Layout,
    component: str,
    pace: Pace,
    progress: Progress,
    check: Check,
) -> None:
    """Return once every pod of a component is as it should be and serves; raise Failed when none
    has come up for too long."""
    looking = asyncio.get_running_loop()
    patience = pace.progress_deadline.total_seconds() + _CONTROLLERS_SECONDS
    told, since = "", looking.time()
    while True:
        await check()
        found = await client.get("apps/v1", "Deployment", component, layout.namespace)
        if found is None:
            raise Failed(f"{component}: somebody has deleted its Deployment")
        look = look_at(found)
        if look.standing is Standing.DONE:
            return
        if look.standing is Standing.STUCK:
            raise Failed(await _why(client, layout, component, look.told))
        if look.standing is Standing.UNDER_WAY:
            pods = await newest_pods_of(client, layout, found)
            if most_restarts(pods) >= pace.most_restarts:
                raise Failed(await _why(client, layout, component, look.told))
        if look.told != told:
            told, since = look.told, looking.time()
            await progress(f"{component}: {told}")
        if looking.time() - since > patience:
            # Nobody says that the deadline has passed: whoever should is not at work.
            raise ClusterUnavailable(
                f"{component}: {told} for {patience:.0f} s, and the cluster's controllers say "
                f"nothing: are they running?"
            )
        await asyncio.sleep(pace.look.total_seconds())


async def completed(
    client: ClusterClient,
    layout: Layout,
    job: Json,
    pace: Pace,
    check: Check,
) -> None:
    """Return once the Job has done its work; raise Failed when it has given up, or when its image
    cannot be had."""
    looking = asyncio.get_running_loop()
    name = text(job, "metadata", "name")
    imageless: float | None = None
    while True:
        await check()
        found = await client.get("batch/v1", "Job", name, layout.namespace)
        if found is None:
            raise Failed(f"{name}: somebody has deleted the Job")
        if failed_condition(found, "Complete"):
            return
        pods = await client.listed("v1", "Pod", layout.namespace, label_selector=f"job-name={name}")
        if why := failed_condition(found, "Failed"):
            said = "; ".join(await reasons(client, layout, pods)) or why
            raise Failed(f"{name}: {said}")
        problem = next(filter(None, map(image_problem, pods)), "")
        if problem and imageless is None:
            imageless = looking.time()
        elif not problem:
            imageless = None
        elif imageless is not None and looking.time() - imageless > _image_seconds(pace):
            raise Failed(problem)
        await asyncio.sleep(pace.look.total_seconds())


async def balanced(
    client: ClusterClient, layout: Layout, name: str, pace: Pace, progress: Progress
) -> str:
    """Return the host at which a load balancer answers, once the cloud has made it."""
    await progress(f"{name}: waiting for its load balancer")
    patience = pace.load_balancer_deadline
    until = asyncio.get_running_loop().time() + patience.total_seconds()
    while asyncio.get_running_loop().time() < until:
        found = await client.get("v1", "Service", name, layout.namespace)
        for address in elements(found or {}, "status", "loadBalancer", "ingress"):
            if host := text(address, "hostname") or text(address, "ip"):
                return host
        await asyncio.sleep(pace.look.total_seconds())
    raise Failed(
        f"the Service {name} got no load balancer within {patience}: look at its events with "
        f"kubectl -n {layout.namespace} describe service {name}"
    )


async def gone(client: ClusterClient, documents: Sequence[Json], pace: Pace) -> None:
    """Return once none of the objects is there any more, and what they stood for is removed."""
    until = asyncio.get_running_loop().time() + pace.removal_deadline.total_seconds()
    left = list(documents)
    while left:
        if asyncio.get_running_loop().time() > until:
            names = ", ".join(map(name_of, left))
            raise Failed(f"not gone within {pace.removal_deadline}: {names}")
        left = [document for document in left if await _is_there(client, document)]
        if left:
            await asyncio.sleep(pace.look.total_seconds())


async def _is_there(client: ClusterClient, document: Json) -> bool:
    metadata = mapping(document, "metadata")
    found = await client.get(
        text(document, "apiVersion"),
        text(document, "kind"),
        text(metadata, "name"),
        text(metadata, "namespace"),
    )
    return found is not None and text(found, "metadata", "uid") == text(metadata, "uid")


async def _why(client: ClusterClient, layout: Layout, component: str, told: str) -> str:
    found = await reasons(client, layout, await pods_of(client, layout, component))
    return f"{component}: {told}: {'; '.join(found) or 'its pods do not say why'}"


def _exceeded_deadline(deployment: Json) -> bool:
    return any(
        text(condition, "type") == "Progressing"
        and text(condition, "status") == "False"
        and text(condition, "reason") == "ProgressDeadlineExceeded"
        for condition in elements(deployment, "status", "conditions")
    )


def _image_seconds(pace: Pace) -> float:
    """A registry may be slow to answer; an image that is not there stays away."""
    return min(pace.progress_deadline, timedelta(minutes=1)).total_seconds() / 2
