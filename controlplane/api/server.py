"""The API's listeners: gRPC in plaintext and over TLS, and HTTP, in one event loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
import uvicorn
from fastapi import FastAPI
from grpc_health.v1 import health

from controlplane.api.account_routes import AccountRoutes
from controlplane.api.audit_trail import AuditTrail
from controlplane.api.authentication import Authentication
from controlplane.api.calls import Calls, all_rpcs
from controlplane.api.certificate import ApiCertificate
from controlplane.api.cloud_service import CloudService
from controlplane.api.concurrency import OperationsAtOnce
from controlplane.api.endpoints import Endpoints
from controlplane.api.fleet_api import fleet_app
from controlplane.api.fleet_changes import NamespaceChanges
from controlplane.api.gateway import gateway_routes
from controlplane.api.handlers.api_keys import ApiKeyHandlers
from controlplane.api.handlers.audit import AuditHandlers
from controlplane.api.handlers.identity import UserHandlers
from controlplane.api.handlers.namespace_regions import NamespaceRegionHandlers
from controlplane.api.handlers.namespaces import NamespaceHandlers
from controlplane.api.handlers.operations import OperationHandlers
from controlplane.api.handlers.regions import RegionHandlers
from controlplane.api.handlers.replacing import Replacing
from controlplane.api.handlers.service_accounts import ServiceAccountHandlers
from controlplane.api.handlers.table import handler_table
from controlplane.api.http_callers import http_caller
from controlplane.api.jwks import jwks_router
from controlplane.api.late_records import LateRecords
from controlplane.api.metrics import CallMetrics, Exposition
from controlplane.api.namespace_messages import NamespaceMessages
from controlplane.api.namespace_routes import NamespaceRoutes
from controlplane.api.once import Once
from controlplane.api.open_services import open_services
from controlplane.api.operator_routes import operator_routers
from controlplane.api.ports import FleetWriters, NamespaceWriter
from controlplane.api.replica_changes import ReplicaChanges
from controlplane.api.replica_routes import ReplicaRoutes
from controlplane.identity.keys import ApiKeys
from controlplane.identity.limits import AccountLimitsReader
from controlplane.identity.managed_keys import ManagedKeys
from controlplane.identity.quota import Quota
from controlplane.identity.service_accounts import ServiceAccounts
from controlplane.identity.users import Users
from controlplane.settings import ApiSettings
from controlplane.store.audit import AuditLog
from controlplane.store.availability import AvailabilityProjections
from controlplane.store.client_certificates import ClientCertificateReads
from controlplane.store.directory import Directory
from controlplane.store.monitoring import Monitoring
from controlplane.store.operations import Claims
from controlplane.store.pool import Pool
from controlplane.store.projections import Projections
from controlplane.store.queries import ReadModel
from controlplane.store.replicas import StoredReplicas
from controlplane.store.replication import ReplicationLinks

STOP_WITHIN_SECONDS = 5

_LARGEST_MESSAGE = 8 * 1024 * 1024
_OPTIONS = [
    # Without this, a second process shares a port in use, and gets half of the calls.
    ("grpc.so_reuseport", 0),
    # A call whose message never comes whole stays open for as long as its connection.
    ("grpc.max_concurrent_streams", 1000),
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
    fleet: FleetWriters,
    certificate: ApiCertificate,
    zone: str,
    listen: ApiSettings,
    engine_answers: Callable[[], Awaitable[bool]],
) -> AsyncIterator[Listening]:
    """Serve until the block ends; calls in flight then have a few seconds to finish."""
    reads, endpoints = ReadModel(pool), Endpoints(zone, Directory(pool))
    limits, log, metrics = AccountLimitsReader(pool), AuditLog(pool), CallMetrics()
    quota = Quota(pool, limits)
    calls = Calls(limits, OperationsAtOnce(quota), AuditTrail(log), metrics)
    once, replacing = Once(Claims(pool), Projections(pool)), Replacing(reads, writer)
    users, service_accounts = Users(pool), ServiceAccounts(pool, limits)
    rpcs = all_rpcs(
        handler_table(
            RegionHandlers(endpoints.directory),
            NamespaceHandlers(
                reads,
                once,
                writer,
                replacing,
                endpoints,
                NamespaceMessages(endpoints),
                limits,
                quota,
                listen.replica_cooldown,
            ),
            NamespaceRegionHandlers(once, replacing, endpoints.directory, listen.replica_cooldown),
            OperationHandlers(reads),
            AuditHandlers(log),
            UserHandlers(users),
            ServiceAccountHandlers(service_accounts, reads),
            ApiKeyHandlers(ManagedKeys(pool, keys.signer, limits), service_accounts, users),
        ),
        calls,
    )
    health_service = health.aio.HealthServicer()
    server = grpc.aio.server(
        handlers=[CloudService(rpcs), *open_services(health_service)],
        interceptors=[Authentication(keys)],
        options=_OPTIONS,
    )
    grpc_port = server.add_insecure_port(listen.grpc_listen)
    tls_port = server.add_secure_port(listen.tls_listen, await certificate.credentials())
    changes = NamespaceChanges(reads, once, writer)
    app = fleet_app(
        keys,
        calls,
        reads,
        NamespaceRoutes(calls, changes, endpoints, ClientCertificateReads(pool)),
    )
    app.router.routes.extend(gateway_routes(rpcs, keys))
    app.include_router(jwks_router(keys))
    replicas = ReplicaRoutes(
        calls,
        ReplicaChanges(reads, once, writer, log),
        StoredReplicas(pool),
        ReplicationLinks(pool),
        AvailabilityProjections(pool),
    )
    app.include_router(replicas.router(http_caller(keys)))
    exposition = Exposition(metrics, Monitoring(pool), engine_answers)
    app.include_router(AccountRoutes(calls, log, exposition).router(http_caller(keys)))
    for router in operator_routers(
        calls, pool, reads, fleet, listen.cell_networks, http_caller(keys)
    ):
        app.include_router(router)
    async with (
        _serving_http(app, listen.http_listen) as http_port,
        _running(certificate.keep_fresh()),
        _running(LateRecords(log).keep_up()),
    ):
        await server.start()
        try:
            yield Listening(grpc_port, tls_port, http_port)
        finally:
            await health_service.enter_graceful_shutdown()
            await server.stop(STOP_WITHIN_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_WITHIN_SECONDS):
                    await calls.finish()


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
