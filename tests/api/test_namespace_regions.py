"""Regions and replicas of a namespace through the Cloud Ops API, by every door."""

import pytest
from temporalio.api.cloud.cloudservice.v1 import (
    AddNamespaceRegionRequest,
    AddNamespaceRegionResponse,
    CreateNamespaceRequest,
    CreateNamespaceResponse,
    DeleteNamespaceRegionRequest,
    DeleteNamespaceRegionResponse,
    FailoverNamespaceRegionRequest,
    FailoverNamespaceRegionResponse,
    GetAsyncOperationRequest,
    GetAsyncOperationResponse,
)
from temporalio.api.cloud.namespace.v1 import Namespace, NamespaceRegionStatus, ReplicaSpec
from temporalio.api.cloud.namespace.v1 import Replica as Message
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.service import RPCStatusCode

from controlplane.store.audit import AuditLog
from tests.api.conforming import active, read, refused, update
from tests.api.doors import Door
from tests.api.running import RunningApi, Tenant, declared
from tests.store.views import REGION

OTHER = "aws-us-west-2"
State = NamespaceRegionStatus


def states(namespace: Namespace) -> dict[str, int]:
    return {region: status.state for region, status in namespace.region_status.items()}


async def pair(api: RunningApi, door: Door) -> Namespace:
    """Return a namespace with a replica in each of two regions."""
    return await active(api, door, lambda spec: spec.replicas.append(ReplicaSpec(region=OTHER)))


async def add(door: Door, namespace: str, region: str, **more: str) -> AsyncOperation:
    request = AddNamespaceRegionRequest(namespace=namespace, region=region, **more)
    return (await door.call(request, AddNamespaceRegionResponse)).async_operation


async def remove(door: Door, namespace: str, region: str, **more: str) -> AsyncOperation:
    request = DeleteNamespaceRegionRequest(namespace=namespace, region=region, **more)
    return (await door.call(request, DeleteNamespaceRegionResponse)).async_operation


async def fail_over(door: Door, namespace: str, region: str, **more: str) -> AsyncOperation:
    request = FailoverNamespaceRegionRequest(namespace=namespace, region=region, **more)
    return (await door.call(request, FailoverNamespaceRegionResponse)).async_operation


async def test_a_namespace_is_created_in_two_regions(api: RunningApi, door: Door) -> None:
    spec = declared("orders")
    spec.replicas.append(ReplicaSpec(region=OTHER))
    created = await door.call(CreateNamespaceRequest(spec=spec), CreateNamespaceResponse)

    begun = await read(door, created.namespace)
    await api.settle(created.namespace)
    found = await read(door, created.namespace)

    assert states(begun) == {REGION: State.STATE_ADDING, OTHER: State.STATE_ADDING}
    assert states(found) == {REGION: State.STATE_ACTIVE, OTHER: State.STATE_PASSIVE}
    assert found.active_region == REGION
    assert list(found.spec.regions) == [each.region for each in found.spec.replicas]
    assert list(found.spec.regions) == [REGION, OTHER]
    assert [(each.id, each.is_primary, each.state) for each in found.replicas] == [
        (REGION, True, Message.REPLICA_STATE_ACTIVE),
        (OTHER, False, Message.REPLICA_STATE_ACTIVE),
    ]


async def test_a_region_is_added_and_removed_by_calls_of_their_own(
    api: RunningApi, door: Door
) -> None:
    before = await active(api, door)
    namespace = before.namespace

    added = await add(door, namespace, OTHER, resource_version=before.resource_version)
    adding = await read(door, namespace)
    await api.settle(namespace)
    both = await read(door, namespace)
    removed = await remove(door, namespace, OTHER, resource_version=both.resource_version)
    removing = await read(door, namespace)
    await api.settle(namespace)
    after = await read(door, namespace)

    assert (added.operation_type, removed.operation_type) == (
        "AddNamespaceRegion",
        "DeleteNamespaceRegion",
    )
    assert states(adding) == {REGION: State.STATE_ACTIVE, OTHER: State.STATE_ADDING}
    assert adding.region_status[OTHER].async_operation_id == added.id
    assert states(both) == {REGION: State.STATE_ACTIVE, OTHER: State.STATE_PASSIVE}
    assert states(removing) == {REGION: State.STATE_ACTIVE, OTHER: State.STATE_REMOVING}
    assert states(after) == {REGION: State.STATE_ACTIVE}
    request = GetAsyncOperationRequest(async_operation_id=removed.id)
    done = (await door.call(request, GetAsyncOperationResponse)).async_operation
    assert done.state == AsyncOperation.STATE_FULFILLED


async def test_a_region_is_added_and_removed_by_updates_in_either_field(
    api: RunningApi, door: Door
) -> None:
    found = await active(api, door)
    found.spec.replicas.append(ReplicaSpec(region=OTHER))
    await update(api, door, found)
    both = await read(door, found.namespace)
    del both.spec.regions[1:]

    alone = await update(api, door, both)

    assert states(both) == {REGION: State.STATE_ACTIVE, OTHER: State.STATE_PASSIVE}
    assert states(alone) == {REGION: State.STATE_ACTIVE}
    assert [each.region for each in alone.spec.replicas] == [REGION]


