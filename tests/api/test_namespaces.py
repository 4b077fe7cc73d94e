import asyncio
from collections.abc import Awaitable

import pytest
from temporalio.api.cloud.cloudservice.v1 import (
    CreateNamespaceRequest,
    DeleteNamespaceRequest,
    GetAsyncOperationRequest,
    GetNamespaceRequest,
    GetNamespaceResponse,
    GetNamespacesRequest,
)
from temporalio.api.cloud.namespace.v1 import NamespaceRegionStatus, NamespaceSpec, Replica
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.api.cloud.resource.v1 import ResourceState
from temporalio.service import RPCError, RPCStatusCode

from controlplane.identity.types import Permission, Role
from tests.api.colleagues import colleague
from tests.api.running import CLIENT_CA, RunningApi, Tenant, create_request, declared
from tests.store.views import REGION


async def refused(call: Awaitable[object], code: RPCStatusCode) -> str:
    """Return why the call was refused, with that code."""
    with pytest.raises(RPCError) as refusal:
        await call
    assert refusal.value.status is code, refusal.value
    return refusal.value.message


async def test_a_read_right_after_a_write_sees_it(tenant: Tenant) -> None:
    service = tenant.cloud.cloud_service

    created = await service.create_namespace(create_request("orders"))

    assert created.namespace == f"orders.{tenant.account}"
    read = await service.get_namespace(GetNamespaceRequest(namespace=created.namespace))
    assert read.namespace.state == ResourceState.RESOURCE_STATE_ACTIVATING
    assert read.namespace.async_operation_id == created.async_operation.id
    polled = await service.get_async_operation(
        GetAsyncOperationRequest(async_operation_id=created.async_operation.id)
    )
    assert polled.async_operation == created.async_operation


async def test_an_operation_says_what_was_asked_for(tenant: Tenant) -> None:
    request = create_request("orders", "my-operation")

    created = await tenant.cloud.cloud_service.create_namespace(request)

    operation = created.async_operation
    assert operation.id == "my-operation"
    assert operation.operation_type == "CreateNamespace"
    assert operation.operation_input.type_url == (
        "type.googleapis.com/temporal.api.cloud.cloudservice.v1.CreateNamespaceRequest"
    )
    asked = CreateNamespaceRequest()
    assert operation.operation_input.Unpack(asked)
    assert asked == request
    assert (operation.state, operation.state_deprecated) == (
        AsyncOperation.STATE_PENDING,
        "pending",
    )
    assert operation.check_duration.ToSeconds() == 1
    assert not operation.HasField("finished_time")


async def test_an_active_namespace_shows_its_present_and_its_older_fields(
    api: RunningApi, tenant: Tenant
) -> None:
    namespace = await tenant.create("orders")
    await api.settle(namespace)

    found = (
        await tenant.cloud.cloud_service.get_namespace(GetNamespaceRequest(namespace=namespace))
    ).namespace

    assert found.state == ResourceState.RESOURCE_STATE_ACTIVE
    assert found.state_deprecated == "active"
    assert found.async_operation_id == ""
    assert found.active_region == REGION
    assert found.region_status[REGION].state == NamespaceRegionStatus.STATE_ACTIVE
    assert found.region_status[REGION].state_deprecated == "active"
    assert list(found.replicas) == [
        Replica(id=REGION, is_primary=True, state=Replica.REPLICA_STATE_ACTIVE, region=REGION)
    ]
    assert list(found.spec.regions) == [replica.region for replica in found.spec.replicas]
    assert found.spec.mtls_auth.accepted_client_ca == CLIENT_CA
    assert found.spec.HasField("api_key_auth")
    assert not found.spec.api_key_auth.enabled
    for unset in ("capacity_spec", "fairness", "lifecycle", "codec_server", "high_availability"):
        assert not found.spec.HasField(unset)
    assert not found.HasField("last_modified_time")
    # Nothing is limited, so no limit is claimed.
    assert not found.HasField("limits")


async def test_the_endpoint_shows_only_while_the_namespace_is_active(
    api: RunningApi, tenant: Tenant
) -> None:
    service = tenant.cloud.cloud_service
    namespace = await tenant.create("orders")

    async def address() -> str:
        read = await service.get_namespace(GetNamespaceRequest(namespace=namespace))
        return read.namespace.endpoints.mtls_grpc_address

    assert await address() == ""
    await api.settle(namespace)
    assert await address() == f"orders.{tenant.account}.fleet.test:7002"
    await service.delete_namespace(DeleteNamespaceRequest(namespace=namespace))
    assert await address() == ""


