from datetime import UTC, datetime, timedelta

import httpx
import jwt
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.cloud.cloudservice.v1 import (
    CreateApiKeyRequest,
    CreateApiKeyResponse,
    CreateServiceAccountRequest,
    DeleteApiKeyRequest,
    GetAccountRequest,
    GetApiKeyRequest,
    GetApiKeysRequest,
    GetAsyncOperationRequest,
    GetCurrentIdentityRequest,
    UpdateApiKeyRequest,
)
from temporalio.api.cloud.identity.v1 import (
    AccountAccess,
    ApiKey,
    ApiKeySpec,
    OwnerType,
    ServiceAccountSpec,
)
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.api.cloud.resource.v1 import ResourceState
from temporalio.service import CloudService, RPCStatusCode

from controlplane.identity.signing_keys import retire_signing_key, rotate_signing_key
from tests.api.machines import (
    READ,
    account_wide,
    for_namespace,
    fulfilled,
    in_an_hour,
    key_of,
    machine,
)
from tests.api.running import RunningApi, Tenant
from tests.api.test_namespaces import refused
from tests.store.views import CELL

CI = account_wide("ci", AccountAccess.ROLE_DEVELOPER)


async def service_account(tenant: Tenant, spec: ServiceAccountSpec = CI) -> str:
    made = await tenant.cloud.cloud_service.create_service_account(
        CreateServiceAccountRequest(spec=spec)
    )
    return made.service_account_id


async def create(tenant: Tenant, spec: ApiKeySpec, operation: str = "") -> CreateApiKeyResponse:
    return await tenant.cloud.cloud_service.create_api_key(
        CreateApiKeyRequest(spec=spec, async_operation_id=operation)
    )


async def get(service: CloudService, key: str) -> ApiKey:
    return (await service.get_api_key(GetApiKeyRequest(key_id=key))).api_key


def own_key(tenant: Tenant, name: str = "laptop") -> ApiKeySpec:
    return ApiKeySpec(
        owner_id=tenant.owner.user,
        owner_type=OwnerType.OWNER_TYPE_USER,
        display_name=name,
        expiry_time=in_an_hour(),
    )


async def test_a_new_key_speaks_for_its_service_account_at_once(tenant: Tenant) -> None:
    owner = await service_account(tenant)

    made = await create(tenant, key_of(owner))

    cloud = await tenant.api.connect(made.token)
    told = await cloud.cloud_service.get_current_identity(GetCurrentIdentityRequest())
    assert (told.service_account.id, told.principal_api_key.id) == (owner, made.key_id)
    assert told.principal_api_key.spec.owner_type_deprecated == "service-account"


async def test_a_key_comes_back_as_it_was_asked_for_and_without_its_token(tenant: Tenant) -> None:
    spec = key_of(await service_account(tenant), "deploys")
    spec.description = "for the pipeline"
    made = await create(tenant, spec)
    await fulfilled(tenant, made.async_operation)

    read = await get(tenant.cloud.cloud_service, made.key_id)

    spec.owner_type_deprecated = "service-account"
    assert read.spec == spec
    assert (read.state, read.state_deprecated) == (ResourceState.RESOURCE_STATE_ACTIVE, "active")
    assert not read.async_operation_id
    assert made.token not in str(read)


async def test_one_makes_keys_for_oneself_but_not_for_another_user(tenant: Tenant) -> None:
    made = await create(tenant, own_key(tenant))
    cloud = await tenant.api.connect(made.token)
    told = await cloud.cloud_service.get_current_identity(GetCurrentIdentityRequest())
    assert told.user.id == tenant.owner.user
    async with tenant.api.pool.connection() as connection:
        await connection.execute(
            "INSERT INTO users (id, account_id, email, role) VALUES (%s, %s, 'b@x.test', 'read')",
            (f"bob-{tenant.account}", tenant.account),
        )

    spec = own_key(tenant)
    spec.owner_id = f"bob-{tenant.account}"
    refusal = await refused(create(tenant, spec), RPCStatusCode.PERMISSION_DENIED)

    assert "made by that user alone" in refusal


