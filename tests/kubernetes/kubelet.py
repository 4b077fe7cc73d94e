"""Nodes that run pods as processes of this machine.

Files are mounted as folders, variables come from where they are said to, probes are really made,
what dies is started again, what is deleted is stopped politely. Paths, ports and service names are
replaced by those here (`start.py`). A pod's address is one that nothing has, since Kubernetes
refuses those of this machine: `Kubelet.port` says where a pod is really reached.
"""

import asyncio
import contextlib
import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from tests.eventually import eventually
from tests.kubernetes.api import Event, Json, KubernetesApi, Refused
from tests.kubernetes.balancer import Balancer
from tests.kubernetes.objects import Pod
from tests.kubernetes.pods import Node, PodRun
from tests.kubernetes.programs import Program

ZONES = ("a", "b", "c")

_READY_SECONDS = 120
_LEASE_SECONDS = 10
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_OVER = {"Succeeded", "Failed"}


@dataclass
class Kubelet:
    """All of a cluster's nodes."""

    api: KubernetesApi
    balancer: Balancer
    _pods: dict[str, PodRun] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def port(self, pod_uid: str, port: int) -> int | None:
        """Return where one of a pod's ports is reached on 127.0.0.1; None if it does not run."""
        run = self._pods.get(pod_uid)
        return None if run is None else run.ports.here(port)

    def service(self, namespace: str, name: str, port: int) -> int:
        """Return where a Service is reached on 127.0.0.1, as pods reach it."""
        return self.balancer.address(namespace, name, port)

    async def watch_pods(self, node: Node, name: str) -> None:
        """Run what is assigned to the node of this name."""
        selector = f"spec.nodeName={name}"
        async with aclosing(self.api.watch("/api/v1/pods", fieldSelector=selector)) as events:
            async for event in events:
                await self._follow(node, event)

    async def kill_all(self) -> None:
        await asyncio.gather(*(run.kill() for run in self._pods.values()))

    async def _follow(self, node: Node, event: Event) -> None:
        pod = Pod.model_validate(event.object)
        uid = pod.metadata.uid
        run = self._pods.get(uid)
        if event.kind == "DELETED":
            if run is not None:
                await run.kill()
                self._forget(uid)
        # Those of an earlier kubelet that are over stay so.
        elif run is None and event.object.get("status", {}).get("phase") not in _OVER:
            run = PodRun(node, pod, next(self._numbers), lambda: self._forget(uid))
            self._pods[uid] = run
            run.start()
        if run is not None and pod.metadata.deletion_timestamp is not None:
            run.end(float(pod.metadata.deletion_grace_period_seconds or 0))

    def _forget(self, uid: str) -> None:
        run = self._pods.pop(uid, None)
        if run is not None:
            shutil.rmtree(run.folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def running_kubelet(
    api: KubernetesApi, logs: Path, programs: Mapping[str, Program]
) -> AsyncIterator[Kubelet]:
    """Add a node in each of three zones to a cluster, and its load balancers; run what it asks for.

    Yield once pods can be scheduled.
    """
    # Not in `logs`: sockets' paths have to be short.
    folder = Path(tempfile.mkdtemp(prefix="pods-"))
    pods: dict[str, PodRun] = {}

    def pod_port(uid: str, port: int) -> int | None:
        return pods[uid].ports.here(port) if uid in pods else None

    balancer = Balancer(api, pod_port)
    kubelet = Kubelet(api, balancer, pods)
    failures: list[BaseException] = []
    node = Node(api, programs, balancer.address, folder, logs, failures)
    names = [f"node-{zone}" for zone in ZONES]
    running: list[Coroutine[Any, Any, None]] = [
        balancer.watch_services(),
        balancer.watch_endpoints(),
        *(kubelet.watch_pods(node, name) for name in names),
        *(_keep_lease(api, name) for name in names),
    ]
    tasks = [asyncio.create_task(task) for task in running]
    try:
        for name, zone in zip(names, ZONES, strict=True):
            await _register(api, name, zone)
        await eventually(lambda: _schedulable(api, names), within=_READY_SECONDS)
        yield kubelet
        for task in tasks:
            if task.done() and (failure := task.exception()) is not None:
                failures.append(failure)
        if failures:
            raise BaseExceptionGroup("the nodes did not do what they should", failures)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await kubelet.kill_all()
        await balancer.close()
        shutil.rmtree(folder, ignore_errors=True)


async def _register(api: KubernetesApi, name: str, zone: str) -> None:
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "topology.kubernetes.io/region": "local",
        "topology.kubernetes.io/zone": f"local-{zone}",
    }
    try:
        await api.create("/api/v1/nodes", {"metadata": {"name": name, "labels": labels}})
    except Refused as refused:
        if refused.status != 409:
            raise
    now = datetime.now(UTC).isoformat()
    room = {"cpu": "64", "memory": "256Gi", "pods": "250", "ephemeral-storage": "100Gi"}
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "KubeletReady",
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
    }
    status = {"capacity": room, "allocatable": room, "conditions": [ready]}
    await api.patch(f"/api/v1/nodes/{name}/status", {"status": status})


async def _keep_lease(api: KubernetesApi, name: str) -> None:
    """Say again and again that a node is there."""
    while True:
        spec: Json = {
            "holderIdentity": name,
            "leaseDurationSeconds": 4 * _LEASE_SECONDS,
            "renewTime": datetime.now(UTC)
            .isoformat(timespec="microseconds")
            .replace("+00:00", "Z"),
        }
        try:
            await _renew(api, name, spec)
        except (httpx.HTTPError, Refused):
            await asyncio.sleep(1)  # The namespace comes a moment after the server.
            continue
        await asyncio.sleep(_LEASE_SECONDS)


async def _renew(api: KubernetesApi, name: str, spec: Json) -> None:
    try:
        await api.patch(f"{_LEASES}/{name}", {"spec": spec})
    except Refused as refused:
        if refused.status != 404:
            raise
        await api.create(_LEASES, {"metadata": {"name": name}, "spec": spec})


async def _schedulable(api: KubernetesApi, names: list[str]) -> bool:
    nodes = (await api.get("/api/v1/nodes"))["items"]
    free = {n["metadata"]["name"] for n in nodes if not n["spec"].get("taints")}
    return free >= set(names)
