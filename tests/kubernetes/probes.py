"""Probes of containers, really made: against the ports that the containers have here.

They are made more often than asked for, so that tests need not wait. But what fails is given as
long as it would have elsewhere, for a machine may be busy.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc

from controlplane.local.ports import LOOPBACK
from tests.kubernetes.objects import Handler, Probe
from tests.kubernetes.start import PodPorts

_UNTIL_WELL_SECONDS = 0.25
"""Between two looks at what has not been well yet."""
_WHILE_WELL_SECONDS = 1.0
_LEAST_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Inside:
    """A container that runs, as its probes get at it."""

    ports: PodPorts
    named_ports: Mapping[str, int]
    env: Mapping[str, str]
    folder: Path
    translated: Callable[[str], str]

    def port(self, port: int | str) -> int:
        number = (
            self.named_ports[port] if isinstance(port, str) and port in self.named_ports else port
        )
        return self.ports.here(int(number))


async def problem(handler: Handler, inside: Inside, timeout_seconds: float) -> str | None:
    """Do what the handler says, and return what is wrong, None if nothing is."""
    timeout = max(timeout_seconds, _LEAST_TIMEOUT_SECONDS)
    try:
        async with asyncio.timeout(timeout):
            if handler.grpc is not None:
                return await _ask_grpc(inside.port(handler.grpc.port), handler.grpc.service)
            if handler.http_get is not None:
                port = inside.port(handler.http_get.port)
                scheme = handler.http_get.scheme.lower()
                return await _get(f"{scheme}://{LOOPBACK}:{port}{handler.http_get.path}")
            if handler.tcp_socket is not None:
                return await _connect(inside.port(handler.tcp_socket.port))
            assert handler.exec is not None, handler
            return await _execute(handler.exec.command, inside)
    except TimeoutError:
        return f"no answer after {timeout:g} s"


@dataclass
class Watched:
    """One probe of one container, made again and again until cancelled."""

    probe: Probe
    inside: Inside
    failing_since: float | None = field(default=None, init=False)

    async def until_well(self) -> None:
        """Return once it has succeeded as often as it has to."""
        successes = 0
        while successes < self.probe.success_threshold:
            if successes or self.failing_since is not None:
                await asyncio.sleep(min(self.probe.period_seconds, _UNTIL_WELL_SECONDS))
            wrong = await self.look()
            successes = successes + 1 if wrong is None else 0

    async def until_unwell(self) -> str:
        """Return what is wrong once it has failed for as long as it may."""
        while True:
            await asyncio.sleep(min(self.probe.period_seconds, _WHILE_WELL_SECONDS))
            wrong = await self.look()
            if wrong is not None and self.has_given_up:
                return wrong

    async def look(self) -> str | None:
        now = asyncio.get_running_loop().time()
        wrong = await problem(self.probe, self.inside, self.probe.timeout_seconds)
        if wrong is None:
            self.failing_since = None
        elif self.failing_since is None:
            self.failing_since = now
        return wrong

    @property
    def has_given_up(self) -> bool:
        """Whether it has failed for as long as the real number of failures takes."""
        if self.failing_since is None:
            return False
        allowed = (self.probe.failure_threshold - 1) * self.probe.period_seconds
        return asyncio.get_running_loop().time() - self.failing_since >= allowed


async def _ask_grpc(port: int, service: str) -> str | None:
    if wrong := await _connect(port):  # It costs far less than a channel.
        return wrong
    async with grpc.aio.insecure_channel(f"{LOOPBACK}:{port}") as channel:
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=service)
            )
        except grpc.aio.AioRpcError as error:
            return f"gRPC health: {error.code().name}: {error.details()}"
    serving = answer.status == health_pb2.HealthCheckResponse.SERVING
    return None if serving else f"gRPC health of {service!r}: not serving"


async def _get(url: str) -> str | None:
    # As a kubelet does: whoever signed the certificate.
    async with httpx.AsyncClient(timeout=None, trust_env=False, verify=False) as client:  # noqa: S113, S501
        try:
            status = (await client.get(url)).status_code
        except httpx.HTTPError as error:
            return f"{type(error).__name__}: {error}"
    return None if 200 <= status < 400 else f"HTTP probe failed with statuscode: {status}"


async def _connect(port: int) -> str | None:
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError as error:
        return f"dial tcp {LOOPBACK}:{port}: {error.strerror}"
    writer.close()
    return None


async def _execute(command: Sequence[str], inside: Inside) -> str | None:
    try:
        process = await asyncio.create_subprocess_exec(
            *map(inside.translated, command),
            env=dict(inside.env),
            cwd=inside.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, 9)
            await process.wait()
    return (
        None
        if process.returncode == 0
        else output.decode(errors="replace")[-500:].strip() or (f"exit status {process.returncode}")
    )
