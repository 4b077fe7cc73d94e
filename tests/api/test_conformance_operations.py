"""GetAsyncOperation and operation ids, as clients of Temporal Cloud need them, at every door."""

import httpx
import pytest
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from temporalio.api.cloud.cloudservice.v1 import (
    CreateNamespaceResponse,
    DeleteNamespaceRequest,
    DeleteNamespaceResponse,
    GetAsyncOperationRequest,
    GetAsyncOperationResponse,
    GetNamespaceRequest,
    GetNamespaceResponse,
    UpdateNamespaceRequest,
    UpdateNamespaceResponse,
    UpdateNamespaceTagsRequest,
    UpdateNamespaceTagsResponse,
)
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.api.cloud.resource.v1 import ResourceState
from temporalio.service import RPCStatusCode

from controlplane.store.projections import Projections
from tests.api.doors import Door, Refused
from tests.api.running import RunningApi, Tenant, create_request, declared


async def polled(door: Door, operation: str) -> AsyncOperation:
    request = GetAsyncOperationRequest(async_operation_id=operation)
    return (await door.call(request, GetAsyncOperationResponse)).async_operation


async def active(api: RunningApi, door: Door, name: str = "orders") -> str:
    created = await door.call(create_request(name), CreateNamespaceResponse)
    await api.settle(created.namespace)
    return created.namespace


def updated(namespace: str, operation: str = "", days: int = 8) -> UpdateNamespaceRequest:
    spec = declared(namespace.partition(".")[0])
    spec.retention_days = days
    return UpdateNamespaceRequest(namespace=namespace, spec=spec, async_operation_id=operation)


async def test_every_change_is_an_operation_that_can_be_polled_until_it_is_done(
    api: RunningApi, door: Door
) -> None:
    namespace = await active(api, door)
    tags = UpdateNamespaceTagsRequest(namespace=namespace, tags_to_upsert={"team": "a"})
    changes: list[tuple[Message, type[Message]]] = [
        (updated(namespace), UpdateNamespaceResponse),
        (tags, UpdateNamespaceTagsResponse),
        (DeleteNamespaceRequest(namespace=namespace), DeleteNamespaceResponse),
    ]
    for request, answer in changes:
        begun = (await door.call(request, answer)).async_operation  # type: ignore[attr-defined]  # Of all of these.
        first = await polled(door, begun.id)
        await api.settle(namespace)
        last = await polled(door, begun.id)

        rpc = type(request).__name__.removesuffix("Request")
        assert begun.id
        assert first == begun
        assert begun.operation_type == rpc
        assert begun.operation_input.type_url == (
            f"type.googleapis.com/temporal.api.cloud.cloudservice.v1.{rpc}Request"
        )
        assert begun.state == AsyncOperation.STATE_PENDING
        # Clients sleep this long between two looks.
        assert begun.check_duration.ToMilliseconds() == 1000
        assert begun.HasField("started_time")
        assert not begun.HasField("finished_time")
        assert last.state == AsyncOperation.STATE_FULFILLED
        assert last.state_deprecated == "fulfilled"
        assert last.HasField("finished_time")


async def test_once_fulfilled_the_change_is_read_and_the_namespace_is_active(
    api: RunningApi, door: Door
) -> None:
    namespace = await active(api, door)
    begun = await door.call(updated(namespace, days=30), UpdateNamespaceResponse)
    request = GetNamespaceRequest(namespace=namespace)

    during = (await door.call(request, GetNamespaceResponse)).namespace
    await api.settle(namespace)
    after = (await door.call(request, GetNamespaceResponse)).namespace

    assert during.state == ResourceState.RESOURCE_STATE_UPDATING
    assert during.async_operation_id == begun.async_operation.id
    assert after.state == ResourceState.RESOURCE_STATE_ACTIVE
    assert after.async_operation_id == ""
    assert after.spec.retention_days == 30


async def test_a_change_that_fails_is_failed_and_says_why(api: RunningApi, door: Door) -> None:
    # REJECTED would be polled for ever by the Terraform provider.
    namespace = await active(api, door)
    begun = await door.call(updated(namespace), UpdateNamespaceResponse)

    view = api.writer.fail(namespace, "the cell is full")
    await Projections(api.pool).publish_namespace(view)

    failed = await polled(door, begun.async_operation.id)
    assert failed.state == AsyncOperation.STATE_FAILED
    assert failed.failure_reason == "the cell is full"


async def test_an_unknown_operation_is_not_there(door: Door) -> None:
    with pytest.raises(Refused) as refusal:
        await polled(door, "absent")

    assert refusal.value.code is RPCStatusCode.NOT_FOUND


async def test_the_same_request_under_the_same_id_is_answered_alike(
    api: RunningApi, door: Door
) -> None:
    created = create_request("orders", "op-create")
    first = await door.call(created, CreateNamespaceResponse)
    again = await door.call(created, CreateNamespaceResponse)
    await api.settle(first.namespace)
    change = updated(first.namespace, f"op-{first.namespace}")
    one = await door.call(change, UpdateNamespaceResponse)
    other = await door.call(change, UpdateNamespaceResponse)
    await api.settle(first.namespace)
    # Its version and its spec are no longer the present ones; it is the same request still.
    late = await door.call(change, UpdateNamespaceResponse)

    assert again == first
    assert other == one
    assert late.async_operation.id == change.async_operation_id
    assert late.async_operation.state == AsyncOperation.STATE_FULFILLED
    assert api.writer.asked.count(change.async_operation_id) == 1


async def test_another_request_under_the_same_id_is_refused(api: RunningApi, door: Door) -> None:
    namespace = await active(api, door)
    await door.call(updated(namespace, "op-1"), UpdateNamespaceResponse)

    for request in (
        updated(namespace, "op-1", days=9),
        DeleteNamespaceRequest(namespace=namespace, async_operation_id="op-1"),
        create_request("bills", "op-1"),
    ):
        with pytest.raises(Refused) as refusal:
            await door.call(request, DeleteNamespaceResponse)
        assert refusal.value.code is RPCStatusCode.ALREADY_EXISTS
        assert "'op-1'" in refusal.value.message


async def test_an_operation_outlives_what_it_was_about(api: RunningApi, door: Door) -> None:
    namespace = await active(api, door)
    change = await door.call(updated(namespace), UpdateNamespaceResponse)
    await api.settle(namespace)
    await door.call(DeleteNamespaceRequest(namespace=namespace), DeleteNamespaceResponse)
    await api.settle(namespace)

    found = await polled(door, change.async_operation.id)

    assert found.state == AsyncOperation.STATE_FULFILLED


async def test_operations_of_the_fleet_api_are_known_here_too(
    api: RunningApi, tenant: Tenant, door: Door
) -> None:
    namespace = await active(api, door)
    async with tenant.http() as http:
        answer = await http.put(
            f"/fleet/v1/namespaces/{namespace}/request-limit",
            json={"requests_per_second": 50, "operation_id": "op-limit"},
        )
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text

    found = await polled(door, "op-limit")

    asked = Struct()
    assert found.operation_type == "SetNamespaceRequestLimit"
    assert found.operation_input.Unpack(asked)
    assert dict(asked) == {"namespace": namespace, "requests_per_second": 50}


async def test_an_operation_says_what_was_asked_for_to_the_last_field(
    api: RunningApi, door: Door
) -> None:
    namespace = await active(api, door)
    request = updated(namespace, "op-update")

    begun = (await door.call(request, UpdateNamespaceResponse)).async_operation

    asked = UpdateNamespaceRequest()
    assert begun.operation_input.Unpack(asked)
    assert asked == request
