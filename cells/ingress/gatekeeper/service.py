"""The gatekeeper's parts, put together."""

import asyncio
import logging
import signal
from functools import partial

import grpc
from envoy.service.auth.v3 import external_auth_pb2_grpc
from envoy.service.discovery.v3 import ads_pb2_grpc
from grpc_health.v1 import health_pb2_grpc

from cells.ingress.gatekeeper.admission import Admission
from cells.ingress.gatekeeper.authorization import Authorization
from cells.ingress.gatekeeper.authorizer import OurAuthorities
from cells.ingress.gatekeeper.certificates import Certificates
from cells.ingress.gatekeeper.config import GatekeeperConfig
from cells.ingress.gatekeeper.discovery import Discovery
from cells.ingress.gatekeeper.ensemble import Companions, EnsembleHealth, addresses_of
from cells.ingress.gatekeeper.forwarding import Peers, Routes
from cells.ingress.gatekeeper.health import Health
from cells.ingress.gatekeeper.key_admission import KeyAdmission
from cells.ingress.gatekeeper.key_table import KeyTable
from cells.ingress.gatekeeper.policies import Policies
from cells.ingress.gatekeeper.snapshot import Snapshot
from cells.ingress.gatekeeper.source import DatabaseSource
from cells.ingress.gatekeeper.table import RecordTable

_GRACE_SECONDS = 0.2

# Without this, it could share a port with another server, and each would get some of the calls.
_ALONE = [("grpc.so_reuseport", 0)]

_log = logging.getLogger(__name__)


async def run(config: GatekeeperConfig) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)

    table, keys = RecordTable(), KeyTable()
    snapshot = Snapshot(config.snapshot, config.cell, table, keys)
    from_snapshot = snapshot.load()
    servers = (_envoy_server(config, table, keys), _health_server(config, table, keys))
    for server in servers:
        await server.start()
    _log.info("serving", extra={"fields": {"from_snapshot": from_snapshot}})

    source = DatabaseSource(table, keys, config.database_url, config.password_file)
    async with asyncio.TaskGroup() as tasks:
        following = (tasks.create_task(source.follow()), tasks.create_task(snapshot.keep()))
        await stopping.wait()
        for task in following:
            task.cancel()
    await asyncio.gather(*(server.stop(_GRACE_SECONDS) for server in servers))
    snapshot.write()


def _envoy_server(config: GatekeeperConfig, table: RecordTable, keys: KeyTable) -> grpc.aio.Server:
    """Return the server that Envoy alone reaches: private keys leave by it."""
    folder = config.socket.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        raise PermissionError(f"{folder} must have mode 0700: private keys travel through it")
    server = grpc.aio.server()
    external_auth_pb2_grpc.add_AuthorizationServicer_to_server(
        Authorization(
            Admission(
                table,
                OurAuthorities(config.prober_ca_file.read_text(), config.peer_ca_file.read_text()),
            ),
            KeyAdmission(table, keys),
        ),
        server,
    )
    resources = (
        Certificates(table, config.sealing_key_file.read_bytes()),
        Policies(table),
        Peers(table, config.envoy_folder),
        Routes(table),
    )
    ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(
        Discovery(table, resources), server
    )
    server.add_insecure_port(f"unix:{config.socket}")
    return server


def _health_server(config: GatekeeperConfig, table: RecordTable, keys: KeyTable) -> grpc.aio.Server:
    server = grpc.aio.server(options=_ALONE)
    health: Health | EnsembleHealth = Health(table, keys)
    if config.companions:
        health = EnsembleHealth(health, Companions(partial(addresses_of, config.companions)))
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    server.add_insecure_port(config.health_listen)
    return server
