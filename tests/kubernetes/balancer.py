"""What leads to pods: the load balancers of a cloud, and the addresses within a cluster.

Connections are passed on to a pod that the Service's Endpoints name as ready, as Kubernetes' own
controller keeps them. A Service of type LoadBalancer gets the address 127.0.0.1 and listens on the
port of its own number; so tests choose free ports for those.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from controlplane.local.ports import LOOPBACK, free_port
from tests.kubernetes.api import Event, KubernetesApi, Refused
from tests.kubernetes.objects import Endpoints, Service

_FINALIZER = "service.kubernetes.io/load-balancer-cleanup"
"""What the clouds' own controllers write, so that no Service goes before its load balancer."""
_BLOCK_BYTES = 1 << 16
_MERGE = "application/merge-patch+json"

PodPort = Callable[[str, int], int | None]
"""Returns the port of this machine that stands for one of the pod of this uid."""

_Name = tuple[str, str]
"""Namespace and name."""


@dataclass
class Balancer:
    """Runs until its tasks are cancelled and it is closed."""

    api: KubernetesApi
    pod_port: PodPort
    _services: dict[_Name, Service] = field(default_factory=dict)
    _endpoints: dict[_Name, Endpoints] = field(default_factory=dict)
    _inside: dict[tuple[_Name, int], int] = field(default_factory=dict)
    _balancers: dict[_Name, dict[int, asyncio.Server]] = field(default_factory=dict)
    _servers: list[asyncio.Server] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _turn: "count[int]" = field(default_factory=count)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def address(self, namespace: str, service: str, port: int) -> int:
        """Return where pods reach a Service, whether or not it exists already."""
        name = (namespace, service)
        if (name, port) not in self._inside:
            # It listens from now on; who connects is answered when the loop comes to it.
            listening = socket.create_server((LOOPBACK, free_port()))
            self._inside[name, port] = listening.getsockname()[1]
            # Containers' files are written by threads, which ask for the addresses in them.
            self._loop.call_soon_threadsafe(self._begin_listening, name, port, listening)
        return self._inside[name, port]

    def _begin_listening(self, name: _Name, port: int, listening: socket.socket) -> None:
        self._keep(asyncio.create_task(self._listen_inside(name, port, listening)))

    async def watch_services(self) -> None:
        async with aclosing(self.api.watch("/api/v1/services")) as events:
            async for event in events:
                # What is refused has changed since, of which we shall hear.
                with contextlib.suppress(Refused):
                    await self._follow_service(event)

    async def watch_endpoints(self) -> None:
        async with aclosing(self.api.watch("/api/v1/endpoints")) as events:
            async for event in events:
                endpoints = Endpoints.model_validate(event.object)
                name = (endpoints.metadata.namespace, endpoints.metadata.name)
                if event.kind == "DELETED":
                    self._endpoints.pop(name, None)
                else:
                    self._endpoints[name] = endpoints

    async def close(self) -> None:
        for name in list(self._balancers):
            await self._close_balancer(name)
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow_service(self, event: Event) -> None:
        service = Service.model_validate(event.object)
        name = (service.metadata.namespace, service.metadata.name)
        if event.kind == "DELETED":
            self._services.pop(name, None)
            await self._close_balancer(name)
        else:
            self._services[name] = service
            await self._keep_balancer(name, service)

    async def _keep_balancer(self, name: _Name, service: Service) -> None:
        metadata = service.metadata
        if metadata.deletion_timestamp is not None or service.spec.type != "LoadBalancer":
            await self._close_balancer(name)
            if _FINALIZER in metadata.finalizers:
                kept = [each for each in metadata.finalizers if each != _FINALIZER]
                await self.api.patch(service.path, {"metadata": {"finalizers": kept}}, _MERGE)
            return
        if _FINALIZER not in metadata.finalizers:
            added = [*metadata.finalizers, _FINALIZER]
            await self.api.patch(service.path, {"metadata": {"finalizers": added}}, _MERGE)
        listening = self._balancers.setdefault(name, {})
        wanted = {port.port for port in service.spec.ports}
        for port in listening.keys() - wanted:
            listening.pop(port).close()
        for port in wanted - listening.keys():
            try:
                bound = socket.create_server((LOOPBACK, port))
                listening[port] = await self._listen(name, port, bound)
            except OSError as error:
                await self._warn(service, f"no load balancer on {LOOPBACK}:{port}: {error}")
                return
        ingress = {"status": {"loadBalancer": {"ingress": [{"ip": LOOPBACK}]}}}
        await self.api.patch(f"{service.path}/status", ingress, _MERGE)

    async def _close_balancer(self, name: _Name) -> None:
        for server in self._balancers.pop(name, {}).values():
            server.close()

    async def _listen_inside(self, name: _Name, port: int, listening: socket.socket) -> None:
        self._servers.append(await self._listen(name, port, listening))

    async def _listen(self, name: _Name, port: int, listening: socket.socket) -> asyncio.Server:
        """Pass on to one port of a Service what connects to the socket."""

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            forwarding = asyncio.create_task(self._forward(name, port, reader, writer))
            self._keep(forwarding)
            await asyncio.gather(forwarding, return_exceptions=True)

        return await asyncio.start_server(accept, sock=listening)

    async def _forward(
        self, name: _Name, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        pod = await self._connect(name, port)
        if pod is None:
            writer.transport.abort()  # Refused, as far as one can that has listened.
            return
        pod_reader, pod_writer = pod
        try:
            await asyncio.gather(_pump(reader, pod_writer), _pump(pod_reader, writer))
        except OSError:
            writer.transport.abort()
            pod_writer.transport.abort()
        finally:
            writer.close()
            pod_writer.close()

    async def _connect(
        self, name: _Name, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        ready = self._ready(name, port)
        first = next(self._turn)
        for turn in range(len(ready)):
            with contextlib.suppress(OSError):
                return await asyncio.open_connection(LOOPBACK, ready[(first + turn) % len(ready)])
        return None

    def _ready(self, name: _Name, port: int) -> list[int]:
        """Return the ports of this machine on which pods that are ready serve a Service's port."""
        service, endpoints = self._services.get(name), self._endpoints.get(name)
        if service is None or endpoints is None:
            return []
        named = {p.name for p in service.spec.ports if p.port == port}
        found = [
            self.pod_port(address.target_ref.uid, target.port)
            for subset in endpoints.subsets
            for target in subset.ports
            if target.name in named
            for address in subset.addresses
            if address.target_ref is not None
        ]
        return [here for here in found if here is not None]

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _warn(self, service: Service, message: str) -> None:
        metadata, now = service.metadata, datetime.now(UTC).isoformat()
        event = {
            "metadata": {"generateName": f"{metadata.name}.", "namespace": metadata.namespace},
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Service",
                "namespace": metadata.namespace,
                "name": metadata.name,
                "uid": metadata.uid,
            },
            "type": "Warning",
            "reason": "SyncLoadBalancerFailed",
            "message": message,
            "source": {"component": "service-controller"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        await self.api.create(f"/api/v1/namespaces/{metadata.namespace}/events", event)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while block := await source.read(_BLOCK_BYTES):
        sink.write(block)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()