async def test_fields_unknown_to_us_survive(tenant: Tenant) -> None:
    # Field 500, a string: something that a later version of the API might have.
    later = b"\xa2\x1f\x05later"
    spec = NamespaceSpec.FromString(declared("orders").SerializeToString() + later)
    await tenant.call("CreateNamespace", CreateNamespaceRequest(spec=spec))

    read = await tenant.call(
        "GetNamespace", GetNamespaceRequest(namespace=f"orders.{tenant.account}")
    )

    namespace = GetNamespaceResponse.FromString(read).namespace
    assert later in namespace.spec.SerializeToString()


async def test_fields_unknown_to_us_survive_an_update_in_json(
    api: RunningApi, tenant: Tenant
) -> None:
    later = b"\xa2\x1f\x05later"
    spec = NamespaceSpec.FromString(declared("orders").SerializeToString() + later)
    await tenant.call("CreateNamespace", CreateNamespaceRequest(spec=spec))
    request = GetNamespaceRequest(namespace=f"orders.{tenant.account}")
    await api.settle(request.namespace)

    async with tenant.http() as http:
        url = f"/cloud/namespaces/{request.namespace}"
        found = (await http.get(url)).json()["namespace"]["spec"]
        await http.post(url, json={"spec": {**found, "retentionDays": 9}})

    read = GetNamespaceResponse.FromString(await tenant.call("GetNamespace", request))
    assert read.namespace.spec.retention_days == 9
    assert later in read.namespace.spec.SerializeToString()


async def test_what_the_caller_set_is_echoed(tenant: Tenant) -> None:
    spec = declared("orders")
    spec.lifecycle.enable_delete_protection = True
    spec.capacity_spec.on_demand.SetInParent()
    spec.codec_server.endpoint = "https://codec.example.com"
    spec.high_availability.disable_managed_failover = True
    spec.search_attributes["Customer"] = (
        NamespaceSpec.SearchAttributeType.SEARCH_ATTRIBUTE_TYPE_KEYWORD
    )
    created = await tenant.cloud.cloud_service.create_namespace(CreateNamespaceRequest(spec=spec))

    read = await tenant.cloud.cloud_service.get_namespace(
        GetNamespaceRequest(namespace=created.namespace)
    )

    echoed = read.namespace.spec
    for name in ("lifecycle", "capacity_spec", "codec_server", "high_availability"):
        assert getattr(echoed, name) == getattr(spec, name)
        assert echoed.HasField(name)
    assert echoed.search_attributes == spec.search_attributes
    assert dict(echoed.custom_search_attributes) == {"Customer": "keyword"}


async def test_an_older_client_may_send_the_older_fields(tenant: Tenant) -> None:
    spec = declared("orders")
    del spec.replicas[:]
    spec.regions.append(REGION)
    spec.custom_search_attributes["Customer"] = "keyword_list"
    created = await tenant.cloud.cloud_service.create_namespace(CreateNamespaceRequest(spec=spec))

    read = await tenant.cloud.cloud_service.get_namespace(
        GetNamespaceRequest(namespace=created.namespace)
    )

    assert [replica.region for replica in read.namespace.spec.replicas] == [REGION]
    assert dict(read.namespace.spec.search_attributes) == {
        "Customer": NamespaceSpec.SearchAttributeType.SEARCH_ATTRIBUTE_TYPE_KEYWORD_LIST
    }


async def test_a_deleted_namespace_is_gone_and_its_operation_is_not(
    api: RunningApi, tenant: Tenant
) -> None:
    service = tenant.cloud.cloud_service
    namespace = await tenant.create("orders")
    await api.settle(namespace)

    deleted = await service.delete_namespace(DeleteNamespaceRequest(namespace=namespace))
    read = await service.get_namespace(GetNamespaceRequest(namespace=namespace))
    assert read.namespace.state == ResourceState.RESOURCE_STATE_DELETING
    assert read.namespace.async_operation_id == deleted.async_operation.id
    await api.settle(namespace)

    await refused(
        service.get_namespace(GetNamespaceRequest(namespace=namespace)), RPCStatusCode.NOT_FOUND
    )
    await refused(
        service.delete_namespace(DeleteNamespaceRequest(namespace=namespace)),
        RPCStatusCode.NOT_FOUND,
    )
    polled = await service.get_async_operation(
        GetAsyncOperationRequest(async_operation_id=deleted.async_operation.id)
    )
    assert polled.async_operation.state == AsyncOperation.STATE_FULFILLED
    assert polled.async_operation.HasField("finished_time")


