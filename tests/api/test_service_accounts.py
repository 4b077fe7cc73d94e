import pytest
from temporalio.api.cloud.cloudservice.v1 import (
    CreateServiceAccountRequest,
    DeleteNamespaceRequest,
    DeleteServiceAccountRequest,
    GetCurrentIdentityRequest,
    GetServiceAccountNamespaceAssignmentsRequest,
    GetServiceAccountRequest,
    GetServiceAccountsRequest,
    SetServiceAccountNamespaceAccessRequest,
    UpdateServiceAccountRequest,
)
from temporalio.api.cloud.identity.v1 import (
    Access,
    AccountAccess,
    NamespaceAccess,
    ServiceAccount,
    ServiceAccountSpec,
)
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.api.cloud.resource.v1 import ResourceState
from temporalio.service import CloudService, RPCStatusCode

from tests.api.machines import (
    ADMIN,
    READ,
    WRITE,
    account_wide,
    for_namespace,
    fulfilled,
    machine,
)
from tests.api.running import RunningApi, Tenant
from tests.api.test_namespaces import refused

DEVELOPER = AccountAccess.ROLE_DEVELOPER


async def create(
    service: CloudService, spec: ServiceAccountSpec, operation: str = ""
) -> ServiceAccount:
    made = await service.create_service_account(
        CreateServiceAccountRequest(spec=spec, async_operation_id=operation)
    )
    return await get(service, made.service_account_id)


async def get(service: CloudService, service_account: str) -> ServiceAccount:
    told = await service.get_service_account(
        GetServiceAccountRequest(service_account_id=service_account)
    )
    return told.service_account


async def test_a_service_account_comes_back_as_it_was_asked_for(tenant: Tenant) -> None:
    namespace = await tenant.create("orders")
    spec = account_wide("ci runner", DEVELOPER, {namespace: WRITE})
    spec.description = "deploys"

    made = await create(tenant.cloud.cloud_service, spec)

    access = spec.access
    access.account_access.role_deprecated = "developer"
    access.namespace_accesses[namespace].permission_deprecated = "write"
    assert made.spec == spec
    assert made.state == ResourceState.RESOURCE_STATE_ACTIVE
    assert made.state_deprecated == "active"
    assert made.HasField("created_time")
    assert not made.HasField("last_modified_time")


async def test_one_for_a_single_namespace_has_no_access_beside_that(tenant: Tenant) -> None:
    namespace = await tenant.create("orders")

    made = await create(tenant.cloud.cloud_service, for_namespace("reader", namespace, READ))

    assert not made.spec.HasField("access")
    assert made.spec.namespace_scoped_access.namespace == namespace
    assert made.spec.namespace_scoped_access.access == NamespaceAccess(
        permission=READ, permission_deprecated="read"
    )


async def test_a_service_account_is_told_who_it_is(tenant: Tenant) -> None:
    made = await machine(tenant, account_wide("ci", DEVELOPER))

    told = await made.cloud.cloud_service.get_current_identity(GetCurrentIdentityRequest())

    assert (told.service_account.id, told.service_account.spec.name) == (made.id, "ci")
    assert not told.HasField("user")
    assert (told.principal_api_key.id, told.principal_api_key.spec.owner_id) == (made.key, made.id)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (account_wide("", DEVELOPER), "spec.name ''"),
        (account_wide("a" * 65, DEVELOPER), "1 to 64"),
        (account_wide("tab\there", DEVELOPER), "spec.name"),
        (ServiceAccountSpec(name="none"), "exactly one of access and namespace_scoped_access"),
        (account_wide("roleless", AccountAccess.ROLE_UNSPECIFIED), "role is missing"),
        (
            ServiceAccountSpec(name="x", access=Access(account_access=AccountAccess(role=77))),  # type: ignore[arg-type]
            "77",
        ),
        (
            ServiceAccountSpec(
                name="x", access=Access(account_access=AccountAccess(role_deprecated="boss"))
            ),
            "'boss'",
        ),
        (
            ServiceAccountSpec(
                name="x",
                access=Access(account_access=AccountAccess(role=DEVELOPER, custom_roles=["r1"])),
            ),
            "custom roles are not available",
        ),
        (for_namespace("x", "", READ), "namespace is empty"),
        (
            for_namespace("x", "orders.acme1", NamespaceAccess.PERMISSION_UNSPECIFIED),
            "permission is missing",
        ),
        (
            account_wide("x", DEVELOPER, {"a.b": NamespaceAccess.PERMISSION_UNSPECIFIED}),
            "has no permission",
        ),
        (
            account_wide("x", AccountAccess.ROLE_ADMIN, {"orders.acme1": READ}),
            "admin of every namespace",
        ),
        (
            ServiceAccountSpec(name="x", description="d" * 1001, access=Access()),
            "spec.description has 1001",
        ),
    ],
    ids=str,
)
async def test_what_cannot_be_meant_is_refused(
    tenant: Tenant, spec: ServiceAccountSpec, told: str
) -> None:
    service = tenant.cloud.cloud_service

    refusal = await refused(
        service.create_service_account(CreateServiceAccountRequest(spec=spec)),
        RPCStatusCode.INVALID_ARGUMENT,
    )

    assert told in refusal


