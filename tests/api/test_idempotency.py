import asyncio

import pytest
from temporalio.api.cloud.cloudservice.v1 import (
    DeleteNamespaceRequest,
    GetAsyncOperationRequest,
    GetNamespaceRequest,
)
from temporalio.service import RPCError, RPCStatusCode

from tests.api.running import RunningApi, Tenant, create_request, declared, running_api
from tests.api.test_namespaces import refused
from tests.postgres import RunningPostgres


async def test_the_same_request_again_is_answered_alike_and_done_once(
    api: RunningApi, tenant: Tenant
) -> None:
    service = tenant.cloud.cloud_service
    first = await service.create_namespace(create_request("orders", "op-once"))

    again = await service.create_namespace(create_request("orders", "op-once"))

    assert again == first
    assert api.writer.asked.count("op-once") == 1


async def test_duplicates_at_once_are_answered_alike(tenant: Tenant) -> None:
    request = create_request("orders", "op-at-once")

    answers = await asyncio.gather(
        *(tenant.cloud.cloud_service.create_namespace(request) for _ in range(10))
    )

    assert all(answer == answers[0] for answer in answers)


async def test_a_creation_repeated_after_the_namespace_is_gone_does_not_make_it_again(
    api: RunningApi, tenant: Tenant
) -> None:
    service = tenant.cloud.cloud_service
    created = await service.create_namespace(create_request("orders", "op-create"))
    await api.settle(created.namespace)
    await service.delete_namespace(DeleteNamespaceRequest(namespace=created.namespace))
    await api.settle(created.namespace)

    again = await service.create_namespace(create_request("orders", "op-create"))

    assert again.async_operation.id == "op-create"
    assert created.namespace not in api.writer.namespaces


async def test_a_deletion_repeated_after_the_namespace_is_gone_is_answered(
    api: RunningApi, tenant: Tenant
) -> None:
    service = tenant.cloud.cloud_service
    namespace = await tenant.create("orders")
    await api.settle(namespace)
    request = DeleteNamespaceRequest(namespace=namespace, async_operation_id="op-delete")
    await service.delete_namespace(request)
    await api.settle(namespace)

    again = await service.delete_namespace(request)

    assert again.async_operation.id == "op-delete"


async def test_an_id_used_for_another_request_is_refused(tenant: Tenant) -> None:
    service = tenant.cloud.cloud_service
    created = await service.create_namespace(create_request("orders", "op-1"))
    changed = create_request("orders", "op-1")
    changed.spec.retention_days = 8

    for call in (
        service.create_namespace(changed),
        service.create_namespace(create_request("bills", "op-1")),
        service.delete_namespace(
            DeleteNamespaceRequest(namespace=created.namespace, async_operation_id="op-1")
        ),
    ):
        told = await refused(call, RPCStatusCode.ALREADY_EXISTS)
        assert "'op-1' already stands for another request" in told


async def test_the_id_of_a_refused_request_may_be_used_again(tenant: Tenant) -> None:
    service = tenant.cloud.cloud_service
    wrong = create_request("orders", "op-1")
    wrong.spec.retention_days = 1000
    await refused(service.create_namespace(wrong), RPCStatusCode.INVALID_ARGUMENT)
    await refused(
        service.get_async_operation(GetAsyncOperationRequest(async_operation_id="op-1")),
        RPCStatusCode.NOT_FOUND,
    )

    created = await service.create_namespace(create_request("orders", "op-1"))

    assert created.async_operation.id == "op-1"


@pytest.mark.parametrize("name", ["with blank", "ü", "x" * 201], ids=["blank", "umlaut", "long"])
async def test_an_unusable_operation_id_is_refused(tenant: Tenant, name: str) -> None:
    told = await refused(
        tenant.cloud.cloud_service.create_namespace(create_request("orders", name)),
        RPCStatusCode.INVALID_ARGUMENT,
    )
    assert "async_operation_id" in told


async def test_with_the_engine_down_reads_work_and_a_write_can_be_sent_again(
    postgres: RunningPostgres,
) -> None:
    async with running_api(postgres) as api:
        tenant = await api.tenant()
        service = tenant.cloud.cloud_service
        standing = await tenant.create("standing")
        request = create_request("orders", "op-1")
        api.writer.silent = True

        told = await refused(service.create_namespace(request), RPCStatusCode.UNAVAILABLE)

        assert "engine" in told
        await service.get_namespace(GetNamespaceRequest(namespace=standing))
        await refused(
            service.get_async_operation(GetAsyncOperationRequest(async_operation_id="op-1")),
            RPCStatusCode.NOT_FOUND,
        )
        api.writer.silent = False
        assert (await service.create_namespace(request)).async_operation.id == "op-1"


async def test_a_write_whose_reply_was_lost_can_be_sent_again(postgres: RunningPostgres) -> None:
    async with running_api(postgres) as api:
        service = (await api.tenant()).cloud.cloud_service
        request = create_request("orders", "op-1")
        api.writer.reply_lost = True
        await refused(service.create_namespace(request), RPCStatusCode.UNAVAILABLE)
        api.writer.reply_lost = False

        created = await service.create_namespace(request)

        assert created.async_operation.id == "op-1"
        assert len(api.writer.namespaces) == 1


async def test_with_the_database_gone_callers_are_told_to_try_again(
    postgres: RunningPostgres,
) -> None:
    async with running_api(postgres) as api:
        tenant = await api.tenant()
        await api.pool.close()

        with pytest.raises(RPCError) as refusal:
            await tenant.cloud.cloud_service.get_namespace(
                GetNamespaceRequest(namespace=f"{declared('orders').name}.{tenant.account}")
            )

        assert refusal.value.status is RPCStatusCode.UNAVAILABLE
        assert "database" in refusal.value.message