async def test_a_stale_resource_version_is_refused(api: RunningApi, tenant: Tenant) -> None:
    namespace = await tenant.create("orders")
    await api.settle(namespace)

    await refused(
        tenant.cloud.cloud_service.delete_namespace(
            DeleteNamespaceRequest(namespace=namespace, resource_version="stale")
        ),
        RPCStatusCode.FAILED_PRECONDITION,
    )


async def test_a_name_in_use_is_refused(tenant: Tenant) -> None:
    await tenant.create("orders")

    await refused(
        tenant.cloud.cloud_service.create_namespace(create_request("orders")),
        RPCStatusCode.ALREADY_EXISTS,
    )


async def test_another_accounts_namespace_is_as_absent_as_one_that_never_was(
    api: RunningApi, tenant: Tenant
) -> None:
    stranger = await api.tenant()
    service = stranger.cloud.cloud_service
    theirs = await tenant.create("orders")
    await api.settle(theirs)
    absent = f"absent.{tenant.account}"

    told = {
        (await refused(call, RPCStatusCode.NOT_FOUND)).replace(name, "X")
        for name in (theirs, absent)
        for call in (
            service.get_namespace(GetNamespaceRequest(namespace=name)),
            service.delete_namespace(DeleteNamespaceRequest(namespace=name)),
        )
    }

    assert len(told) == 1
    assert not (await service.get_namespaces(GetNamespacesRequest())).namespaces
    assert theirs in api.writer.namespaces


async def test_another_accounts_operation_is_as_absent_as_one_that_never_was(
    api: RunningApi, tenant: Tenant
) -> None:
    service = (await api.tenant()).cloud.cloud_service
    await tenant.cloud.cloud_service.create_namespace(create_request("orders", "theirs"))

    told = {
        (
            await refused(
                service.get_async_operation(GetAsyncOperationRequest(async_operation_id=name)),
                RPCStatusCode.NOT_FOUND,
            )
        ).replace(name, "X")
        for name in ("theirs", "absent")
    }

    assert len(told) == 1


async def test_pages_cover_every_namespace_once_in_order_of_name(tenant: Tenant) -> None:
    names = [f"n-{number}" for number in (3, 1, 4, 0, 2)]
    await asyncio.gather(*(tenant.create(name) for name in names))
    service = tenant.cloud.cloud_service

    found: list[str] = []
    sizes: list[int] = []
    token = ""
    while not sizes or token:
        page = await service.get_namespaces(GetNamespacesRequest(page_size=2, page_token=token))
        found.extend(namespace.spec.name for namespace in page.namespaces)
        sizes.append(len(page.namespaces))
        token = page.next_page_token

    assert found == sorted(names)
    assert sizes == [2, 2, 1]


async def test_the_name_filter_is_exact(tenant: Tenant) -> None:
    for name in ("orders", "orders-2"):
        await tenant.create(name)

    page = await tenant.cloud.cloud_service.get_namespaces(GetNamespacesRequest(name="orders"))

    assert [namespace.spec.name for namespace in page.namespaces] == ["orders"]
    assert page.next_page_token == ""


async def test_a_page_token_of_another_list_is_refused(api: RunningApi, tenant: Tenant) -> None:
    stranger = await api.tenant()
    for name in ("one", "two"):
        await stranger.create(name)
    theirs = await stranger.cloud.cloud_service.get_namespaces(GetNamespacesRequest(page_size=1))

    for token in (theirs.next_page_token, "nonsense", "!", "ÿÿÿÿ"):
        told = await refused(
            tenant.cloud.cloud_service.get_namespaces(GetNamespacesRequest(page_token=token)),
            RPCStatusCode.INVALID_ARGUMENT,
        )
        assert "page_token" in told


async def test_a_negative_page_size_is_refused(tenant: Tenant) -> None:
    await refused(
        tenant.cloud.cloud_service.get_namespaces(GetNamespacesRequest(page_size=-1)),
        RPCStatusCode.INVALID_ARGUMENT,
    )


async def test_only_what_one_may_know_of_is_listed_on_whole_pages(tenant: Tenant) -> None:
    created = [await tenant.create(f"n-{number}") for number in range(6)]
    known = created[1::2]
    reader = await colleague(tenant, Role.READ, dict.fromkeys(known, Permission.READ))
    service = reader.cloud.cloud_service

    found: list[str] = []
    sizes: list[int] = []
    token = ""
    while not sizes or token:
        page = await service.get_namespaces(GetNamespacesRequest(page_size=2, page_token=token))
        found.extend(namespace.namespace for namespace in page.namespaces)
        sizes.append(len(page.namespaces))
        token = page.next_page_token

    assert found == known
    assert sizes == [2, 1]
    hidden = await service.get_namespaces(GetNamespacesRequest(name="n-0"))
    assert not hidden.namespaces
