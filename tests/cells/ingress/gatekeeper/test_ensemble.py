"""What several gatekeepers of one cell say together, whichever of them is asked."""

import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub, add_HealthServicer_to_server

from cells.ingress.enforcement import Gatekeepers
from cells.ingress.gatekeeper.ensemble import Companions, EnsembleHealth, addresses_of
from cells.ingress.gatekeeper.health import Health
from cells.ingress.gatekeeper.key_table import KeyTable
from cells.ingress.gatekeeper.table import RecordTable
from cells.ingress.records import AdmissionRules, IngressRecord, loaded_service
from controlplane.local.ports import LOOPBACK

RECORD = IngressRecord(
    namespace="orders.acme1",
    uid="u1",
    server_name="orders.acme1.fleet.test",
    admitted=True,
    rules=AdmissionRules(client_ca="PEM"),
    certificate_chain="PEM",
    sealed_key=b"sealed",
)
SERVICE = loaded_service(RECORD.namespace, RECORD.digest)
SERVING = HealthCheckResponse.SERVING


@dataclass
class Cell:
    """A cell with three gatekeepers behind one address each."""

    tables: list[RecordTable] = field(default_factory=lambda: [RecordTable() for _ in range(3)])
    addresses: list[str] = field(default_factory=list)

    async def ready(self) -> set[str]:
        return set(self.addresses)


@pytest.fixture
async def cell() -> AsyncIterator[Cell]:
    cell = Cell()
    async with contextlib.AsyncExitStack() as stack:
        for table in cell.tables:
            server = grpc.aio.server()
            health = EnsembleHealth(Health(table, KeyTable()), Companions(cell.ready))
            add_HealthServicer_to_server(health, server)
            cell.addresses.append(f"{LOOPBACK}:{server.add_insecure_port(f'{LOOPBACK}:0')}")
            await server.start()
            stack.push_async_callback(server.stop, None)
        yield cell


async def test_what_is_enforced_is_said_only_when_all_do_and_let_go_only_when_none_does(
    cell: Cell,
) -> None:
    gatekeepers = Gatekeepers(within=0.5)
    patient = Gatekeepers(within=30)
    asked = cell.addresses[0]
    try:
        for table in cell.tables[:2]:
            table.replace([RECORD])
        for wait in (gatekeepers.until_enforced, gatekeepers.until_let_go):
            with pytest.raises(TimeoutError):
                await wait("c1", asked, SERVICE, "the record")

        cell.tables[2].replace([RECORD])
        await patient.until_enforced("c1", asked, SERVICE, "the record")

        for table in cell.tables:
            table.replace([])
        await patient.until_let_go("c1", asked, SERVICE, "the record")
    finally:
        await gatekeepers.close()
        await patient.close()


async def test_one_that_does_not_answer_leaves_it_open(cell: Cell) -> None:
    for table in cell.tables:
        table.replace([RECORD])
    cell.addresses.append(f"{LOOPBACK}:1")
    async with grpc.aio.insecure_channel(cell.addresses[0]) as channel:
        answer = await HealthStub(channel).Check(HealthCheckRequest(service=SERVICE))
        assert answer.status == HealthCheckResponse.NOT_SERVING
        cell.addresses.pop()
        answer = await HealthStub(channel).Check(HealthCheckRequest(service=SERVICE))
        assert answer.status == SERVING


async def test_whether_a_gatekeeper_is_ready_is_its_own_affair(cell: Cell) -> None:
    cell.tables[0].replace([])
    async with grpc.aio.insecure_channel(cell.addresses[0]) as channel:
        assert (await HealthStub(channel).Check(HealthCheckRequest())).status == SERVING


async def test_a_name_leads_to_every_address_it_has() -> None:
    assert f"{LOOPBACK}:7" in await addresses_of("localhost:7")
    with pytest.raises(socket.gaierror):
        await addresses_of("no-such-host.invalid:7")