async def test_older_clients_say_role_and_permission_in_words(tenant: Tenant) -> None:
    namespace = await tenant.create("orders")
    spec = ServiceAccountSpec(
        name="old", access=Access(account_access=AccountAccess(role_deprecated="read"))
    )
    spec.access.namespace_accesses[namespace].permission_deprecated = "write"

    made = await create(tenant.cloud.cloud_service, spec)

    assert made.spec.access.account_access.role == AccountAccess.ROLE_READ
    assert made.spec.access.namespace_accesses[namespace].permission == WRITE


async def test_scopes_by_project_are_refused_instead_of_dropped(tenant: Tenant) -> None:
    # project_scoped_access is field 5; the generated classes know it no more than the SDK does.
    spec = ServiceAccountSpec.FromString(
        account_wide("x", DEVELOPER).SerializeToString() + b"\x2a\x00"
    )

    with pytest.raises(Exception, match="projects are not available"):
        await tenant.call("CreateServiceAccount", CreateServiceAccountRequest(spec=spec))


async def test_a_name_is_taken_only_while_its_service_account_exists(tenant: Tenant) -> None:
    service = tenant.cloud.cloud_service
    first = await create(service, account_wide("ci", DEVELOPER))

    told = await refused(
        service.create_service_account(
            CreateServiceAccountRequest(spec=account_wide("ci", DEVELOPER))
        ),
        RPCStatusCode.ALREADY_EXISTS,
    )
    assert "named 'ci'" in told

    await service.delete_service_account(DeleteServiceAccountRequest(service_account_id=first.id))
    second = await create(service, account_wide("ci", DEVELOPER))
    assert second.id != first.id


async def test_namespaces_that_the_account_does_not_have_are_not_found(
    api: RunningApi, tenant: Tenant
) -> None:
    stranger = await api.tenant()
    foreign = await stranger.create("orders")
    service = tenant.cloud.cloud_service

    for namespace in (foreign, f"nothing.{tenant.account}"):
        for spec in (
            account_wide("x", DEVELOPER, {namespace: READ}),
            for_namespace("x", namespace, READ),
        ):
            told = await refused(
                service.create_service_account(CreateServiceAccountRequest(spec=spec)),
                RPCStatusCode.NOT_FOUND,
            )
            assert told == f"namespace {namespace!r} not found"


async def test_an_update_replaces_the_spec(tenant: Tenant) -> None:
    service = tenant.cloud.cloud_service
    namespace = await tenant.create("orders")
    before = await create(service, account_wide("ci", DEVELOPER, {namespace: WRITE}))

    changed = await service.update_service_account(
        UpdateServiceAccountRequest(
            service_account_id=before.id,
            spec=account_wide("ci-2", AccountAccess.ROLE_READ),
            resource_version=before.resource_version,
        )
    )

    after = await get(service, before.id)
    assert changed.async_operation.state == AsyncOperation.STATE_FULFILLED
    assert after.spec.name == "ci-2"
    assert after.spec.access.account_access.role == AccountAccess.ROLE_READ
    assert not after.spec.access.namespace_accesses
    assert after.resource_version != before.resource_version
    assert after.HasField("last_modified_time")


async def test_an_update_of_what_has_changed_since_is_refused(tenant: Tenant) -> None:
    service = tenant.cloud.cloud_service
    made = await create(service, account_wide("ci", DEVELOPER))
    request = UpdateServiceAccountRequest(
        service_account_id=made.id,
        spec=account_wide("ci-2", DEVELOPER),
        resource_version="7",
    )

    told = await refused(service.update_service_account(request), RPCStatusCode.FAILED_PRECONDITION)

    assert "resource_version '1', not '7'" in told


async def test_an_update_that_changes_nothing_says_so(tenant: Tenant) -> None:
    service = tenant.cloud.cloud_service
    made = await create(service, account_wide("ci", DEVELOPER))

    told = await refused(
        service.update_service_account(
            UpdateServiceAccountRequest(service_account_id=made.id, spec=made.spec)
        ),
        RPCStatusCode.INVALID_ARGUMENT,
    )

    assert "nothing to change" in told


