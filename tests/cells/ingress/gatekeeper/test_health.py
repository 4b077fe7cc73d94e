"""What the control plane waits on: the health service says which records are enforced."""

from collections.abc import AsyncIterator
from dataclasses import replace

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub, add_HealthServicer_to_server

from cells.ingress.gatekeeper.health import Health
from cells.ingress.gatekeeper.key_table import AccountKeys, KeyTable
from cells.ingress.gatekeeper.table import RecordTable
from cells.ingress.keys import keys_service
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
CLOSED = replace(RECORD, admitted=False)
CHANGED = replace(RECORD, rules=AdmissionRules(client_ca="another PEM"))


@pytest.fixture
def table() -> RecordTable:
    return RecordTable()


@pytest.fixture
def keys() -> KeyTable:
    return KeyTable()


@pytest.fixture
async def health(table: RecordTable, keys: KeyTable) -> AsyncIterator[HealthStub]:
    server = grpc.aio.server()
    add_HealthServicer_to_server(Health(table, keys), server)
    port = server.add_insecure_port(f"{LOOPBACK}:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"{LOOPBACK}:{port}") as channel:
        yield HealthStub(channel)
    await server.stop(None)


def service(record: IngressRecord) -> HealthCheckRequest:
    return HealthCheckRequest(service=loaded_service(record.namespace, record.digest))


async def serving(health: HealthStub, request: HealthCheckRequest) -> bool:
    try:
        answer = await health.Check(request)
    except grpc.aio.AioRpcError as error:
        assert error.code() == grpc.StatusCode.NOT_FOUND  # noqa: PT017
        return False
    return bool(answer.status == HealthCheckResponse.SERVING)


async def test_the_gatekeeper_serves_once_it_has_records_even_if_they_are_none(
    table: RecordTable, health: HealthStub
) -> None:
    assert not await serving(health, HealthCheckRequest())
    table.replace([])
    assert await serving(health, HealthCheckRequest())


async def test_exactly_the_admitted_record_that_is_enforced_is_served(
    table: RecordTable, health: HealthStub
) -> None:
    for enforced, served in (
        ([], None),
        ([CLOSED], None),
        ([RECORD], RECORD),
        ([CHANGED], CHANGED),
        ([], None),
    ):
        table.replace(enforced)
        for record in (CLOSED, RECORD, CHANGED):
            assert await serving(health, service(record)) == (record is served)


async def test_a_watcher_sees_a_record_come_and_go(table: RecordTable, health: HealthStub) -> None:
    watch = health.Watch(service(RECORD))
    seen = [(await watch.read()).status]
    for records in ([RECORD], [CHANGED], [RECORD], []):
        table.replace(records)
        seen.append((await watch.read()).status)
    watch.cancel()

    unknown, up = HealthCheckResponse.SERVICE_UNKNOWN, HealthCheckResponse.SERVING
    assert seen == [unknown, up, unknown, up, unknown]


async def test_a_revision_of_an_accounts_keys_is_served_from_then_on(
    keys: KeyTable, health: HealthStub
) -> None:
    def asked(account: str, revision: int) -> HealthCheckRequest:
        return HealthCheckRequest(service=keys_service(account, revision))

    keys.update({"acme1": AccountKeys("acme1", 7)})

    assert [await serving(health, asked("acme1", revision)) for revision in (6, 7, 8)] == [
        True,
        True,
        False,
    ]
    assert not await serving(health, asked("globex", 1))
    assert not await serving(health, HealthCheckRequest(service="api_keys/acme1@x"))


async def test_a_watcher_sees_a_revision_come(keys: KeyTable, health: HealthStub) -> None:
    watch = health.Watch(HealthCheckRequest(service=keys_service("acme1", 2)))
    seen = [(await watch.read()).status]
    for revision in (1, 2, 3):
        keys.update({"acme1": AccountKeys("acme1", revision)})
    seen.append((await watch.read()).status)
    watch.cancel()

    assert seen == [HealthCheckResponse.SERVICE_UNKNOWN, HealthCheckResponse.SERVING]