async def test_a_failover_swaps_which_replica_is_active_and_changes_no_spec(
    api: RunningApi, door: Door
) -> None:
    before = await pair(api, door)

    begun = await fail_over(door, before.namespace, OTHER, async_operation_id="failover-1")
    again = await fail_over(door, before.namespace, OTHER, async_operation_id="failover-1")
    await api.settle(before.namespace)
    after = await read(door, before.namespace)

    assert begun == again
    assert begun.operation_type == "FailoverNamespaceRegion"
    assert after.active_region == OTHER
    assert states(after) == {OTHER: State.STATE_ACTIVE, REGION: State.STATE_PASSIVE}
    assert [(each.region, each.is_primary) for each in after.replicas] == [
        (OTHER, True),
        (REGION, False),
    ]
    assert (after.spec, after.resource_version) == (before.spec, before.resource_version)


async def test_failing_over_to_where_it_is_active_is_done_at_once(
    api: RunningApi, door: Door
) -> None:
    before = await pair(api, door)

    done = await fail_over(door, before.namespace, REGION)

    assert done.state == AsyncOperation.STATE_FULFILLED
    assert (await read(door, before.namespace)).active_region == REGION


async def test_the_former_region_may_be_removed_after_a_failover(
    api: RunningApi, door: Door
) -> None:
    before = await pair(api, door)
    await fail_over(door, before.namespace, OTHER)
    await api.settle(before.namespace)

    await remove(door, before.namespace, REGION)
    await api.settle(before.namespace)

    after = await read(door, before.namespace)
    assert states(after) == {OTHER: State.STATE_ACTIVE}
    assert list(after.spec.regions) == [OTHER]


async def test_high_availability_is_set_shown_and_left_as_it_is(
    api: RunningApi, door: Door
) -> None:
    found = await pair(api, door)
    found.spec.high_availability.disable_managed_failover = True
    found.spec.high_availability.disable_passive_poller_forwarding = True
    changed = await update(api, door, found)
    changed.spec.ClearField("high_availability")
    changed.spec.retention_days = 8

    after = await update(api, door, changed)

    assert after.spec.high_availability == found.spec.high_availability
    state = api.writer.namespaces[found.namespace]
    assert state.spec is not None
    assert (state.spec.managed_failover, state.spec.forward_polls) == (False, False)


async def test_what_cannot_be_done_to_regions_is_refused_with_what_can(
    api: RunningApi, door: Door
) -> None:
    single = (await active(api, door)).namespace
    invalid, precondition = RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.FAILED_PRECONDITION

    async with refused(invalid, "'aws-mars-1' is not part of this fleet"):
        await add(door, single, "aws-mars-1")
    async with refused(invalid, "gcp-us-central1"):
        # The region of a synthetic cell is none to be in.
        await add(door, single, "gcp-us-central1")
    async with refused(invalid, "names the region twice in spec.replicas"):
        await add(door, single, REGION)
    async with refused(precondition, "is the only region"):
        await remove(door, single, REGION)
    async with refused(invalid, "is not one of namespace"):
        await remove(door, single, OTHER)
    async with refused(invalid, f"fail over to one of {REGION}"):
        await fail_over(door, single, OTHER)
    await add(door, single, OTHER)
    async with refused(precondition, "still being added"):
        await fail_over(door, single, OTHER)
    await api.settle(single)
    async with refused(precondition, f"is active in {REGION}"):
        await remove(door, single, REGION)
    async with refused(precondition, "resource version"):
        await remove(door, single, OTHER, resource_version="an-older-one")
    async with refused(RPCStatusCode.NOT_FOUND, "not found"):
        await fail_over(door, "elsewhere.other1", OTHER)


@pytest.mark.parametrize("regions", [3, 4])
async def test_a_namespace_has_two_replicas_at_most(
    api: RunningApi, door: Door, regions: int
) -> None:
    found = await active(api, door)
    found.spec.replicas.extend([ReplicaSpec(region=OTHER)] * (regions - 1))

    async with refused(RPCStatusCode.INVALID_ARGUMENT, f"names {regions} regions"):
        await update(api, door, found)


async def test_a_failover_is_recorded_with_what_it_changed(
    api: RunningApi, tenant: Tenant, door: Door
) -> None:
    before = await pair(api, door)

    await fail_over(door, before.namespace, OTHER)

    (record,) = [
        each.entry
        for each in await AuditLog(api.pool).read(tenant.account, limit=50)
        if each.entry.what == "FailoverNamespaceRegion"
    ]
    assert record.details["before"] == {"activeRegion": REGION}
    assert record.details["after"] == {"activeRegion": OTHER}
    assert record.details["namespace"] == before.namespace