async def test_what_it_is_for_cannot_be_changed(tenant: Tenant) -> None:
    service = tenant.cloud.cloud_service
    orders, bills = await tenant.create("orders"), await tenant.create("bills")
    made = await create(service, for_namespace("reader", orders, READ))

    for spec in (for_namespace("reader", bills, READ), account_wide("reader", DEVELOPER)):
        told = await refused(
            service.update_service_account(
                UpdateServiceAccountRequest(service_account_id=made.id, spec=spec)
            ),
            RPCStatusCode.INVALID_ARGUMENT,
        )
        assert "create another one" in told

    await service.update_service_account(
        UpdateServiceAccountRequest(
            service_account_id=made.id, spec=for_namespace("reader", orders, ADMIN)
        )
    )
    changed = await get(service, made.id)
    assert changed.spec.namespace_scoped_access.access.permission == ADMIN


async def test_its_keys_end_with_it(tenant: Tenant) -> None:
    service = tenant.cloud.cloud_service
    made = await machine(tenant, account_wide("ci", DEVELOPER))

    deleted = await service.delete_service_account(
        DeleteServiceAccountRequest(service_account_id=made.id)
    )

    await refused(
        made.cloud.cloud_service.get_current_identity(GetCurrentIdentityRequest()),
        RPCStatusCode.UNAUTHENTICATED,
    )
    await refused(
        service.get_service_account(GetServiceAccountRequest(service_account_id=made.id)),
        RPCStatusCode.NOT_FOUND,
    )
    await fulfilled(tenant, deleted.async_operation)


async def test_the_list_goes_by_id_and_in_pages(tenant: Tenant) -> None:
    service = tenant.cloud.cloud_service
    made = sorted(
        [(await create(service, account_wide(f"ci-{i}", DEVELOPER))).id for i in range(5)]
    )

    first = await service.get_service_accounts(GetServiceAccountsRequest(page_size=3))
    rest = await service.get_service_accounts(
        GetServiceAccountsRequest(page_size=3, page_token=first.next_page_token)
    )

    assert [one.id for one in (*first.service_account, *rest.service_account)] == made
    assert len(first.service_account) == 3
    assert rest.next_page_token == ""


async def test_access_to_one_namespace_is_given_and_taken(tenant: Tenant) -> None:
    service = tenant.cloud.cloud_service
    namespace = await tenant.create("orders")
    made = await create(service, account_wide("ci", DEVELOPER))

    async def ask(permission: NamespaceAccess.Permission.ValueType, version: str) -> None:
        await service.set_service_account_namespace_access(
            SetServiceAccountNamespaceAccessRequest(
                service_account_id=made.id,
                namespace=namespace,
                access=NamespaceAccess(permission=permission),
                resource_version=version,
            )
        )

    await ask(WRITE, made.resource_version)
    given = await get(service, made.id)
    assert given.spec.access.namespace_accesses[namespace].permission == WRITE
    await refused(ask(READ, made.resource_version), RPCStatusCode.FAILED_PRECONDITION)
    await ask(NamespaceAccess.PERMISSION_UNSPECIFIED, given.resource_version)

    taken = await get(service, made.id)
    assert not taken.spec.access.namespace_accesses


async def test_admins_hold_no_permission_on_single_namespaces(tenant: Tenant) -> None:
    service = tenant.cloud.cloud_service
    namespace = await tenant.create("orders")
    made = await create(service, account_wide("boss", AccountAccess.ROLE_ADMIN))

    told = await refused(
        service.set_service_account_namespace_access(
            SetServiceAccountNamespaceAccessRequest(
                service_account_id=made.id,
                namespace=namespace,
                access=NamespaceAccess(permission=READ),
            )
        ),
        RPCStatusCode.FAILED_PRECONDITION,
    )

    assert "admin of every namespace" in told


async def test_a_namespace_tells_who_may_do_what_in_it(tenant: Tenant) -> None:
    service = tenant.cloud.cloud_service
    orders, bills = await tenant.create("orders"), await tenant.create("bills")
    admin = await create(service, account_wide("admin", AccountAccess.ROLE_ADMIN))
    writer = await create(service, account_wide("writer", DEVELOPER, {orders: WRITE}))
    scoped = await create(service, for_namespace("scoped", orders, READ))
    await create(service, account_wide("other", DEVELOPER, {bills: ADMIN}))

    told = await service.get_service_account_namespace_assignments(
        GetServiceAccountNamespaceAssignmentsRequest(namespace=orders)
    )

    found = {
        one.id: (one.namespace_access.permission, one.inherited_access)
        for one in told.service_accounts
    }
    assert found == {admin.id: (ADMIN, True), writer.id: (WRITE, False), scoped.id: (READ, False)}