async def test_the_token_of_a_scoped_service_account_names_its_namespace(tenant: Tenant) -> None:
    namespace = await tenant.create("orders")
    owner = await service_account(tenant, for_namespace("scoped", namespace, READ))

    made = await create(tenant, key_of(owner))

    claims = jwt.decode(made.token, options={"verify_signature": False})
    assert claims["namespaces"] == [namespace]
    assert (claims["sub"], claims["account"]) == (made.key_id, tenant.account)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("display_name", " ", "display_name is empty"),
        ("display_name", "x" * 65, "display_name has 65"),
        ("description", "x" * 1001, "description has 1001"),
        ("owner_id", "", "owner_id or spec.owner_type is missing"),
        ("owner_type", 0, "owner_id or spec.owner_type is missing"),
        ("owner_type", 9, "owner_type '9' is not known"),
        ("expiry_time", None, "expiry_time is missing"),
        ("expiry_time", timedelta(seconds=-5), "has passed"),
        ("expiry_time", timedelta(days=731), "730 days"),
    ],
    ids=str,
)
async def test_what_cannot_be_meant_is_refused(
    tenant: Tenant, field: str, value: str | int | timedelta | None, told: str
) -> None:
    spec = key_of(await service_account(tenant))
    spec.ClearField(field)  # type: ignore[arg-type]
    if isinstance(value, timedelta):
        spec.expiry_time.FromDatetime(datetime.now(UTC) + value)
    elif value is not None:
        setattr(spec, field, value)

    refusal = await refused(create(tenant, spec), RPCStatusCode.INVALID_ARGUMENT)

    assert told in refusal


async def test_owners_that_the_account_does_not_have_are_not_found(
    api: RunningApi, tenant: Tenant
) -> None:
    stranger = await api.tenant()
    for owner in (await service_account(stranger), "nobody", stranger.owner.user):
        for kind in (OwnerType.OWNER_TYPE_SERVICE_ACCOUNT, OwnerType.OWNER_TYPE_USER):
            spec = key_of(owner)
            spec.owner_type = kind
            await refused(create(tenant, spec), RPCStatusCode.NOT_FOUND)


async def test_the_same_request_makes_one_key_and_shows_a_token_of_it_again(
    tenant: Tenant,
) -> None:
    request = CreateApiKeyRequest(
        spec=key_of(await service_account(tenant)), async_operation_id="op-1"
    )
    service = tenant.cloud.cloud_service

    first = await service.create_api_key(request)
    second = await service.create_api_key(request)

    assert first.key_id == second.key_id
    for token in (first.token, second.token):
        cloud = await tenant.api.connect(token)
        told = await cloud.cloud_service.get_current_identity(GetCurrentIdentityRequest())
        assert told.principal_api_key.id == first.key_id
    request.spec.display_name = "another"
    await refused(service.create_api_key(request), RPCStatusCode.ALREADY_EXISTS)


async def test_an_owner_has_as_many_keys_as_its_limit(tenant: Tenant) -> None:
    made = [await create(tenant, own_key(tenant, str(i))) for i in range(9)]

    refusal = await refused(create(tenant, own_key(tenant)), RPCStatusCode.FAILED_PRECONDITION)

    assert "has 10 API keys that have not expired, and the limit is 10" in refusal
    await tenant.cloud.cloud_service.delete_api_key(DeleteApiKeyRequest(key_id=made[0].key_id))
    await create(tenant, own_key(tenant))


async def test_disabling_counts_at_once_and_the_key_stays_active(tenant: Tenant) -> None:
    service = tenant.cloud.cloud_service
    made = await machine(tenant, CI)
    spec = (await get(service, made.key)).spec
    spec.disabled = True

    changed = await service.update_api_key(UpdateApiKeyRequest(key_id=made.key, spec=spec))

    await refused(
        made.cloud.cloud_service.get_account(GetAccountRequest()), RPCStatusCode.UNAUTHENTICATED
    )
    await fulfilled(tenant, changed.async_operation)
    disabled = await get(service, made.key)
    assert disabled.spec.disabled
    assert disabled.state == ResourceState.RESOURCE_STATE_ACTIVE
    spec.disabled = False
    await service.update_api_key(
        UpdateApiKeyRequest(key_id=made.key, spec=spec, resource_version=disabled.resource_version)
    )
    assert (await made.cloud.cloud_service.get_account(GetAccountRequest())).account.id


async def test_a_description_concerns_no_cell_and_is_done_at_once(tenant: Tenant) -> None:
    service = tenant.cloud.cloud_service
    made = await create(tenant, key_of(await service_account(tenant)))
    spec = (await get(service, made.key_id)).spec
    spec.display_name, spec.description = "renamed", "more of it"

    changed = await service.update_api_key(UpdateApiKeyRequest(key_id=made.key_id, spec=spec))

    operation = changed.async_operation
    assert operation.state == AsyncOperation.STATE_FULFILLED
    assert (operation.operation_type, operation.check_duration.seconds) == ("UpdateApiKey", 1)
    assert (await get(service, made.key_id)).spec == spec


