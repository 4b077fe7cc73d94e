"""Who may do what: that every door asks, and what it is told."""

import httpx
from temporalio.api.cloud.cloudservice.v1 import (
    CreateApiKeyRequest,
    CreateServiceAccountRequest,
    DeleteApiKeyRequest,
    DeleteNamespaceRequest,
    DeleteServiceAccountRequest,
    GetApiKeyRequest,
    GetApiKeysRequest,
    GetAsyncOperationRequest,
    GetNamespaceRequest,
    GetNamespacesRequest,
    GetServiceAccountNamespaceAssignmentsRequest,
    GetServiceAccountRequest,
    GetServiceAccountsRequest,
    GetUserRequest,
    GetUsersRequest,
    SetServiceAccountNamespaceAccessRequest,
    UpdateApiKeyRequest,
    UpdateServiceAccountRequest,
)
from temporalio.api.cloud.identity.v1 import AccountAccess, NamespaceAccess, OwnerType
from temporalio.service import RPCStatusCode

from tests.api.machines import (
    ADMIN,
    READ,
    WRITE,
    account_wide,
    for_namespace,
    fulfilled,
    key_of,
    machine,
)
from tests.api.running import RunningApi, Tenant, create_request
from tests.api.test_namespaces import refused

DEVELOPER = AccountAccess.ROLE_DEVELOPER


async def test_who_creates_a_namespace_is_its_admin(api: RunningApi, tenant: Tenant) -> None:
    developer = await machine(tenant, account_wide("dev", DEVELOPER))
    colleague = await machine(tenant, account_wide("dev-2", DEVELOPER))

    made = await developer.cloud.cloud_service.create_namespace(create_request("orders"))
    await api.settle(made.namespace)

    request = GetNamespaceRequest(namespace=made.namespace)
    assert (await developer.cloud.cloud_service.get_namespace(request)).namespace.spec.name
    await refused(
        colleague.cloud.cloud_service.get_namespace(request), RPCStatusCode.PERMISSION_DENIED
    )
    listed = await colleague.cloud.cloud_service.get_namespaces(GetNamespacesRequest())
    assert not listed.namespaces
    listed = await developer.cloud.cloud_service.get_namespaces(GetNamespacesRequest())
    assert [one.namespace for one in listed.namespaces] == [made.namespace]
    deleted = await developer.cloud.cloud_service.delete_namespace(
        DeleteNamespaceRequest(namespace=made.namespace)
    )
    await api.settle(made.namespace)
    operation = await developer.cloud.cloud_service.get_async_operation(
        GetAsyncOperationRequest(async_operation_id=deleted.async_operation.id)
    )
    assert operation.async_operation.id == deleted.async_operation.id


async def test_who_asks_for_a_name_that_is_taken_gets_nothing_on_it(tenant: Tenant) -> None:
    namespace = await tenant.create("orders")
    developer = await machine(tenant, account_wide("dev", DEVELOPER))

    await refused(
        developer.cloud.cloud_service.create_namespace(create_request("orders")),
        RPCStatusCode.ALREADY_EXISTS,
    )

    await refused(
        developer.cloud.cloud_service.get_namespace(GetNamespaceRequest(namespace=namespace)),
        RPCStatusCode.PERMISSION_DENIED,
    )


async def test_a_creator_is_admin_although_the_api_died_before_it_could_say_so(
    api: RunningApi, tenant: Tenant
) -> None:
    developer = await machine(tenant, account_wide("dev", DEVELOPER))
    api.writer.reply_lost = True
    try:
        await refused(
            developer.cloud.cloud_service.create_namespace(create_request("orders")),
            RPCStatusCode.UNAVAILABLE,
        )
    finally:
        api.writer.reply_lost = False
    namespace = f"orders.{tenant.account}"

    await api.settle(namespace)

    request = GetNamespaceRequest(namespace=namespace)
    assert (await developer.cloud.cloud_service.get_namespace(request)).namespace.spec.name


