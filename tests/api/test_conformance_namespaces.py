"""The RPCs about namespaces, as clients of Temporal Cloud need them, through every door."""

from temporalio.api.cloud.cloudservice.v1 import (
    CreateNamespaceResponse,
    DeleteNamespaceRequest,
    DeleteNamespaceResponse,
    GetNamespacesRequest,
    GetNamespacesResponse,
    UpdateNamespaceRequest,
    UpdateNamespaceResponse,
)
from temporalio.api.cloud.namespace.v1 import Namespace, NamespaceSpec
from temporalio.api.cloud.resource.v1 import ResourceState
from temporalio.service import RPCStatusCode

from tests.api.conforming import KEYWORD, active, read, refused, update
from tests.api.doors import Door
from tests.api.running import RunningApi, create_request
from tests.store.views import REGION


async def test_what_the_terraform_provider_reads_is_there(api: RunningApi, door: Door) -> None:
    found = await active(api, door)

    assert list(found.spec.regions) == [REGION]
    assert [replica.region for replica in found.spec.replicas] == [REGION]
    assert found.active_region == REGION
    assert list(found.region_status) == [REGION]
    assert found.spec.HasField("api_key_auth")
    for unset in ("capacity_spec", "fairness"):
        assert not found.spec.HasField(unset)
    assert found.endpoints.mtls_grpc_address
    assert found.endpoints.grpc_address == ""


async def test_a_spec_is_read_changed_and_written_back(api: RunningApi, door: Door) -> None:
    before = await active(api, door)
    changed = Namespace()
    changed.CopyFrom(before)
    changed.spec.retention_days = 14
    changed.spec.lifecycle.enable_delete_protection = True
    changed.spec.search_attributes["Customer"] = KEYWORD
    changed.spec.codec_server.endpoint = "https://codec.example.com"

    after = await update(api, door, changed)

    assert after.spec.retention_days == 14
    assert after.spec.lifecycle.enable_delete_protection
    assert after.spec.search_attributes == {"Customer": KEYWORD}
    assert after.spec.codec_server == changed.spec.codec_server
    assert after.resource_version != before.resource_version
    assert not before.HasField("last_modified_time")
    assert after.HasField("last_modified_time")


async def test_an_update_that_changes_nothing_says_so_in_these_words(
    api: RunningApi, door: Door
) -> None:
    found = await active(api, door, lambda spec: spec.search_attributes.update(Customer=KEYWORD))

    async with refused(RPCStatusCode.INVALID_ARGUMENT, "nothing to change"):
        await update(api, door, found)


async def test_a_version_that_has_passed_is_refused(api: RunningApi, door: Door) -> None:
    found = await active(api, door)
    found.spec.retention_days = 8
    await update(api, door, found)
    found.spec.retention_days = 9

    async with refused(RPCStatusCode.FAILED_PRECONDITION, found.resource_version):
        await update(api, door, found)


async def test_without_a_version_the_present_one_is_meant(api: RunningApi, door: Door) -> None:
    found = await active(api, door)
    found.spec.retention_days = 8
    await update(api, door, found)
    found.spec.retention_days = 9

    assert (await update(api, door, found, version="")).spec.retention_days == 9


async def test_certificates_that_are_left_out_are_off(api: RunningApi, door: Door) -> None:
    found = await active(
        api, door, lambda spec: spec.mtls_auth.certificate_filters.add(common_name="x")
    )
    found.spec.ClearField("mtls_auth")
    found.spec.api_key_auth.enabled = True

    after = await update(api, door, found)

    assert not after.spec.mtls_auth.enabled
    assert after.spec.mtls_auth.accepted_client_ca == b""
    assert after.spec.mtls_auth.accepted_client_ca_deprecated == ""
    assert not after.spec.mtls_auth.certificate_filters
    assert after.endpoints.mtls_grpc_address == ""
    assert after.endpoints.grpc_address == found.endpoints.mtls_grpc_address


async def test_both_ways_to_authenticate_have_an_address(api: RunningApi, door: Door) -> None:
    found = await active(api, door, lambda spec: setattr(spec.api_key_auth, "enabled", True))

    assert found.spec.api_key_auth.enabled
    assert found.endpoints.grpc_address == found.endpoints.mtls_grpc_address != ""


async def test_protection_has_to_be_taken_away_before_the_namespace(
    api: RunningApi, door: Door
) -> None:
    found = await active(
        api, door, lambda spec: setattr(spec.lifecycle, "enable_delete_protection", True)
    )
    async with refused(RPCStatusCode.FAILED_PRECONDITION, "delete protection"):
        await delete(door, found.namespace)
    found.spec.ClearField("lifecycle")
    found = await update(api, door, found)

    await delete(door, found.namespace, found.resource_version)


