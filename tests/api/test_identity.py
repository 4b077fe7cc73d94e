import pytest
from temporalio.api.cloud.cloudservice.v1 import (
    CreateNamespaceRequest,
    GetAccountRequest,
    GetCurrentIdentityRequest,
    GetRegionRequest,
    GetRegionsRequest,
)
from temporalio.api.cloud.identity.v1 import AccountAccess, OwnerType
from temporalio.api.cloud.region.v1 import Region
from temporalio.api.cloud.resource.v1 import ResourceState
from temporalio.client import CloudOperationsClient
from temporalio.service import RPCStatusCode, TLSConfig

from tests.api.running import RunningApi, Tenant, create_request
from tests.api.test_namespaces import refused


async def test_the_caller_is_told_who_it_is(tenant: Tenant) -> None:
    told = await tenant.cloud.cloud_service.get_current_identity(GetCurrentIdentityRequest())

    assert told.user.id == tenant.owner.user
    assert told.user.spec.email == tenant.owner.email
    assert told.user.spec.access.account_access == AccountAccess(
        role=AccountAccess.ROLE_OWNER, role_deprecated="owner"
    )
    assert told.user.state == ResourceState.RESOURCE_STATE_ACTIVE
    assert told.principal_api_key.spec.owner_id == tenant.owner.user
    assert told.principal_api_key.spec.owner_type == OwnerType.OWNER_TYPE_USER
    assert told.principal_api_key.spec.HasField("expiry_time")


async def test_the_account_is_the_callers(tenant: Tenant) -> None:
    told = await tenant.cloud.cloud_service.get_account(GetAccountRequest())

    assert told.account.id == tenant.account
    assert told.account.state == ResourceState.RESOURCE_STATE_ACTIVE


async def test_regions_are_those_with_cells_for_tenants(tenant: Tenant) -> None:
    told = await tenant.cloud.cloud_service.get_regions(GetRegionsRequest())

    assert [region.id for region in told.regions] == ["aws-us-east-1", "aws-us-west-2"]
    assert told.regions[0] == Region(
        id="aws-us-east-1",
        cloud_provider=Region.CLOUD_PROVIDER_AWS,
        cloud_provider_deprecated="aws",
        cloud_provider_region="us-east-1",
        location="US East (N. Virginia)",
    )


async def test_one_region_is_found_by_its_id(tenant: Tenant) -> None:
    service = tenant.cloud.cloud_service

    told = await service.get_region(GetRegionRequest(region="aws-us-west-2"))

    assert told.region.cloud_provider_region == "us-west-2"
    await refused(
        service.get_region(GetRegionRequest(region="gcp-us-central1")), RPCStatusCode.NOT_FOUND
    )


async def test_a_project_is_refused_instead_of_dropped(tenant: Tenant) -> None:
    # project_id is field 5; the generated classes know it no more than the SDK does.
    request = CreateNamespaceRequest.FromString(
        create_request("orders").SerializeToString() + b"\x2a\x02p1"
    )

    with pytest.raises(Exception, match="projects are not available yet"):
        await tenant.call("CreateNamespace", request)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_tls_clients_that_trust_the_fleet_ca_are_answered(
    api: RunningApi, tenant: Tenant, host: str
) -> None:
    client = await CloudOperationsClient.connect(
        api_key=tenant.token,
        target_host=f"{host}:{api.ports.tls}",
        tls=TLSConfig(server_root_ca_cert=api.ca.certificate_pem),
    )

    told = await client.cloud_service.get_account(GetAccountRequest())

    assert told.account.id == tenant.account


async def test_the_tls_certificate_is_for_the_apis_name_in_the_zone(
    api: RunningApi, tenant: Tenant
) -> None:
    client = await CloudOperationsClient.connect(
        api_key=tenant.token,
        target_host=f"localhost:{api.ports.tls}",
        tls=TLSConfig(server_root_ca_cert=api.ca.certificate_pem, domain="api.fleet.test"),
    )

    assert (await client.cloud_service.get_account(GetAccountRequest())).account.id