async def test_owner_and_expiry_of_a_key_cannot_be_changed(tenant: Tenant) -> None:
    service = tenant.cloud.cloud_service
    made = await create(tenant, key_of(await service_account(tenant)))
    spec = (await get(service, made.key_id)).spec
    for field, value in (
        ("owner_id", "another"),
        ("owner_type", OwnerType.OWNER_TYPE_USER),
        ("expiry_time", in_an_hour(2)),
    ):
        other = ApiKeySpec()
        other.CopyFrom(spec)
        if isinstance(value, Timestamp):
            other.expiry_time.CopyFrom(value)
        else:
            setattr(other, field, value)
        told = await refused(
            service.update_api_key(UpdateApiKeyRequest(key_id=made.key_id, spec=other)),
            RPCStatusCode.INVALID_ARGUMENT,
        )
        assert "create another key" in told


async def test_stale_and_empty_changes_are_refused(tenant: Tenant) -> None:
    service = tenant.cloud.cloud_service
    made = await create(tenant, key_of(await service_account(tenant)))
    read = await get(service, made.key_id)

    unchanged = UpdateApiKeyRequest(key_id=made.key_id, spec=read.spec)
    told = await refused(service.update_api_key(unchanged), RPCStatusCode.INVALID_ARGUMENT)
    assert "nothing to change" in told

    for stale in (
        service.update_api_key(
            UpdateApiKeyRequest(key_id=made.key_id, spec=read.spec, resource_version="9")
        ),
        service.delete_api_key(DeleteApiKeyRequest(key_id=made.key_id, resource_version="9")),
    ):
        assert "'1', not '9'" in await refused(stale, RPCStatusCode.FAILED_PRECONDITION)


async def test_a_deleted_key_ends_at_once(tenant: Tenant) -> None:
    service = tenant.cloud.cloud_service
    made = await machine(tenant, CI)
    request = DeleteApiKeyRequest(key_id=made.key, async_operation_id="op-2")

    deleted = await service.delete_api_key(request)

    await refused(
        made.cloud.cloud_service.get_account(GetAccountRequest()), RPCStatusCode.UNAUTHENTICATED
    )
    await refused(service.get_api_key(GetApiKeyRequest(key_id=made.key)), RPCStatusCode.NOT_FOUND)
    again = await service.delete_api_key(request)
    assert again.async_operation.id == deleted.async_operation.id
    await fulfilled(tenant, deleted.async_operation)


async def test_a_key_past_its_expiry_is_shown_as_expired(tenant: Tenant) -> None:
    made = await machine(tenant, CI)
    async with tenant.api.pool.connection() as connection:
        await connection.execute(
            "UPDATE api_keys SET expires_at = now() WHERE id = %s", (made.key,)
        )

    read = await get(tenant.cloud.cloud_service, made.key)

    assert read.state == ResourceState.RESOURCE_STATE_EXPIRED
    assert read.state_deprecated == "expired"
    await refused(
        made.cloud.cloud_service.get_account(GetAccountRequest()), RPCStatusCode.UNAUTHENTICATED
    )


async def test_the_list_goes_by_id_in_pages_and_by_owner(tenant: Tenant) -> None:
    service = tenant.cloud.cloud_service
    ci, other = (
        await service_account(tenant),
        await service_account(tenant, account_wide("other", AccountAccess.ROLE_READ)),
    )
    of_ci = sorted([(await create(tenant, key_of(ci, str(i)))).key_id for i in range(3)])
    of_other = (await create(tenant, key_of(other))).key_id

    async def listed(request: GetApiKeysRequest) -> list[str]:
        return [key.id for key in (await service.get_api_keys(request)).api_keys]

    everything = await listed(GetApiKeysRequest())
    assert everything == sorted(everything)
    assert {*of_ci, of_other} < set(everything)
    assert await listed(GetApiKeysRequest(owner_id=ci)) == of_ci
    machines = GetApiKeysRequest(owner_type=OwnerType.OWNER_TYPE_SERVICE_ACCOUNT)
    assert await listed(machines) == sorted([*of_ci, of_other])
    assert await listed(GetApiKeysRequest(owner_id=ci, owner_type_deprecated="user")) == []
    first = await service.get_api_keys(GetApiKeysRequest(owner_id=ci, page_size=2))
    rest = GetApiKeysRequest(owner_id=ci, page_size=2, page_token=first.next_page_token)
    assert [key.id for key in first.api_keys] + await listed(rest) == of_ci
    rest.owner_id = other
    await refused(service.get_api_keys(rest), RPCStatusCode.INVALID_ARGUMENT)


