"""A whole cell for tests, Temporal to Envoy, and the control plane's adapters beside it."""

import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cells.ingress.enforcement import Gatekeepers
from cells.ingress.records import AdmissionRules
from cells.types import CellAddresses
from controlplane.local.ports import LOOPBACK
from controlplane.secrets.memory import MemorySecretStore
from controlplane.secrets.port import FLEET_CA, PROBER_CA, cell_database, cell_sealing_key
from provisioning.certificates.authority import FleetAuthority
from provisioning.connections import CellConnections
from provisioning.database import PostgresDatabases
from provisioning.ingress import GatekeeperIngress
from provisioning.ports import ClientTrust, Incarnation
from provisioning.proof import EndpointProber
from provisioning.temporal import TemporalRegistrar
from provisioning.types import AdmissionFacts, CertificateFacts
from tests.cells.ingress.authorities import Authority
from tests.cells.ingress.small_cell import CELL, SmallCell, Tenant, new_tenant, small_cell
from tests.postgres import RunningPostgres
from tests.provisioning.cell_databases import Directory
from tests.provisioning.temporal_cell import running_temporal_cell

WEEK = timedelta(days=7)
MONTH = timedelta(days=30)
PATIENCE = 30.0
"""Seconds that a gatekeeper and Envoy may take here: other tests keep the machine busy."""


@dataclass(frozen=True)
class WholeCell:
    cell: SmallCell
    directory: Directory
    secrets: MemorySecretStore
    connections: CellConnections
    databases: PostgresDatabases
    authority: FleetAuthority
    registrar: TemporalRegistrar
    ingress: GatekeeperIngress
    prober: EndpointProber
    unpublished: set[str]
    """Names that the authoritative DNS servers do not know."""

    def newcomer(self) -> tuple[Incarnation, Tenant]:
        """Return a namespace that does not exist yet, and its owner."""
        tenant = new_tenant(f"orders-{secrets.token_hex(3)}.acme1")
        return Incarnation(tenant.namespace, secrets.token_hex(8), CELL), tenant

    async def prepare(self, target: Incarnation, tenant: Tenant) -> CertificateFacts:
        """Take every step that comes before admission."""
        await self.databases.prepare(target, tenant.server_name)
        await self.registrar.register(target, WEEK, {})
        trust = ClientTrust(tenant.authority.pem, managed_ca=False)
        return await self.authority.ensure(target, tenant.server_name, trust, MONTH)

    async def admit(self, target: Incarnation, tenant: Tenant) -> AdmissionFacts:
        rules = AdmissionRules(client_ca=tenant.authority.pem)
        return await self.ingress.admit(target, tenant.server_name, rules)


@contextlib.asynccontextmanager
async def running_whole_cell(postgres: RunningPostgres, folder: Path) -> AsyncIterator[WholeCell]:
    """Run a cell without namespaces."""
    async with (
        running_temporal_cell(folder) as frontend,
        small_cell(postgres, folder, frontend) as cell,
    ):
        directory = Directory({CELL: addresses_of(cell)})
        store = MemorySecretStore()
        await store.put(cell_database(CELL), cell.database.password.encode())
        await store.put(cell_sealing_key(CELL), cell.gatekeeper.sealing_key_file.read_bytes())
        await store.put(FLEET_CA, _pem(cell.fleet))
        await store.put(PROBER_CA, _pem(cell.prober))
        unpublished: set[str] = set()

        async def resolve(name: str) -> str:
            if name in unpublished:
                raise LookupError(f"{name} has no address")
            return LOOPBACK

        connections = CellConnections(directory, store)
        gatekeepers = Gatekeepers(within=PATIENCE)
        yield WholeCell(
            cell=cell,
            directory=directory,
            secrets=store,
            connections=connections,
            databases=PostgresDatabases(connections, store),
            authority=FleetAuthority(store),
            registrar=TemporalRegistrar(directory),
            ingress=GatekeeperIngress(directory, connections, store, gatekeepers),
            prober=EndpointProber(directory, store, resolve),
            unpublished=unpublished,
        )
        await gatekeepers.close()
        await connections.close()


def addresses_of(cell: SmallCell) -> CellAddresses:
    return CellAddresses(
        frontend=cell.ingress.frontend,
        ingress=cell.ingress.listen,
        ingress_admin=cell.ingress.admin,
        gatekeeper=cell.gatekeeper.health_listen,
        database=cell.database.url,
    )


def _pem(authority: Authority) -> bytes:
    key = authority.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return authority.pem.encode() + key