async def test_a_namespace_takes_its_service_accounts_and_permissions_along(
    api: RunningApi, tenant: Tenant
) -> None:
    service = tenant.cloud.cloud_service
    orders, bills = await tenant.create("orders"), await tenant.create("bills")
    for namespace in (orders, bills):
        await api.settle(namespace)
    scoped = await machine(tenant, for_namespace("scoped", orders, ADMIN))
    wide = await create(service, account_wide("wide", DEVELOPER, {orders: WRITE, bills: READ}))

    await service.delete_namespace(DeleteNamespaceRequest(namespace=orders))
    await api.settle(orders)

    await refused(
        scoped.cloud.cloud_service.get_current_identity(GetCurrentIdentityRequest()),
        RPCStatusCode.UNAUTHENTICATED,
    )
    await refused(
        service.get_service_account(GetServiceAccountRequest(service_account_id=scoped.id)),
        RPCStatusCode.NOT_FOUND,
    )
    assert set((await get(service, wide.id)).spec.access.namespace_accesses) == {bills}
    await tenant.create("orders")
    assert set((await get(service, wide.id)).spec.access.namespace_accesses) == {bills}


async def test_the_same_request_makes_one_service_account(tenant: Tenant) -> None:
    service = tenant.cloud.cloud_service
    request = CreateServiceAccountRequest(
        spec=account_wide("ci", DEVELOPER), async_operation_id="op-1"
    )

    first = await service.create_service_account(request)
    second = await service.create_service_account(request)

    assert first == second
    told = await service.get_service_accounts(GetServiceAccountsRequest())
    assert len(told.service_account) == 1
    request.spec.name = "another"
    await refused(service.create_service_account(request), RPCStatusCode.ALREADY_EXISTS)


async def test_a_repeated_deletion_is_answered_as_the_first_time(tenant: Tenant) -> None:
    service = tenant.cloud.cloud_service
    made = await create(service, account_wide("ci", DEVELOPER))
    request = DeleteServiceAccountRequest(service_account_id=made.id, async_operation_id="op-2")

    first = await service.delete_service_account(request)
    second = await service.delete_service_account(request)

    assert first == second
    request.async_operation_id = "op-3"
    await refused(service.delete_service_account(request), RPCStatusCode.NOT_FOUND)


async def test_a_refused_request_leaves_its_operation_id_free(tenant: Tenant) -> None:
    service = tenant.cloud.cloud_service
    await create(service, account_wide("ci", DEVELOPER))
    request = CreateServiceAccountRequest(
        spec=account_wide("ci", DEVELOPER), async_operation_id="op-4"
    )
    await refused(service.create_service_account(request), RPCStatusCode.ALREADY_EXISTS)

    request.spec.name = "ci-2"

    assert (await service.create_service_account(request)).service_account_id


async def test_all_of_it_works_over_http(tenant: Tenant) -> None:
    namespace = await tenant.create("orders")
    async with tenant.http() as http:
        made = await http.post(
            "/cloud/service-accounts",
            json={"spec": {"name": "ci", "access": {"accountAccess": {"role": "ROLE_DEVELOPER"}}}},
        )
        assert made.status_code == 200, made.text
        path = f"/cloud/service-accounts/{made.json()['serviceAccountId']}"
        given = await http.post(
            f"/cloud/namespaces/{namespace}/service-accounts/"
            f"{made.json()['serviceAccountId']}/access",
            json={"access": {"permission": "PERMISSION_WRITE"}},
        )
        assert given.status_code == 200, given.text
        told = (await http.get(path)).json()["serviceAccount"]
        assert told["spec"]["access"]["namespaceAccesses"] == {
            namespace: {"permission": "PERMISSION_WRITE", "permissionDeprecated": "write"}
        }
        assigned = await http.get(f"/cloud/namespaces/{namespace}/service-account-assignments")
        assert [one["name"] for one in assigned.json()["serviceAccounts"]] == ["ci"]
        listed = (await http.get("/cloud/service-accounts")).json()["serviceAccount"]
        assert [one["id"] for one in listed] == [told["id"]]
        gone = await http.delete(path, params={"resourceVersion": told["resourceVersion"]})
        assert gone.status_code == 200, gone.text
        assert (await http.get(path)).status_code == 404