async def test_a_change_is_fulfilled_once_every_cell_of_the_account_enforces_it(
    api: RunningApi, tenant: Tenant
) -> None:
    service = tenant.cloud.cloud_service
    await api.distribution.ensure(CELL, tenant.account)
    made = await create(tenant, key_of(await service_account(tenant)))
    await fulfilled(tenant, made.async_operation)
    assert made.key_id in api.cells.copies[CELL, tenant.account].keys

    api.cells.unreachable.add(CELL)
    try:
        deleted = await service.delete_api_key(DeleteApiKeyRequest(key_id=made.key_id))
        request = GetAsyncOperationRequest(async_operation_id=deleted.async_operation.id)
        told = (await service.get_async_operation(request)).async_operation
        assert told.state == AsyncOperation.STATE_IN_PROGRESS
        assert made.key_id in api.cells.copies[CELL, tenant.account].keys
    finally:
        api.cells.unreachable.clear()

    done = await fulfilled(tenant, deleted.async_operation)
    assert done.HasField("finished_time")
    assert made.key_id not in api.cells.copies[CELL, tenant.account].keys


async def test_the_operation_at_work_shows_on_the_key(api: RunningApi, tenant: Tenant) -> None:
    await api.distribution.ensure(CELL, tenant.account)
    owner = await service_account(tenant)
    api.cells.unreachable.add(CELL)
    try:
        made = await create(tenant, key_of(owner))
        read = await get(tenant.cloud.cloud_service, made.key_id)
    finally:
        api.cells.unreachable.clear()

    assert read.async_operation_id == made.async_operation.id
    assert read.state == ResourceState.RESOURCE_STATE_ACTIVATING
    await fulfilled(tenant, made.async_operation)
    assert not (await get(tenant.cloud.cloud_service, made.key_id)).async_operation_id


async def test_tokens_outlive_a_rotation_of_the_signing_key_but_not_its_retirement(
    api: RunningApi, tenant: Tenant
) -> None:
    conninfo, before = api.distribution.conninfo, api.keys.signer.key_id
    old = await machine(tenant, CI)

    current = await rotate_signing_key(conninfo, api.secrets)

    account = await old.cloud.cloud_service.get_account(GetAccountRequest())
    assert account.account.id == tenant.account
    renewed = await create(tenant, key_of(old.id))
    assert jwt.get_unverified_header(renewed.token)["kid"] == current
    assert {before, current} <= await published(api)

    owner = await tenant.api.connect((await create(tenant, own_key(tenant))).token)
    await retire_signing_key(conninfo, api.secrets, before)

    await refused(
        old.cloud.cloud_service.get_account(GetAccountRequest()), RPCStatusCode.UNAUTHENTICATED
    )
    assert (await owner.cloud_service.get_account(GetAccountRequest())).account.id
    assert before not in await published(api)


async def published(api: RunningApi) -> set[str]:
    """Return the ids of the keys that the API publishes, to anybody."""
    async with httpx.AsyncClient(trust_env=False) as http:
        told = await http.get(f"http://127.0.0.1:{api.ports.http}/.well-known/jwks.json")
    keys = told.json()["keys"]
    assert all(set(key) == {"alg", "crv", "kid", "kty", "use", "x", "y"} for key in keys)
    return {key["kid"] for key in keys}


async def test_a_token_verifies_with_the_published_keys(api: RunningApi, tenant: Tenant) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        jwks = await http.get(f"http://127.0.0.1:{api.ports.http}/.well-known/jwks.json")

    by_id = {one.key_id: one for one in jwt.PyJWKSet.from_dict(jwks.json()).keys}

    kid = jwt.get_unverified_header(tenant.token)["kid"]
    claims = jwt.decode(tenant.token, by_id[kid], ["ES256"], issuer="controlplane")
    assert claims["account"] == tenant.account


async def test_all_of_it_works_over_http(tenant: Tenant) -> None:
    owner = await service_account(tenant)
    expiry = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    spec = {
        "ownerId": owner,
        "ownerType": "OWNER_TYPE_SERVICE_ACCOUNT",
        "displayName": "ci",
        "expiryTime": expiry,
    }
    async with tenant.http() as http:
        made = await http.post("/cloud/api-keys", json={"spec": spec})
        assert made.status_code == 200, made.text
        path = f"/cloud/api-keys/{made.json()['keyId']}"
        listed = await http.get("/cloud/api-keys", params={"ownerId": owner})
        assert [key["spec"]["displayName"] for key in listed.json()["apiKeys"]] == ["ci"]
        changed = await http.post(path, json={"spec": {**spec, "disabled": True}})
        assert changed.status_code == 200, changed.text
        told = (await http.get(path)).json()["apiKey"]
        assert told["spec"]["disabled"] is True
        assert told["spec"]["expiryTime"] == expiry
        gone = await http.delete(path)
        assert gone.status_code == 200, gone.text
        assert (await http.get(path)).status_code == 404
