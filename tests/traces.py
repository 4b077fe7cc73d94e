"""Everything that exists of a namespace anywhere, looked for behind the control plane's back."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import dns.asyncquery
import dns.message
import dns.rcode
import psycopg
from psycopg.conninfo import make_conninfo
from temporalio.api.workflowservice.v1 import ListNamespacesRequest
from temporalio.client import Client

from cells.client import CellClient
from controlplane.local.cells import CELLS
from controlplane.local.databases import CONTROLPLANE
from controlplane.local.home import Home
from controlplane.payloads import data_converter
from controlplane.secrets.file import FileSecretStore
from controlplane.secrets.port import CONTROLPLANE_DATABASE, cell_database, namespace_prefix
from controlplane.store.projections import NAMESPACE_VIEW
from provisioning.types import NamespaceView
from tests.fleet import RunningFleet


@dataclass(frozen=True)
class Traces:
    """What was found, each a sorted list, by kind; one entry per thing that exists."""

    records: list[str]
    roles: list[str]
    registrations: list[str]
    reservations: list[str]
    names: list[str]
    secrets: list[str]

    @property
    def is_empty(self) -> bool:
        return not any(vars(self).values())


async def traces(fleet: RunningFleet, namespace: str) -> Traces:
    """Look for a namespace in every cell, the DNS and the secret store."""
    found = await asyncio.gather(*(_in_cell(fleet, cell.id, namespace) for cell in CELLS))
    return Traces(
        records=sorted(name for cell in found for name in cell[0]),
        roles=sorted({name for cell in found for name in cell[1]}),
        registrations=sorted(name for cell in found for name in cell[2]),
        reservations=sorted(name for cell in found for name in cell[3]),
        names=await _in_dns(fleet, f"{namespace}.{fleet.record.zone}"),
        secrets=await secret_store(fleet).names(namespace_prefix(namespace)),
    )


def secret_store(fleet: RunningFleet) -> FileSecretStore:
    home = Home(fleet.home)
    return FileSecretStore(home.secrets, home.secrets_key)


async def projected(fleet: RunningFleet, namespace: str) -> NamespaceView:
    """Return the namespace as the control plane's read model has it."""
    password = await secret_store(fleet).get(CONTROLPLANE_DATABASE)
    assert password is not None
    url = fleet.record.database_url(CONTROLPLANE, CONTROLPLANE)
    conninfo = make_conninfo(url, password=password.decode())
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        rows = await connection.execute(
            "SELECT view::text FROM namespaces WHERE id = %s", [namespace]
        )
        row = await rows.fetchone()
    assert row is not None, f"nobody has published {namespace}"
    return NAMESPACE_VIEW.validate_json(row[0])


async def engine_of(fleet: RunningFleet) -> Client:
    return await Client.connect(
        fleet.record.address("engine"),
        namespace="controlplane",
        data_converter=data_converter,
    )


async def _in_cell(
    fleet: RunningFleet, cell: str, namespace: str
) -> tuple[Sequence[str], Sequence[str], Sequence[str], Sequence[str]]:
    cells = CellClient(await engine_of(fleet))
    spec = (await cells.describe(cell)).spec
    password = await secret_store(fleet).get(cell_database(cell))
    assert password is not None
    conninfo = make_conninfo(spec.addresses.database, password=password.decode())
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        records = await connection.execute(
            "SELECT namespace FROM namespaces WHERE namespace = %s", [namespace]
        )
        # Roles belong to the whole server, so every cell's database shows the same ones.
        roles = await connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE %s", [f"ns:{namespace}%"]
        )
        found = [r[0] for r in await records.fetchall()], [r[0] for r in await roles.fetchall()]
    server = await Client.connect(spec.addresses.frontend)
    listed = await server.workflow_service.list_namespaces(ListNamespacesRequest(page_size=1000))
    registered = [
        n.namespace_info.name for n in listed.namespaces if n.namespace_info.name == namespace
    ]
    held = [f"{cell}: {n}" for n in await cells.allocations(cell) if n == namespace]
    return *found, registered, held


async def _in_dns(fleet: RunningFleet, name: str) -> list[str]:
    host, _, port = fleet.record.address("dns").partition(":")
    answer = await dns.asyncquery.udp(
        dns.message.make_query(name, "CNAME"), host, port=int(port), timeout=5
    )
    if answer.rcode() == dns.rcode.NXDOMAIN:
        return []
    return [str(rdata) for rrset in answer.answer for rdata in rrset]
