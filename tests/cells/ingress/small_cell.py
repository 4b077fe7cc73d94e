"""A cell's data plane for tests, and the tenants on it."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from uuid import uuid4

import grpc
import httpx
import psycopg
from cryptography import x509
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from psycopg.types.json import Jsonb
from temporalio.client import Client
from temporalio.service import TLSConfig

from cells.ingress import sealing
from cells.ingress.envoy import ConnectionLimits, IngressConfig
from cells.ingress.gatekeeper.authorizer import peer_identity
from cells.ingress.gatekeeper.config import GatekeeperConfig
from cells.ingress.peers import write_peer
from cells.ingress.records import AdmissionRules, CertificateFilter, IngressRecord, loaded_service
from controlplane.local.ports import LOOPBACK, assign_ports
from tests.cells.ingress import processes
from tests.cells.ingress.authorities import Authority, Credential
from tests.postgres import Database, RunningPostgres

CELL = "aws-us-east-1-c1"
SCHEMA = files("cells.ingress").joinpath("schema.sql").read_bytes()


@dataclass(frozen=True)
class Tenant:
    """A namespace of the cell as its owner sees it: a CA, and one good client certificate."""

    namespace: str
    server_name: str
    authority: Authority
    credential: Credential
    token: str = ""
    """The API key that it uses, and then no certificate."""


@dataclass(frozen=True)
class FleetAuthorities:
    """What every cell of one fleet trusts."""

    fleet: Authority = field(default_factory=lambda: Authority.create("fleet"))
    """Issues server certificates."""
    prober: Authority = field(default_factory=lambda: Authority.create("prober"))
    peer: Authority = field(default_factory=lambda: Authority.create("peer"))
    """Issues what cells show each other."""

    def of_cell(self, cell: str) -> Credential:
        """Return what the cell shows others."""
        return self.peer.client("ingress", names=[peer_name(cell)])


def peer_name(cell: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(peer_identity(cell))


@dataclass(frozen=True)
class SmallCell:
    """One cell: its database, gatekeeper and Envoy, and a way to play the control plane."""

    database: Database
    gatekeeper: GatekeeperConfig
    ingress: IngressConfig
    authorities: FleetAuthorities
    envoy_pid: int = 0
    uids: dict[str, str] = field(default_factory=dict)

    @property
    def fleet(self) -> Authority:
        """Issues server certificates."""
        return self.authorities.fleet

    @property
    def prober(self) -> Authority:
        return self.authorities.prober

    def record(
        self,
        tenant: Tenant,
        *,
        admitted: bool = True,
        client_ca: str | None = None,
        filters: Sequence[CertificateFilter] = (),
        certificate: Credential | None = None,
        rules: AdmissionRules | None = None,
    ) -> IngressRecord:
        """Return the record of a tenant, with a fresh server certificate unless one is given."""
        certificate = certificate or self.fleet.server(tenant.server_name)
        uid = self.uids.setdefault(tenant.namespace, uuid4().hex)
        return IngressRecord(
            namespace=tenant.namespace,
            uid=uid,
            server_name=tenant.server_name,
            admitted=admitted,
            rules=rules
            or AdmissionRules(
                client_ca=tenant.authority.pem if client_ca is None else client_ca,
                certificate_filters=tuple(filters),
            ),
            certificate_chain=certificate.certificate,
            sealed_key=sealing.seal(
                self.gatekeeper.sealing_key_file.read_bytes(),
                certificate.private_key.encode(),
                sealing.private_key_context(tenant.namespace, uid),
            ),
        )

    async def write(self, *records: IngressRecord) -> None:
        """Put the records into the cell's database."""
        async with await psycopg.AsyncConnection.connect(self.database.conninfo) as connection:
            for record in records:
                await connection.execute(
                    """INSERT INTO namespaces
                           (namespace, uid, role, login, server_name, admitted, client_ca,
                            certificate_filters, api_keys, revoked_serials,
                            requests_per_second, active_cell, forward_polls,
                            certificate_chain, sealed_key)
                       VALUES (%(namespace)s, %(uid)s, %(namespace)s, %(namespace)s,
                               %(server_name)s, %(admitted)s, %(client_ca)s, %(filters)s,
                               %(api_keys)s, %(revoked)s, %(requests_per_second)s,
                               %(active_cell)s, %(forward_polls)s, %(certificate_chain)s,
                               %(sealed_key)s)
                       ON CONFLICT (namespace) DO UPDATE SET
                           admitted = excluded.admitted, client_ca = excluded.client_ca,
                           certificate_filters = excluded.certificate_filters,
                           api_keys = excluded.api_keys,
                           revoked_serials = excluded.revoked_serials,
                           requests_per_second = excluded.requests_per_second,
                           active_cell = excluded.active_cell,
                           forward_polls = excluded.forward_polls,
                           certificate_chain = excluded.certificate_chain,
                           sealed_key = excluded.sealed_key""",
                    {
                        **vars(record),
                        **vars(record.rules),
                        "filters": Jsonb([vars(f) for f in record.rules.certificate_filters]),
                        "revoked": Jsonb(list(record.rules.revoked_serials)),
                    },
                )

    async def know(self, cell: str, ingress: str) -> None:
        """Let the cell's database say where the ingress of another cell is."""
        async with await psycopg.AsyncConnection.connect(self.database.conninfo) as connection:
            await write_peer(connection, cell, ingress)

    async def enforce(self, record: IngressRecord) -> None:
        """Write the record and wait until the gatekeeper enforces it."""
        await self.write(record)
        await self.wait(record, HealthCheckResponse.SERVING)

    async def forget(self, record: IngressRecord) -> None:
        """Delete the record and wait until the gatekeeper no longer enforces it."""
        async with await psycopg.AsyncConnection.connect(self.database.conninfo) as connection:
            await connection.execute(
                "DELETE FROM namespaces WHERE namespace = %s", [record.namespace]
            )
        await self.wait(record, HealthCheckResponse.SERVICE_UNKNOWN)

    async def wait(self, record: IngressRecord, status: int) -> None:
        """Return once the gatekeeper reports this status for the record."""
        service = loaded_service(record.namespace, record.digest)
        async with (
            asyncio.timeout(60),
            grpc.aio.insecure_channel(self.gatekeeper.health_listen) as channel,
        ):
            async for answer in HealthStub(channel).Watch(HealthCheckRequest(service=service)):
                if answer.status == status:
                    return

    async def envoy_statistic(self, name: str) -> int:
        """Return one of Envoy's numbers: that whose name ends so."""
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://{self.ingress.admin}/stats", params={"filter": name})
        (value,) = [
            line.rpartition(": ")[2]
            for line in answer.text.splitlines()
            if line.partition(": ")[0].endswith(name)
        ]
        return int(value)

    async def connect(
        self,
        tenant: Tenant,
        *,
        credential: Credential | None = None,
        server_name: str | None = None,
        namespace: str | None = None,
    ) -> Client:
        """Connect through the ingress as the tenant would, with an SDK's default settings."""
        credential = credential or tenant.credential
        tls = TLSConfig(
            server_root_ca_cert=self.fleet.pem.encode(), domain=server_name or tenant.server_name
        )
        if not tenant.token:
            tls = replace(
                tls,
                client_cert=credential.certificate.encode(),
                client_private_key=credential.private_key.encode(),
            )
        async with asyncio.timeout(60):
            return await Client.connect(
                self.ingress.listen,
                namespace=namespace or tenant.namespace,
                api_key=tenant.token or None,
                tls=tls,
            )


