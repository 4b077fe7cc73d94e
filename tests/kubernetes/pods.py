"""One pod's life on a node: its volumes, its containers in their order, and what is said of it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx

from tests.kubernetes.api import Json, KubernetesApi, Refused
from tests.kubernetes.containers import ContainerRun, NotStarted
from tests.kubernetes.environment import ConfigError, environment, expanded
from tests.kubernetes.objects import Container, Pod
from tests.kubernetes.programs import Program, program_for
from tests.kubernetes.start import Command, Places, PodPorts, ServiceAddress, Start
from tests.kubernetes.volumes import MountFailed, fill, mounts

_AGAIN_SECONDS = 0.5
_REFRESH_SECONDS = 5.0
"""How soon a changed Secret is found in the folders of those that have it mounted."""


@dataclass(frozen=True)
class Node:
    """What pods are run with."""

    api: KubernetesApi
    programs: Mapping[str, Program]
    service: ServiceAddress
    folder: Path
    """Short: pods' sockets are below it."""
    logs: Path
    failures: list[BaseException]
    """What ended the run of a pod and should not have: our own mistakes."""


@dataclass
class PodRun:
    """One pod that was assigned to a node of ours."""

    node: Node
    pod: Pod
    number: int
    gone: Callable[[], None]
    """Called when the API server has forgotten it."""
    ports: PodPorts = field(init=False)
    _containers: list[ContainerRun] = field(init=False)
    _initial: list[ContainerRun] = field(init=False)
    _phase: str = "Pending"
    _started_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat())
    _reporting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _running: asyncio.Task[None] | None = None
    _ending: asyncio.Task[None] | None = None
    _ready_since: str = ""

    def __post_init__(self) -> None:
        containers = [*self.pod.spec.init_containers, *self.pod.spec.containers]
        self.ports = PodPorts(frozenset(p.container_port for c in containers for p in c.ports))
        self.folder = self.node.folder / str(self.number)
        self.folder.mkdir()
        self._initial = [self._container(c) for c in self.pod.spec.init_containers]
        self._containers = [self._container(c) for c in self.pod.spec.containers]

    @property
    def ip(self) -> str:
        """An address that nothing has: Kubernetes refuses those that lead to this machine."""
        return f"10.244.{self.number // 250}.{self.number % 250 + 1}"

    def start(self) -> None:
        self._running = asyncio.create_task(self._run())
        self._running.add_done_callback(self._note_failure)

    def end(self, grace_seconds: float) -> None:
        """Begin to stop it, as whoever deleted it has asked; afterwards it is gone."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._end(grace_seconds))
            self._ending.add_done_callback(self._note_failure)

    async def kill(self) -> None:
        """Stop it at once, and say nothing of it to anybody."""
        for run in [*self._initial, *self._containers]:
            run.kill()
        for task in (self._running, self._ending):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (failure := task.exception()) is not None:
            self.node.failures.append(failure)

    def _container(self, container: Container) -> ContainerRun:
        folder = self.folder / container.name
        folder.mkdir()
        metadata = self.pod.metadata
        return ContainerRun(
            container,
            Places(
                metadata.namespace,
                mounts(self.pod, container, self.folder),
                self.ports,
                self.node.service,
            ),
            _named_ports(container),
            self.node.logs / f"{metadata.namespace}.{metadata.name}.{container.name}.log",
            self._prepare,
            self._report,
            self._warn,
            folder,
        )

    async def _run(self) -> None:
        await self._report()
        refreshing = asyncio.create_task(self._refresh())
        try:
            policy = self.pod.spec.restart_policy
            for run in self._initial:
                await run.run("OnFailure" if policy == "Always" else policy)
                if run.status.exit_code != 0:
                    await self._over("Failed")
                    return
            self._phase = "Running"
            async with asyncio.TaskGroup() as group:
                for run in self._containers:
                    group.create_task(run.run(policy))
            if self._ending is None:
                failed = any(run.status.exit_code != 0 for run in self._containers)
                await self._over("Failed" if failed else "Succeeded")
        finally:
            refreshing.cancel()
            await asyncio.gather(refreshing, return_exceptions=True)

    async def _over(self, phase: str) -> None:
        self._phase = phase
        await self._report()

    async def _refresh(self) -> None:
        """Bring changed Secrets and ConfigMaps to the folders of the containers that run."""
        while True:
            await asyncio.sleep(_REFRESH_SECONDS)
            for run in self._containers:
                if "running" in run.status.state:
                    try:
                        await self._fill(run.container, run.places)
                    except (MountFailed, Refused, httpx.HTTPError):
                        continue  # What is there stays.

    async def _prepare(self, container: Container, places: Places) -> Command:
        try:
            await self._fill(container, places)
            env = await environment(self.node.api, self.pod, container, self._fields)
        except MountFailed as error:
            await self._warn("FailedMount", str(error))
            raise NotStarted("ContainerCreating", str(error)) from error
        except ConfigError as error:
            raise NotStarted("CreateContainerConfigError", str(error)) from error
        image, version, program = program_for(container.image, self.node.programs)
        shared = self.node.folder / "shared" / self.pod.metadata.namespace
        shared.mkdir(parents=True, exist_ok=True)
        words = [expanded(word, env) for word in (*container.command, *container.args)]
        return await program(
            Start(
                image,
                version,
                [places.translated(word) for word in words],
                {name: places.translated(value) for name, value in env.items()},
                places,
                _named_ports(container),
                self.folder / container.name,
                self.node.folder,
                shared,
            )
        )

    async def _fill(self, container: Container, places: Places) -> None:
        await fill(self.node.api, self.pod, container, self.folder, places, self._fields)

    @property
    def _fields(self) -> Mapping[str, str]:
        return {"status.podIP": self.ip, "status.hostIP": "10.0.0.1", "status.podIPs": self.ip}

    async def _end(self, grace_seconds: float) -> None:
        async with asyncio.TaskGroup() as group:
            for run in [*self._initial, *self._containers]:
                group.create_task(run.stop(grace_seconds))
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        await self._report()
        options: Json = {
            "gracePeriodSeconds": 0,
            "preconditions": {"uid": self.pod.metadata.uid},
        }
        await _delivered(lambda: self.node.api.delete(self.pod.path, options))
        self.gone()

    async def _report(self) -> None:
        """Say how the pod is, unless it is another's by now."""
        async with self._reporting:
            document = {"metadata": {"uid": self.pod.metadata.uid}, "status": self._status()}
            try:
                await _delivered(lambda: self.node.api.patch(f"{self.pod.path}/status", document))
            except Refused as refused:
                if refused.status not in {404, 409}:
                    raise

    def _status(self) -> Json:
        now = datetime.now(UTC).isoformat()
        initialized = all(run.status.exit_code == 0 for run in self._initial)
        ready = (
            self._phase == "Running"
            and all(run.status.ready for run in self._containers)
            and bool(self._containers)
        )
        self._ready_since = (self._ready_since or now) if ready else ""
        conditions = [
            ("Initialized", initialized, self._started_at),
            ("ContainersReady", ready, self._ready_since or now),
            ("Ready", ready, self._ready_since or now),
        ]
        return {
            "phase": self._phase,
            "startTime": self._started_at,
            "hostIP": "10.0.0.1",
            "podIP": self.ip,
            "podIPs": [{"ip": self.ip}],
            "conditions": [
                {
                    "type": name,
                    "status": "True" if holds else "False",
                    "lastTransitionTime": since,
                    "reason": None if holds else "ContainersNotReady",
                }
                for name, holds, since in conditions
            ],
            "initContainerStatuses": self._documents(self._initial),
            "containerStatuses": self._documents(self._containers),
        }

    def _documents(self, runs: Sequence[ContainerRun]) -> list[Json]:
        return [
            run.status.document(run.container, f"{self.pod.metadata.uid}/{run.container.name}")
            for run in runs
        ]

    async def _warn(self, reason: str, message: str) -> None:
        metadata = self.pod.metadata
        now = datetime.now(UTC).isoformat()
        event = {
            "metadata": {"generateName": f"{metadata.name}.", "namespace": metadata.namespace},
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": metadata.namespace,
                "name": metadata.name,
                "uid": metadata.uid,
            },
            "type": "Warning",
            "reason": reason,
            "message": message,
            "source": {"component": "kubelet", "host": self.pod.spec.node_name},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            await self.node.api.create(f"/api/v1/namespaces/{metadata.namespace}/events", event)
        except (Refused, httpx.HTTPError):
            return  # Such as in a namespace that is being deleted; nobody will read it.


async def _delivered(ask: Callable[[], Awaitable[object]]) -> None:
    """Ask until there is an answer: nobody else says what a node has to say."""
    while True:
        try:
            await ask()
        except httpx.HTTPError:
            await asyncio.sleep(_AGAIN_SECONDS)
        else:
            return


def _named_ports(container: Container) -> dict[str, int]:
    return {port.name: port.container_port for port in container.ports if port.name}
