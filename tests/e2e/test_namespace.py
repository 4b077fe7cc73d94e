"""From CreateNamespace to a completed workflow and back to nothing, on a real fleet."""

import pytest
from temporalio.api.cloud.cloudservice.v1 import GetNamespaceRequest, GetNamespacesRequest
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.api.cloud.resource.v1 import ResourceState
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from tests.e2e.greeting import Greeting, greet
from tests.fleet import RunningFleet
from tests.tenant import REGIONS, Tenant
from tests.traces import traces


@pytest.mark.parametrize("region", REGIONS)
async def test_a_created_namespace_completes_workflows_through_its_endpoint(
    fleet: RunningFleet, tenant: Tenant, region: str
) -> None:
    await tenant.created("orders", region)
    got = await tenant.cloud.cloud_service.get_namespace(
        GetNamespaceRequest(namespace=tenant.id("orders"))
    )
    assert got.namespace.state == ResourceState.RESOURCE_STATE_ACTIVE
    assert got.namespace.endpoints.mtls_grpc_address == (
        f"{tenant.id('orders')}.fleet.test:{fleet.record.ports[f'{region}-c1.ingress']}"
    )

    client = await tenant.connect("orders", region)
    async with Worker(client, task_queue="greetings", workflows=[Greeting], activities=[greet]):
        greeting = await client.execute_workflow(
            Greeting.run, "world", id="greeting", task_queue="greetings"
        )
    assert greeting == "hello, world"

    assert not (await traces(fleet, tenant.id("orders"))).is_empty
    await tenant.deleted("orders")
    left = await traces(fleet, tenant.id("orders"))
    assert left.is_empty, left


async def test_what_was_deleted_is_not_found(tenant: Tenant) -> None:
    await tenant.created("brief")
    await tenant.deleted("brief")

    with pytest.raises(RPCError) as missing:
        await tenant.cloud.cloud_service.get_namespace(
            GetNamespaceRequest(namespace=tenant.id("brief"))
        )

    assert missing.value.status == RPCStatusCode.NOT_FOUND


async def test_a_read_right_after_a_write_sees_it(tenant: Tenant) -> None:
    operation = await tenant.create("fresh")

    listed = await tenant.cloud.cloud_service.get_namespaces(GetNamespacesRequest(name="fresh"))

    assert [n.namespace for n in listed.namespaces] == [tenant.id("fresh")]
    assert (await tenant.finished(operation)).state == AsyncOperation.STATE_FULFILLED
    await tenant.deleted("fresh")


async def test_a_deleted_name_can_be_created_again_at_once(
    fleet: RunningFleet, tenant: Tenant
) -> None:
    for region in REGIONS:
        await tenant.created("again", region)
        await tenant.deleted("again")

    assert (await traces(fleet, tenant.id("again"))).is_empty
