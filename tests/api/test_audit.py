import asyncio
import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import JsonValue
from temporalio.api.cloud.cloudservice.v1 import (
    CreateNamespaceRequest,
    DeleteNamespaceRequest,
    GetAccountRequest,
    GetAuditLogsRequest,
    GetNamespaceRequest,
    GetNamespacesRequest,
)
from temporalio.service import RPCStatusCode

from controlplane.api.audit_trail import AuditTrail, Call
from controlplane.api.calls import SERVICE
from controlplane.api.changes import Change
from controlplane.api.refusals import Refusal
from controlplane.store.audit import AuditLog
from controlplane.store.audit_entries import FIRST_PREVIOUS, Actor, AuditEntry
from controlplane.store.projections import Projections
from provisioning.types import Decision, DecisionKind
from tests.api.running import (
    CLIENT_CA,
    RunningApi,
    Tenant,
    bearer,
    create_request,
    declared,
    running_api,
)
from tests.api.test_namespaces import refused
from tests.eventually import eventually
from tests.postgres import RunningPostgres
from tests.store.views import NOW, namespace_view

ACTOR = Actor("user", "user-1", "olga@example.com", "key-1")


async def recorded(api: RunningApi, tenant: Tenant) -> list[AuditEntry]:
    records = await AuditLog(api.pool).read(tenant.account, limit=100)
    return [record.entry for record in records]


