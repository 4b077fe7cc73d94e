"""Everything there is of any namespace of a fleet, found behind the control plane's back."""

import asyncio
from collections.abc import Sequence

import dns.asyncquery
import dns.message
import dns.rcode
import psycopg
from psycopg.conninfo import make_conninfo
from temporalio.api.workflowservice.v1 import ListNamespacesRequest
from temporalio.client import Client

from cells.client import CellClient
from controlplane.ids import server_name
from controlplane.local.cells import CELLS
from controlplane.secrets.port import cell_database
from tests.fleet import RunningFleet
from tests.traces import engine_of, secret_store

_QUESTIONS_AT_ONCE = 32


async def census(fleet: RunningFleet, namespaces: Sequence[str]) -> set[str]:
    """Return one line for each thing there is, such as `role ns:orders.acme1`.

    Names in DNS are looked up for `namespaces` alone; all else is listed, whose ever it is.
    """
    cells = await asyncio.gather(*(_in_cell(fleet, cell.id) for cell in CELLS))
    secrets = await secret_store(fleet).names("namespaces/")
    return (
        set().union(*cells)
        | {f"secret {name}" for name in secrets}
        | {f"DNS name {name}" for name in await _in_dns(fleet, namespaces)}
    )


async def _in_cell(fleet: RunningFleet, cell: str) -> set[str]:
    cells = CellClient(await engine_of(fleet))
    spec = (await cells.describe(cell)).spec
    password = await secret_store(fleet).get(cell_database(cell))
    assert password is not None
    conninfo = make_conninfo(spec.addresses.database, password=password.decode())
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        records = await connection.execute("SELECT namespace FROM namespaces")
        found = {f"record {row[0]} in {cell}" for row in await records.fetchall()}
        roles = await connection.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'ns:%'")
        found |= {f"role {row[0]}" for row in await roles.fetchall()}
    server = (await Client.connect(spec.addresses.frontend)).workflow_service
    listed = await server.list_namespaces(ListNamespacesRequest(page_size=10_000))
    found |= {f"registration {n.namespace_info.name} in {cell}" for n in listed.namespaces}
    return found | {f"reservation {name} in {cell}" for name in await cells.allocations(cell)}


async def _in_dns(fleet: RunningFleet, namespaces: Sequence[str]) -> list[str]:
    host, _, port = fleet.record.address("dns").partition(":")
    limit = asyncio.Semaphore(_QUESTIONS_AT_ONCE)

    async def exists(name: str) -> bool:
        async with limit:
            query = dns.message.make_query(name, "CNAME")
            answer = await dns.asyncquery.udp(query, host, port=int(port), timeout=10)
        return answer.rcode() != dns.rcode.NXDOMAIN

    names = [server_name(namespace, fleet.record.zone) for namespace in namespaces]
    there = await asyncio.gather(*map(exists, names))
    return [name for name, exists in zip(names, there, strict=True) if exists]