async def delete(door: Door, namespace: str, version: str = "") -> None:
    request = DeleteNamespaceRequest(namespace=namespace, resource_version=version)
    await door.call(request, DeleteNamespaceResponse)


async def test_a_namespace_is_deleted_once_and_then_is_gone(api: RunningApi, door: Door) -> None:
    found = await active(api, door)
    async with refused(RPCStatusCode.FAILED_PRECONDITION, "stale"):
        await delete(door, found.namespace, "stale")

    await delete(door, found.namespace)

    assert (await read(door, found.namespace)).state == ResourceState.RESOURCE_STATE_DELETING
    async with refused(RPCStatusCode.FAILED_PRECONDITION, "being deleted"):
        await delete(door, found.namespace)
    await api.settle(found.namespace)
    async with refused(RPCStatusCode.NOT_FOUND):
        await read(door, found.namespace)
    async with refused(RPCStatusCode.NOT_FOUND):
        await delete(door, found.namespace)


async def test_a_namespace_that_is_being_changed_or_made_can_be_deleted(
    api: RunningApi, door: Door
) -> None:
    found = await active(api, door)
    found.spec.retention_days = 8
    request = UpdateNamespaceRequest(namespace=found.namespace, spec=found.spec)
    await door.call(request, UpdateNamespaceResponse)
    half_made = await door.call(create_request("bills"), CreateNamespaceResponse)

    await delete(door, found.namespace)
    await delete(door, half_made.namespace)


async def test_a_namespace_that_is_being_deleted_is_not_changed(
    api: RunningApi, door: Door
) -> None:
    found = await active(api, door)
    await delete(door, found.namespace)
    found.spec.retention_days = 8

    async with refused(RPCStatusCode.FAILED_PRECONDITION, "being deleted"):
        await update(api, door, found)


async def test_a_namespace_is_found_by_its_name(api: RunningApi, door: Door) -> None:
    found = await active(api, door)
    await door.call(create_request("orders-2"), CreateNamespaceResponse)

    listed = await door.call(GetNamespacesRequest(name="orders"), GetNamespacesResponse)
    none = await door.call(GetNamespacesRequest(name="order"), GetNamespacesResponse)

    assert list(listed.namespaces) == [found]
    assert not none.namespaces


async def test_a_name_in_use_is_refused(api: RunningApi, door: Door) -> None:
    await active(api, door)

    async with refused(RPCStatusCode.ALREADY_EXISTS):
        await door.call(create_request("orders"), CreateNamespaceResponse)


async def test_an_older_client_is_not_sent_what_it_cannot_decode(
    api: RunningApi, door: Door
) -> None:
    def change(spec: NamespaceSpec) -> None:
        spec.high_availability.disable_managed_failover = True
        spec.high_availability.disable_passive_poller_forwarding = True

    found = await active(api, door, change)

    older = await read(door, found.namespace, version="v0.12.0")
    listed = await door.call(GetNamespacesRequest(), GetNamespacesResponse, version="v0.10.0")

    assert found.spec.high_availability.disable_passive_poller_forwarding
    assert older.spec.high_availability.disable_managed_failover
    for namespace in (older, *listed.namespaces):
        assert not namespace.spec.high_availability.disable_passive_poller_forwarding


async def test_an_older_client_keeps_what_it_does_not_know(api: RunningApi, door: Door) -> None:
    def change(spec: NamespaceSpec) -> None:
        spec.high_availability.disable_passive_poller_forwarding = True
        spec.fairness.task_queue_fairness_enabled = True

    found = await active(api, door, change)
    older = await read(door, found.namespace, version="v0.10.0")
    older.spec.ClearField("fairness")
    older.spec.retention_days = 8
    request = UpdateNamespaceRequest(namespace=older.namespace, spec=older.spec)

    await door.call(request, UpdateNamespaceResponse, version="v0.10.0")
    await api.settle(older.namespace)

    after = await read(door, found.namespace)
    assert after.spec.retention_days == 8
    assert after.spec.high_availability == found.spec.high_availability
    assert after.spec.fairness == found.spec.fairness


async def test_a_managed_ca_is_had_by_bringing_none(api: RunningApi, door: Door) -> None:
    found = await active(api, door, lambda spec: spec.mtls_auth.ClearField("accepted_client_ca"))

    assert found.spec.mtls_auth.enabled
    assert found.spec.mtls_auth.accepted_client_ca == b""
    assert found.endpoints.mtls_grpc_address
