"""The one path of every call, by whichever door it comes."""

import secrets
from datetime import timedelta

import grpc
import httpx
import pytest
from temporalio.api.cloud.cloudservice.v1 import (
    DeleteNamespaceRequest,
    GetAccountRequest,
    GetCurrentIdentityRequest,
    GetNamespaceRequest,
)
from temporalio.client import CloudOperationsClient
from temporalio.service import RPCStatusCode

from controlplane.api.calls import SERVICE, changes_something
from controlplane.identity.types import Role
from controlplane.store.audit import AuditLog
from tests.api.running import RunningApi, Tenant, create_request
from tests.api.test_namespaces import refused


async def key_of(tenant: Tenant, role: Role) -> str:
    """Return the token of a new user of the tenant's account, with that role."""
    user = secrets.token_hex(4)
    async with tenant.api.pool.connection() as connection:
        await connection.execute(
            "INSERT INTO users (id, account_id, email, role) VALUES (%s, %s, %s, %s)",
            (user, tenant.account, f"{user}@example.com", role.value),
        )
    issued = await tenant.api.keys.issue(
        tenant.account, user, display_name="laptop", lifetime=timedelta(hours=1)
    )
    return issued.token


async def client_of(tenant: Tenant, role: Role) -> CloudOperationsClient:
    return await tenant.api.connect(await key_of(tenant, role))


async def test_whoever_may_not_is_refused_before_anything_is_done_and_that_is_recorded(
    api: RunningApi, tenant: Tenant
) -> None:
    reader = await client_of(tenant, Role.READ)
    asked = len(api.writer.asked)

    told = await refused(
        reader.cloud_service.create_namespace(create_request("orders", "op-1")),
        RPCStatusCode.PERMISSION_DENIED,
    )

    assert "CreateNamespace takes the account role" in told
    assert len(api.writer.asked) == asked
    (record,) = await AuditLog(api.pool).read(tenant.account, limit=10)
    assert (record.entry.what, record.entry.status) == ("CreateNamespace", "PERMISSION_DENIED")
    assert record.entry.details["message"] == told
    # Its operation was never begun: the id is free.
    await tenant.cloud.cloud_service.create_namespace(create_request("orders", "op-1"))


async def test_the_namespace_that_a_request_names_decides(api: RunningApi, tenant: Tenant) -> None:
    namespace = await tenant.create("orders")
    await api.settle(namespace)
    reader = await client_of(tenant, Role.READ)

    request = GetNamespaceRequest(namespace=namespace)
    await refused(reader.cloud_service.get_namespace(request), RPCStatusCode.PERMISSION_DENIED)
    await refused(
        reader.cloud_service.delete_namespace(DeleteNamespaceRequest(namespace=namespace)),
        RPCStatusCode.PERMISSION_DENIED,
    )

    user = (await reader.cloud_service.get_current_identity(GetCurrentIdentityRequest())).user.id
    async with api.pool.connection() as connection:
        await connection.execute(
            "INSERT INTO namespace_permissions (owner_id, namespace, account_id, permission) "
            "VALUES (%s, %s, %s, 'read')",
            (user, namespace, tenant.account),
        )
    assert (await reader.cloud_service.get_namespace(request)).namespace.namespace == namespace


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/metrics", Role.METRICS_READ),
        ("GET", "/metrics", Role.READ),
        ("GET", "/fleet/v1/account/limits", Role.READ),
        ("GET", "/fleet/v1/audit-log", Role.ADMIN),
        ("GET", "/fleet/v1/audit-log/verification", Role.ADMIN),
        ("GET", "/cloud/audit-logs", Role.ADMIN),
    ],
)
async def test_the_account_role_decides_over_http_as_well(
    tenant: Tenant, method: str, path: str, allowed: Role
) -> None:
    status = {}
    for role in (allowed, Role.NONE):
        token = await key_of(tenant, role)
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{tenant.api.ports.http}",
            headers={"authorization": f"Bearer {token}"},
            trust_env=False,
        ) as http:
            status[role] = (await http.request(method, path)).status_code

    assert status == {allowed: 200, Role.NONE: 403}


async def test_a_namespace_of_another_account_is_as_absent_as_one_that_never_was(
    api: RunningApi, tenant: Tenant
) -> None:
    namespace = await tenant.create("orders")
    stranger = await api.tenant()
    service = stranger.cloud.cloud_service
    told = set()

    for name in (namespace, f"never.{tenant.account}"):
        text = await refused(
            service.get_namespace(GetNamespaceRequest(namespace=name)), RPCStatusCode.NOT_FOUND
        )
        told.add(text.replace(name, "…"))
        text = await refused(
            service.delete_namespace(DeleteNamespaceRequest(namespace=name)),
            RPCStatusCode.NOT_FOUND,
        )
        told.add(text.replace(name, "…"))

    assert len(told) == 1


async def test_every_door_leads_through_the_same_rate(operator: Tenant) -> None:
    async with operator.http() as http:
        await http.put("/fleet/v1/account/limits", json={"requests_per_second": 1})
        with pytest.raises(grpc.aio.AioRpcError, match="requests_per_second"):
            await _until_refused(operator)
        answers = [(await http.get(path)).status_code for path in ("/cloud/account", "/metrics")]

    assert answers == [429, 429]


def test_what_changes_something_is_told_by_its_request() -> None:
    changes = {method.name for method in SERVICE.methods if changes_something(method)}

    assert changes == {
        name for name in SERVICE.methods_by_name if not name.startswith(("Get", "Validate"))
    }


async def _until_refused(tenant: Tenant) -> None:
    for _ in range(50):
        await tenant.call("GetAccount", GetAccountRequest())