async def test_admins_make_no_owners_and_touch_none(tenant: Tenant) -> None:
    admin = await machine(tenant, account_wide("admin", AccountAccess.ROLE_ADMIN))
    owner = await machine(tenant, account_wide("owner", AccountAccess.ROLE_OWNER))
    service = admin.cloud.cloud_service
    owners_spec = account_wide("x", AccountAccess.ROLE_OWNER)
    own_key = (await service.get_api_keys(GetApiKeysRequest(owner_id=tenant.owner.user))).api_keys

    for attempt in (
        service.create_service_account(CreateServiceAccountRequest(spec=owners_spec)),
        service.update_service_account(
            UpdateServiceAccountRequest(service_account_id=admin.id, spec=owners_spec)
        ),
        service.update_service_account(
            UpdateServiceAccountRequest(
                service_account_id=owner.id, spec=account_wide("x", DEVELOPER)
            )
        ),
        service.delete_service_account(DeleteServiceAccountRequest(service_account_id=owner.id)),
        service.create_api_key(CreateApiKeyRequest(spec=key_of(owner.id))),
        service.delete_api_key(DeleteApiKeyRequest(key_id=owner.key)),
        service.delete_api_key(DeleteApiKeyRequest(key_id=own_key[0].id)),
    ):
        told = await refused(attempt, RPCStatusCode.PERMISSION_DENIED)
        assert "an account owner can grant that" in told


async def test_a_machine_makes_no_keys_for_itself(tenant: Tenant) -> None:
    developer = await machine(tenant, account_wide("dev", DEVELOPER))
    service = developer.cloud.cloud_service

    for kind in (OwnerType.OWNER_TYPE_SERVICE_ACCOUNT, OwnerType.OWNER_TYPE_USER):
        spec = key_of(developer.id)
        spec.owner_type = kind
        await refused(
            service.create_api_key(CreateApiKeyRequest(spec=spec)),
            RPCStatusCode.PERMISSION_DENIED,
        )
    await refused(
        service.delete_api_key(DeleteApiKeyRequest(key_id=developer.key)),
        RPCStatusCode.PERMISSION_DENIED,
    )


async def test_one_sees_ones_own_keys_and_no_others(tenant: Tenant) -> None:
    developer = await machine(tenant, account_wide("dev", DEVELOPER))
    other = await machine(tenant, account_wide("dev-2", DEVELOPER))
    service = developer.cloud.cloud_service

    listed = await service.get_api_keys(GetApiKeysRequest())

    assert [key.id for key in listed.api_keys] == [developer.key]
    for attempt in (
        service.get_api_key(GetApiKeyRequest(key_id=other.key)),
        service.delete_api_key(DeleteApiKeyRequest(key_id=other.key)),
    ):
        await refused(attempt, RPCStatusCode.NOT_FOUND)


async def test_a_namespace_admin_manages_what_is_for_its_namespace(tenant: Tenant) -> None:
    orders, bills = await tenant.create("orders"), await tenant.create("bills")
    admin = await machine(tenant, account_wide("dev", DEVELOPER, {orders: ADMIN, bills: WRITE}))
    service = admin.cloud.cloud_service

    made = await service.create_service_account(
        CreateServiceAccountRequest(spec=for_namespace("worker", orders, WRITE))
    )
    key = await service.create_api_key(CreateApiKeyRequest(spec=key_of(made.service_account_id)))
    listed = await service.get_api_keys(GetApiKeysRequest())
    assert {one.id for one in listed.api_keys} == {admin.key, key.key_id}
    await service.delete_api_key(DeleteApiKeyRequest(key_id=key.key_id))
    await service.delete_service_account(
        DeleteServiceAccountRequest(service_account_id=made.service_account_id)
    )
    for spec in (for_namespace("worker", bills, WRITE), account_wide("worker", DEVELOPER)):
        await refused(
            service.create_service_account(CreateServiceAccountRequest(spec=spec)),
            RPCStatusCode.PERMISSION_DENIED,
        )


async def test_a_demotion_counts_from_the_next_call_on(tenant: Tenant) -> None:
    namespace = await tenant.create("orders")
    made = await machine(tenant, account_wide("dev", DEVELOPER, {namespace: READ}))
    request = GetNamespaceRequest(namespace=namespace)
    assert (await made.cloud.cloud_service.get_namespace(request)).namespace.spec.name

    changed = await tenant.cloud.cloud_service.set_service_account_namespace_access(
        SetServiceAccountNamespaceAccessRequest(service_account_id=made.id, namespace=namespace)
    )

    await refused(made.cloud.cloud_service.get_namespace(request), RPCStatusCode.PERMISSION_DENIED)
    await fulfilled(tenant, changed.async_operation)


