"""The API's listeners: gRPC in plaintext and over TLS, and HTTP, in one event loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
import uvicorn
from fastapi import FastAPI
from grpc_health.v1 import health, health_pb2_grpc

from controlplane.api.authentication import Authentication
from controlplane.api.calls import all_rpcs
from controlplane.api.certificate import ApiCertificate
from controlplane.api.cloud_service import CloudService, workflow_service
from controlplane.api.endpoints import Endpoints
from controlplane.api.fleet_api import fleet_app
from controlplane.api.gateway import gateway_routes
from controlplane.api.handlers.namespaces import NamespaceHandlers
from controlplane.api.handlers.operations import OperationHandlers
from controlplane.api.handlers.regions import RegionHandlers
from controlplane.api.handlers.table import handler_table
from controlplane.api.ports import NamespaceWriter
from controlplane.identity.keys import ApiKeys
from controlplane.settings import ApiSettings
from controlplane.store.directory import Directory
from controlplane.store.operations import Claims
from controlplane.store.pool import Pool
from controlplane.store.projections import Projections
from controlplane.store.queries import ReadModel

STOP_WITHIN_SECONDS = 5

_LARGEST_MESSAGE = 8 * 1024 * 1024
_OPTIONS = [
    # Without this, a second process shares a port in use, and gets half of the calls.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
    ("grpc.max_send_message_length", _LARGEST_MESSAGE),
]


@dataclass(frozen=True)
class Listening:
    """The ports that were bound, for those asked for as 0."""

    grpc: int
    tls: int
    http: int


@asynccontextmanager
async def serving(
    pool: Pool,
    keys: ApiKeys,
    writer: NamespaceWriter,
    certificate: ApiCertificate,
    zone: str,
    listen: ApiSettings,
) -> AsyncIterator[Listening]:
    """Serve until the block ends; calls in flight then have a few seconds to finish."""
    reads, endpoints = ReadModel(pool), Endpoints(zone, Directory(pool))
    rpcs = all_rpcs(
        handler_table(
            RegionHandlers(endpoints.directory),
            NamespaceHandlers(reads, Claims(pool), Projections(pool), writer, endpoints),
            OperationHandlers(reads),
        )
    )
    server = grpc.aio.server(
        handlers=[CloudService(rpcs), workflow_service()],
        interceptors=[Authentication(keys)],
        options=_OPTIONS,
    )
    health_service = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_service, server)
    grpc_port = server.add_insecure_port(listen.grpc_listen)
    tls_port = server.add_secure_port(listen.tls_listen, await certificate.credentials())
    app = fleet_app(keys, reads, endpoints)
    app.router.routes.extend(gateway_routes(rpcs, keys))
    async with (
        _serving_http(app, listen.http_listen) as http_port,
        _running(certificate.keep_fresh()),
    ):
        await server.start()
        try:
            yield Listening(grpc_port, tls_port, http_port)
        finally:
            await health_service.enter_graceful_shutdown()
            await server.stop(STOP_WITHIN_SECONDS)


@asynccontextmanager
async def _serving_http(app: FastAPI, address: str) -> AsyncIterator[int]:
    host, _, port = address.rpartition(":")
    listener = socket.create_server((host, int(port)))
    server = _QuietServer(
        uvicorn.Config(
            app,
            log_config=None,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=STOP_WITHIN_SECONDS,
        )
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve(sockets=[listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True


class _QuietServer(uvicorn.Server):
    """Leaves signals to the process that it is a part of."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def _running(background: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(background)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