def new_tenant(namespace: str) -> Tenant:
    authority = Authority.create(f"{namespace} clients")
    return Tenant(namespace, f"{namespace}.fleet.test", authority, authority.client())


@contextlib.asynccontextmanager
async def prepared_cell(
    postgres: RunningPostgres,
    folder: Path,
    frontend: str,
    limits: ConnectionLimits = ConnectionLimits(),  # noqa: B008 - frozen
    *,
    name: str = CELL,
    authorities: FleetAuthorities | None = None,
) -> AsyncIterator[SmallCell]:
    """Lay out an empty cell in front of a Temporal frontend, without starting its processes."""
    database = await postgres.create_database("cell", "CREATEROLE")
    async with await psycopg.AsyncConnection.connect(database.conninfo) as connection:
        await connection.execute(SCHEMA)
    authorities = authorities or FleetAuthorities()
    ports = assign_ports(["gatekeeper", "ingress", "admin"], {})
    with tempfile.TemporaryDirectory(prefix="ingress-") as sockets:  # A socket's path is short.
        gatekeeper = GatekeeperConfig(
            cell=name,
            socket=Path(sockets) / "private" / "gatekeeper.sock",
            health_listen=f"{LOOPBACK}:{ports['gatekeeper']}",
            database_url=database.url,
            password_file=folder / "password",
            snapshot=folder / "snapshot.json",
            sealing_key_file=folder / "sealing-key",
            prober_ca_file=folder / "prober-ca.pem",
            peer_ca_file=folder / "peer-ca.pem",
            envoy_folder=folder,
        )
        gatekeeper.password_file.write_text(database.password)
        gatekeeper.sealing_key_file.write_bytes(sealing.new_key())
        gatekeeper.prober_ca_file.write_text(authorities.prober.pem)
        gatekeeper.peer_ca_file.write_text(authorities.peer.pem)
        ingress = IngressConfig(
            cell=name,
            listen=f"{LOOPBACK}:{ports['ingress']}",
            admin=f"{LOOPBACK}:{ports['admin']}",
            frontend=frontend,
            gatekeeper_socket=gatekeeper.socket,
            folder=folder,
            peer_certificate_file=folder / "peer.pem",
            endpoint_ca_file=folder / "fleet-ca.pem",
            limits=limits,
        )
        shown = authorities.of_cell(name)
        ingress.peer_certificate_file.write_text(shown.certificate + shown.private_key)
        ingress.endpoint_ca_file.write_text(authorities.fleet.pem)
        yield SmallCell(database, gatekeeper, ingress, authorities)


@contextlib.asynccontextmanager
async def small_cell(
    postgres: RunningPostgres,
    folder: Path,
    frontend: str,
    limits: ConnectionLimits = ConnectionLimits(),  # noqa: B008 - frozen
    *,
    name: str = CELL,
    authorities: FleetAuthorities | None = None,
) -> AsyncIterator[SmallCell]:
    """Run the data plane of an empty cell in front of a Temporal frontend."""
    async with (
        prepared_cell(
            postgres, folder, frontend, limits, name=name, authorities=authorities
        ) as cell,
        processes.gatekeeper(cell.gatekeeper, folder),
        processes.envoy(cell.ingress) as envoy_pid,
    ):
        yield replace(cell, envoy_pid=envoy_pid)
