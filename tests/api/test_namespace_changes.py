"""Changes that meet others: of colleagues, of limits, of callers who were faster."""

from temporalio.api.cloud.cloudservice.v1 import (
    CreateNamespaceRequest,
    DeleteNamespaceRequest,
    GetNamespaceRequest,
    UpdateNamespaceRequest,
    UpdateNamespaceTagsRequest,
)
from temporalio.service import RPCError, RPCStatusCode

from controlplane.identity.limits import set_limits
from controlplane.identity.types import Role
from tests.api.colleagues import colleague
from tests.api.running import RunningApi, Tenant, create_request, declared
from tests.api.test_namespaces import refused
from tests.eventually import eventually
from tests.store.views import CELL


async def test_whoever_creates_a_namespace_is_its_admin_at_once(tenant: Tenant) -> None:
    developer = await colleague(tenant, Role.DEVELOPER)

    namespace = await developer.create("orders")

    service = developer.cloud.cloud_service
    read = await service.get_namespace(GetNamespaceRequest(namespace=namespace))
    assert read.namespace.namespace == namespace
    await service.delete_namespace(DeleteNamespaceRequest(namespace=namespace))


async def test_a_name_that_was_taken_makes_nobody_admin_of_what_has_it(tenant: Tenant) -> None:
    namespace = await tenant.create("orders")
    developer = await colleague(tenant, Role.DEVELOPER)
    await refused(
        developer.cloud.cloud_service.create_namespace(create_request("orders")),
        RPCStatusCode.ALREADY_EXISTS,
    )

    await refused(
        developer.cloud.cloud_service.get_namespace(GetNamespaceRequest(namespace=namespace)),
        RPCStatusCode.PERMISSION_DENIED,
    )


async def test_only_who_runs_the_account_tags_a_namespace_as_it_is_made(tenant: Tenant) -> None:
    developer = await colleague(tenant, Role.DEVELOPER)
    request = CreateNamespaceRequest(spec=declared("orders"), tags={"team": "a"})

    await refused(
        developer.cloud.cloud_service.create_namespace(request), RPCStatusCode.PERMISSION_DENIED
    )

    await tenant.cloud.cloud_service.create_namespace(request)


async def test_an_account_has_as_many_namespaces_and_tags_as_its_limits_say(
    api: RunningApi, tenant: Tenant
) -> None:
    service = tenant.cloud.cloud_service
    await set_limits(api.pool, tenant.account, {"namespaces": 1, "tags_per_namespace": 1})
    namespace = await tenant.create("orders")
    await api.settle(namespace)

    async def is_limited() -> bool:
        # What the process knows of limits is seconds old.
        try:
            await service.create_namespace(create_request("bills", "op-bills"))
        except RPCError as refusal:
            return refusal.status is RPCStatusCode.FAILED_PRECONDITION
        return False

    await eventually(is_limited)
    tags = UpdateNamespaceTagsRequest(namespace=namespace, tags_to_upsert={"a": "1", "b": "2"})
    assert "2 tags; at most 1" in await refused(
        service.update_namespace_tags(tags), RPCStatusCode.INVALID_ARGUMENT
    )


async def test_an_update_without_a_version_is_built_anew_on_what_came_in_between(
    api: RunningApi, tenant: Tenant
) -> None:
    service = tenant.cloud.cloud_service
    namespace = await tenant.create("orders")
    await api.settle(namespace)
    between = declared("orders")
    between.fairness.task_queue_fairness_enabled = True
    mine = declared("orders")
    mine.retention_days = 9

    async def overtake() -> None:
        await service.update_namespace(UpdateNamespaceRequest(namespace=namespace, spec=between))

    api.writer.in_between = overtake
    await service.update_namespace(UpdateNamespaceRequest(namespace=namespace, spec=mine))

    read = await service.get_namespace(GetNamespaceRequest(namespace=namespace))
    assert read.namespace.spec.retention_days == 9
    assert read.namespace.spec.fairness.task_queue_fairness_enabled


async def test_an_update_that_is_always_overtaken_is_refused_in_the_end(
    api: RunningApi, tenant: Tenant
) -> None:
    service = tenant.cloud.cloud_service
    namespace = await tenant.create("orders")
    await api.settle(namespace)
    days = iter(range(10, 20))

    async def overtake() -> None:
        spec = declared("orders")
        spec.retention_days = next(days)
        await service.update_namespace(UpdateNamespaceRequest(namespace=namespace, spec=spec))
        api.writer.in_between = overtake

    api.writer.in_between = overtake
    request = UpdateNamespaceRequest(namespace=namespace, spec=declared("orders"))
    request.spec.retention_days = 30
    try:
        told = await refused(service.update_namespace(request), RPCStatusCode.FAILED_PRECONDITION)
    finally:
        api.writer.in_between = None

    assert "read it again" in told


async def test_an_update_whose_reply_was_lost_is_the_same_update_again(
    api: RunningApi, tenant: Tenant
) -> None:
    service = tenant.cloud.cloud_service
    namespace = await tenant.create("orders")
    await api.settle(namespace)
    spec = declared("orders")
    spec.retention_days = 9
    request = UpdateNamespaceRequest(
        namespace=namespace, spec=spec, async_operation_id=f"lost-{tenant.account}"
    )
    api.writer.reply_lost = True
    await refused(service.update_namespace(request), RPCStatusCode.UNAVAILABLE)
    api.writer.reply_lost = False

    again = await service.update_namespace(request)

    assert again.async_operation.id == request.async_operation_id
    operations = api.writer.settle(namespace, CELL).operations
    assert [operation.id for operation in operations].count(request.async_operation_id) == 1