async def test_an_account_learns_nothing_of_another(api: RunningApi, tenant: Tenant) -> None:
    stranger = await api.tenant()
    namespace = await tenant.create("orders")
    theirs = await machine(tenant, for_namespace("worker", namespace, WRITE))
    made = await tenant.cloud.cloud_service.create_service_account(
        CreateServiceAccountRequest(spec=account_wide("ci", DEVELOPER))
    )
    service = stranger.cloud.cloud_service
    access = NamespaceAccess(permission=READ)

    async def told(machine_id: str, key: str, user: str, operation: str) -> list[str]:
        """Return how each question about these ids is answered."""
        return [
            (await refused(attempt, RPCStatusCode.NOT_FOUND)).replace(asked, "…")
            for asked, attempt in (
                (
                    machine_id,
                    service.get_service_account(
                        GetServiceAccountRequest(service_account_id=machine_id)
                    ),
                ),
                (
                    machine_id,
                    service.update_service_account(
                        UpdateServiceAccountRequest(
                            service_account_id=machine_id, spec=account_wide("x", DEVELOPER)
                        )
                    ),
                ),
                (
                    machine_id,
                    service.delete_service_account(
                        DeleteServiceAccountRequest(service_account_id=machine_id)
                    ),
                ),
                (
                    machine_id,
                    service.set_service_account_namespace_access(
                        SetServiceAccountNamespaceAccessRequest(
                            service_account_id=machine_id, namespace=own, access=access
                        )
                    ),
                ),
                (key, service.get_api_key(GetApiKeyRequest(key_id=key))),
                (
                    key,
                    service.update_api_key(
                        UpdateApiKeyRequest(key_id=key, spec=key_of(machine_id))
                    ),
                ),
                (key, service.delete_api_key(DeleteApiKeyRequest(key_id=key))),
                (
                    machine_id,
                    service.create_api_key(CreateApiKeyRequest(spec=key_of(machine_id))),
                ),
                (user, service.get_user(GetUserRequest(user_id=user))),
                (
                    operation,
                    service.get_async_operation(
                        GetAsyncOperationRequest(async_operation_id=operation)
                    ),
                ),
            )
        ]

    own = await stranger.create("orders")
    real = await told(
        made.service_account_id, theirs.key, tenant.owner.user, made.async_operation.id
    )
    assert real == await told("nothing", "nothing", "nothing", "nothing")
    for foreign in (namespace, f"nothing.{tenant.account}"):
        for attempt in (
            service.get_service_account_namespace_assignments(
                GetServiceAccountNamespaceAssignmentsRequest(namespace=foreign)
            ),
            service.set_service_account_namespace_access(
                SetServiceAccountNamespaceAccessRequest(
                    service_account_id=theirs.id, namespace=foreign, access=access
                )
            ),
        ):
            assert await refused(attempt, RPCStatusCode.NOT_FOUND) == (
                f"namespace {foreign!r} not found"
            )
    assert not (await service.get_service_accounts(GetServiceAccountsRequest())).service_account
    users = await service.get_users(GetUsersRequest(namespace=namespace))
    assert [user.id for user in users.users] == [stranger.owner.user]
    keys = await service.get_api_keys(GetApiKeysRequest(owner_id=theirs.id))
    assert not keys.api_keys


async def test_one_follows_ones_own_operations_and_those_on_what_one_may_know_of(
    api: RunningApi, tenant: Tenant
) -> None:
    made = await tenant.cloud.cloud_service.create_namespace(create_request("orders"))
    reader = await machine(tenant, account_wide("reader", DEVELOPER, {made.namespace: READ}))
    other = await machine(tenant, account_wide("other", DEVELOPER))
    request = GetAsyncOperationRequest(async_operation_id=made.async_operation.id)

    told = await reader.cloud.cloud_service.get_async_operation(request)
    assert told.async_operation.id == made.async_operation.id
    await refused(other.cloud.cloud_service.get_async_operation(request), RPCStatusCode.NOT_FOUND)
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(
            f"http://127.0.0.1:{api.ports.http}/fleet/v1/operations/{made.async_operation.id}",
            headers={"authorization": f"Bearer {other.token}"},
        )
    assert answer.status_code == 404


async def test_users_are_told_to_those_who_may_know(tenant: Tenant) -> None:
    namespace = await tenant.create("orders")
    reader = await machine(tenant, account_wide("reader", AccountAccess.ROLE_READ))
    scoped = await machine(tenant, for_namespace("scoped", namespace, ADMIN))

    told = await reader.cloud.cloud_service.get_user(GetUserRequest(user_id=tenant.owner.user))
    assert told.user.spec.email == tenant.owner.email
    listed = await reader.cloud.cloud_service.get_users(GetUsersRequest(email="nobody@x.test"))
    assert not listed.users
    await refused(
        scoped.cloud.cloud_service.get_users(GetUsersRequest()), RPCStatusCode.PERMISSION_DENIED
    )