async def test_a_change_is_recorded_with_who_asked_and_what(
    api: RunningApi, tenant: Tenant
) -> None:
    await api.call(
        f"/{SERVICE.full_name}/CreateNamespace",
        create_request("orders", "op-1"),
        (*bearer(tenant.token), ("x-forwarded-for", "10.1.2.3, 10.0.0.1")),
    )

    (log,) = (await tenant.cloud.cloud_service.get_audit_logs(GetAuditLogsRequest())).logs

    assert (log.operation, log.status, log.version) == ("CreateNamespace", "OK", 1)
    assert log.async_operation_id == "op-1"
    assert log.x_forwarded_for == "10.1.2.3, 10.0.0.1"
    assert log.log_id == f"{tenant.account}-000000000001"
    assert abs(log.emit_time.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(minutes=1)
    principal = log.principal
    assert (principal.type, principal.id) == ("user", tenant.owner.user)
    assert principal.name == tenant.owner.email
    assert principal.api_key_id == await key_id(tenant)
    details = MessageToDict(log.raw_details)
    assert details["request"]["spec"]["name"] == "orders"
    assert details["namespace"] == f"orders.{tenant.account}"
    assert details["answer"] == {"namespace": f"orders.{tenant.account}"}


async def key_id(tenant: Tenant) -> str:
    return (await tenant.owner.keys.verify(tenant.token)).key.id


async def test_neither_tokens_nor_keys_nor_pem_get_into_the_log(
    api: RunningApi, tenant: Tenant
) -> None:
    spec = declared("orders")
    spec.codec_server.endpoint = "https://codec.example.com/?key=s3cr3t"
    spec.codec_server.custom_error_message.default.message = f"use {tenant.token}"
    await tenant.cloud.cloud_service.create_namespace(CreateNamespaceRequest(spec=spec))

    async with api.pool.connection() as connection:
        rows = await connection.execute(
            "SELECT entry FROM audit_log WHERE account_id = %s", (tenant.account,)
        )
        ((text,),) = await rows.fetchall()

    assert "(CERTIFICATE sha256:" in text
    for hidden in ("s3cr3t", tenant.token, "BEGIN", base64.b64encode(CLIENT_CA).decode()[:50]):
        assert hidden not in text


async def test_refusals_are_recorded_with_their_reason(api: RunningApi, tenant: Tenant) -> None:
    service = tenant.cloud.cloud_service
    wrong = create_request("orders", "op-1")
    wrong.spec.retention_days = 1000
    told = await refused(service.create_namespace(wrong), RPCStatusCode.INVALID_ARGUMENT)
    absent = DeleteNamespaceRequest(namespace=f"absent.{tenant.account}")
    await refused(service.delete_namespace(absent), RPCStatusCode.NOT_FOUND)
    await refused(
        service.create_namespace(create_request("orders", "with blank")),
        RPCStatusCode.INVALID_ARGUMENT,
    )

    entries = await recorded(api, tenant)

    assert [(entry.what, entry.status) for entry in entries] == [
        ("CreateNamespace", "INVALID_ARGUMENT"),
        ("DeleteNamespace", "NOT_FOUND"),
        ("CreateNamespace", "INVALID_ARGUMENT"),
    ]
    assert entries[0].details["message"] == told
    assert entries[1].details["namespace"] == f"absent.{tenant.account}"


async def test_what_was_before_is_recorded_of_changes_that_were_made_only(
    api: RunningApi, tenant: Tenant
) -> None:
    service = tenant.cloud.cloud_service
    namespace = await tenant.create("orders")
    await api.settle(namespace)
    stale = DeleteNamespaceRequest(namespace=namespace, resource_version="stale")
    await refused(service.delete_namespace(stale), RPCStatusCode.FAILED_PRECONDITION)
    await service.delete_namespace(DeleteNamespaceRequest(namespace=namespace))

    deletions = [e for e in await recorded(api, tenant) if e.what == "DeleteNamespace"]

    refusal, done = deletions
    assert "before" not in refusal.details
    before = done.details["before"]
    assert isinstance(before, dict)
    assert before["name"] == "orders"
    assert done.details["after"] is None


async def test_what_a_refused_call_would_have_changed_is_not_said_to_have_changed(
    api: RunningApi, tenant: Tenant
) -> None:
    call = Call(await tenant.owner.keys.verify(tenant.token), "UpdateNamespace", operation="op-1")
    refusal = Refusal(grpc.StatusCode.UNAVAILABLE, "the engine does not answer")

    await AuditTrail(AuditLog(api.pool)).record(call, refusal, Change({"days": 7}, {"days": 8}))

    (entry,) = await recorded(api, tenant)
    assert entry.details == {"request": {}, "message": "the engine does not answer"}


async def test_reads_are_not_recorded(api: RunningApi, tenant: Tenant) -> None:
    service = tenant.cloud.cloud_service
    await service.get_account(GetAccountRequest())
    await service.get_namespaces(GetNamespacesRequest())
    await refused(
        service.get_namespace(GetNamespaceRequest(namespace="x.y")), RPCStatusCode.NOT_FOUND
    )

    assert await recorded(api, tenant) == []


async def test_the_same_request_again_is_recorded_once_and_another_one_anew(
    api: RunningApi, tenant: Tenant
) -> None:
    service = tenant.cloud.cloud_service
    for _ in range(3):
        await service.create_namespace(create_request("orders", "op-1"))
    changed = create_request("orders", "op-1")
    changed.spec.retention_days = 9
    for _ in range(2):
        await refused(service.create_namespace(changed), RPCStatusCode.ALREADY_EXISTS)

    assert [entry.status for entry in await recorded(api, tenant)] == ["OK", "ALREADY_EXISTS"]


async def test_an_operation_without_an_id_is_recorded_under_the_one_it_got(
    api: RunningApi, tenant: Tenant
) -> None:
    created = await tenant.cloud.cloud_service.create_namespace(create_request("orders"))

    (entry,) = await recorded(api, tenant)

    assert entry.operation == created.async_operation.id != ""


async def test_another_account_reads_nothing_of_it(api: RunningApi, tenant: Tenant) -> None:
    await tenant.create("orders")
    stranger = await api.tenant()

    logs = await stranger.cloud.cloud_service.get_audit_logs(GetAuditLogsRequest())

    assert list(logs.logs) == []


async def test_decisions_of_entities_are_in_the_log(api: RunningApi, tenant: Tenant) -> None:
    decision = Decision(1, NOW, DecisionKind.PLACED, "c1 has most room", "op-1", "", "c1")
    view = replace(namespace_view(f"orders.{tenant.account}"), decisions=(decision,))
    await Projections(api.pool).publish_namespace(view)

    (log,) = (await tenant.cloud.cloud_service.get_audit_logs(GetAuditLogsRequest())).logs

    assert (log.operation, log.principal.type) == ("CellSelected", "system")
    assert log.async_operation_id == "op-1"
    details = MessageToDict(log.raw_details)
    assert (details["message"], details["after"]) == ("c1 has most room", "c1")


async def test_the_log_is_read_in_pages_and_by_time(api: RunningApi, tenant: Tenant) -> None:
    service = tenant.cloud.cloud_service
    for number in range(5):
        await tenant.create(f"orders-{number}")
    ids, token = [], ""
    while True:
        page = await service.get_audit_logs(GetAuditLogsRequest(page_size=2, page_token=token))
        ids += [log.log_id for log in page.logs]
        token = page.next_page_token
        if not token:
            break
    records = await AuditLog(api.pool).read(tenant.account, limit=10)
    assert ids == [record.log_id for record in records]

    period = GetAuditLogsRequest()
    period.start_time_inclusive.FromDatetime(records[1].emitted_at)
    period.end_time_exclusive.FromDatetime(records[3].emitted_at)
    within = await service.get_audit_logs(period)
    assert [log.log_id for log in within.logs] == ids[1:3]


async def test_without_a_start_the_last_30_days_are_read(api: RunningApi, tenant: Tenant) -> None:
    await tenant.create("orders-1")
    async with api.pool.connection() as connection, connection.transaction():
        await connection.execute("ALTER TABLE audit_log DISABLE TRIGGER append_only")
        await connection.execute(
            "UPDATE audit_log SET emitted_at = now() - interval '31 days' WHERE account_id = %s",
            (tenant.account,),
        )
        await connection.execute("ALTER TABLE audit_log ENABLE TRIGGER append_only")
    await tenant.create("orders-2")

    service = tenant.cloud.cloud_service
    recent = await service.get_audit_logs(GetAuditLogsRequest())
    everything = await service.get_audit_logs(
        GetAuditLogsRequest(start_time_inclusive=Timestamp(seconds=1))
    )

    assert (len(recent.logs), len(everything.logs)) == (1, 2)


async def test_a_page_fits_into_a_message(api: RunningApi, tenant: Tenant) -> None:
    large: JsonValue = {"text": "x" * 60_000}
    for number in range(50):
        await AuditLog(api.pool).append(
            AuditEntry(
                tenant.account,
                f"call/{number}",
                1,
                "Large",
                "OK",
                ACTOR,
                details={"request": large},
            )
        )

    seen, token, pages = 0, "", 0
    while not pages or token:
        page = await tenant.cloud.cloud_service.get_audit_logs(
            GetAuditLogsRequest(page_token=token)
        )
        assert page.ByteSize() < 4 * 1024 * 1024
        seen, token, pages = seen + len(page.logs), page.next_page_token, pages + 1

    assert (seen, pages) == (50, 2)


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (GetAuditLogsRequest(page_size=-1), "page_size -1 is negative"),
        (GetAuditLogsRequest(page_token="nonsense"), "does not belong to this list"),
        (
            GetAuditLogsRequest(start_time_inclusive=Timestamp(seconds=2**60)),
            "is no time between the years 1 and 9999",
        ),
        (
            GetAuditLogsRequest(
                start_time_inclusive=Timestamp(seconds=20), end_time_exclusive=Timestamp(seconds=10)
            ),
            "is not after start_time_inclusive",
        ),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(
    tenant: Tenant, request_: GetAuditLogsRequest, told: str
) -> None:
    assert told in await refused(
        tenant.cloud.cloud_service.get_audit_logs(request_), RPCStatusCode.INVALID_ARGUMENT
    )


async def test_the_log_is_exported_so_that_anybody_can_check_it(tenant: Tenant) -> None:
    for number in range(3):
        await tenant.create(f"orders-{number}")

    async with tenant.http() as http:
        exported = await http.get("/fleet/v1/audit-log")
        checked = (await http.get("/fleet/v1/audit-log/verification")).json()
        later = datetime.now(UTC) + timedelta(days=1)
        nothing = await http.get("/fleet/v1/audit-log", params={"from": later.isoformat()})
        naive = await http.get("/fleet/v1/audit-log", params={"from": "2026-01-01T00:00:00"})

    assert exported.headers["content-type"] == "application/x-ndjson"
    previous = FIRST_PREVIOUS
    for line in exported.text.splitlines():
        record = json.loads(line)
        told = record.pop("hash")
        text = json.dumps(record, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(text.encode()).hexdigest() == told
        assert record["previous"] == previous
        previous = told
    assert checked == {"records": 3, "last_hash": previous, "broken_at": None, "reason": ""}
    assert nothing.text == ""
    assert naive.status_code == 400


async def test_a_change_that_cannot_be_recorded_is_not_answered_as_done(
    postgres: RunningPostgres,
) -> None:
    async with running_api(postgres) as api:
        tenant = await api.tenant()
        request = create_request("orders", "op-1")
        async with api.pool.connection() as connection:
            await connection.execute("ALTER TABLE audit_log RENAME TO audit_log_away")

        told = await refused(
            tenant.cloud.cloud_service.create_namespace(request), RPCStatusCode.UNAVAILABLE
        )

        assert "could not be recorded" in told
        assert "send the same request again with async_operation_id 'op-1'" in told
        async with api.pool.connection() as connection:
            await connection.execute("ALTER TABLE audit_log_away RENAME TO audit_log")
        again = await tenant.cloud.cloud_service.create_namespace(request)
        assert again.async_operation.id == "op-1"
        assert [(entry.operation, entry.status) for entry in await recorded(api, tenant)] == [
            ("op-1", "OK")
        ]
        assert api.writer.asked.count("op-1") == 1


async def test_a_change_goes_on_to_its_end_when_its_caller_goes_away(
    api: RunningApi, tenant: Tenant
) -> None:
    async with api.pool.connection() as connection, connection.transaction():
        # Whoever claims an operation waits for us.
        await connection.execute("LOCK TABLE operations IN SHARE ROW EXCLUSIVE MODE")
        calling = asyncio.ensure_future(
            tenant.call("CreateNamespace", create_request("orders", "op-away"))
        )

        async def waits() -> bool:
            rows = await connection.execute(
                "SELECT FROM pg_locks WHERE NOT granted AND relation = 'operations'::regclass"
            )
            return rows.rowcount > 0

        await eventually(waits)
        calling.cancel()
        with pytest.raises((asyncio.CancelledError, grpc.aio.AioRpcError)):
            await calling

    async def is_done() -> bool:
        return [entry.status for entry in await recorded(api, tenant)] == ["OK"]

    await eventually(is_done)
    assert api.writer.asked.count("op-away") == 1
    created = await tenant.cloud.cloud_service.create_namespace(create_request("orders", "op-away"))
    assert created.async_operation.id == "op-away"
