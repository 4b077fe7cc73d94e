import asyncio
from datetime import timedelta

from temporalio.api.cloud.cloudservice.v1 import DeleteNamespaceRequest

from controlplane.api.late_records import LATE_AFTER, LateRecords
from controlplane.store.audit import AuditLog
from controlplane.store.audit_entries import AuditEntry
from tests.api.running import RunningApi, Tenant, create_request

EVERYTHING = timedelta(0)


async def records(api: RunningApi, tenant: Tenant) -> list[AuditEntry]:
    return [record.entry for record in await AuditLog(api.pool).read(tenant.account, limit=100)]


async def die_before_the_record(api: RunningApi, tenant: Tenant, operation: str) -> None:
    """Leave what a call leaves whose process ended between the change and its record."""
    async with api.pool.connection() as connection:
        await connection.execute(
            "UPDATE operations SET recorded = false WHERE account_id = %s AND id = %s",
            (tenant.account, operation),
        )


async def test_a_call_whose_process_died_is_recorded_late_and_once(
    api: RunningApi, tenant: Tenant
) -> None:
    await tenant.cloud.cloud_service.create_namespace(create_request("orders", "op-1"))
    await die_before_the_record(api, tenant, "op-1")
    before = len(await records(api, tenant))

    late = LateRecords(AuditLog(api.pool), EVERYTHING)
    await asyncio.gather(*(late.catch_up() for _ in range(3)))
    await late.catch_up()

    (entry,) = (await records(api, tenant))[before:]
    assert (entry.what, entry.status, entry.operation) == ("CreateNamespace", "OK", "op-1")
    assert (entry.actor.type, entry.actor.id) == ("user", tenant.owner.user)
    assert entry.actor.name == tenant.owner.email
    assert "recorded late" in str(entry.details["message"])
    request = entry.details["request"]
    assert isinstance(request, dict)
    assert "(CERTIFICATE sha256:" in str(request["spec"])
    assert "BEGIN" not in str(request)


async def test_calls_that_were_recorded_are_not_recorded_again(
    api: RunningApi, tenant: Tenant
) -> None:
    service = tenant.cloud.cloud_service
    created = await service.create_namespace(create_request("orders", "op-1"))
    await api.settle(created.namespace)
    await service.delete_namespace(DeleteNamespaceRequest(namespace=created.namespace))
    before = await records(api, tenant)

    await LateRecords(AuditLog(api.pool), EVERYTHING).catch_up()

    assert await records(api, tenant) == before
    assert [entry.what for entry in before if entry.actor.type == "user"] == [
        "CreateNamespace",
        "DeleteNamespace",
    ]


async def test_a_call_still_under_way_is_not_late(api: RunningApi, tenant: Tenant) -> None:
    await tenant.cloud.cloud_service.create_namespace(create_request("orders", "op-1"))
    await die_before_the_record(api, tenant, "op-1")
    before = await records(api, tenant)

    await LateRecords(AuditLog(api.pool), LATE_AFTER).catch_up()

    assert await records(api, tenant) == before
