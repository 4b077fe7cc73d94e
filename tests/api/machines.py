"""Service accounts with a key of their own, connected."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.cloud.cloudservice.v1 import (
    CreateApiKeyRequest,
    CreateServiceAccountRequest,
    GetAsyncOperationRequest,
)
from temporalio.api.cloud.identity.v1 import (
    Access,
    AccountAccess,
    ApiKeySpec,
    NamespaceAccess,
    NamespaceScopedAccess,
    OwnerType,
    ServiceAccountSpec,
)
from temporalio.api.cloud.operation.v1 import AsyncOperation
from temporalio.client import CloudOperationsClient

from tests.api.running import Tenant
from tests.eventually import eventually

ADMIN = NamespaceAccess.PERMISSION_ADMIN
WRITE = NamespaceAccess.PERMISSION_WRITE
READ = NamespaceAccess.PERMISSION_READ


@dataclass(frozen=True)
class Machine:
    tenant: Tenant
    id: str
    key: str
    token: str
    cloud: CloudOperationsClient


def account_wide(
    name: str,
    role: AccountAccess.Role.ValueType,
    namespaces: Mapping[str, NamespaceAccess.Permission.ValueType] | None = None,
) -> ServiceAccountSpec:
    access = Access(account_access=AccountAccess(role=role))
    for namespace, permission in (namespaces or {}).items():
        access.namespace_accesses[namespace].permission = permission
    return ServiceAccountSpec(name=name, access=access)


def for_namespace(
    name: str, namespace: str, permission: NamespaceAccess.Permission.ValueType
) -> ServiceAccountSpec:
    return ServiceAccountSpec(
        name=name,
        namespace_scoped_access=NamespaceScopedAccess(
            namespace=namespace, access=NamespaceAccess(permission=permission)
        ),
    )


def in_an_hour(hours: float = 1) -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime((datetime.now(UTC) + timedelta(hours=hours)).replace(microsecond=0))
    return moment


def key_of(service_account: str, name: str = "ci") -> ApiKeySpec:
    return ApiKeySpec(
        owner_id=service_account,
        owner_type=OwnerType.OWNER_TYPE_SERVICE_ACCOUNT,
        display_name=name,
        expiry_time=in_an_hour(),
    )


async def machine(tenant: Tenant, spec: ServiceAccountSpec) -> Machine:
    """Make a service account of the tenant, give it a key, and connect with that."""
    service = tenant.cloud.cloud_service
    made = await service.create_service_account(CreateServiceAccountRequest(spec=spec))
    key = await service.create_api_key(
        CreateApiKeyRequest(spec=key_of(made.service_account_id, "machine"))
    )
    return Machine(
        tenant,
        made.service_account_id,
        key.key_id,
        key.token,
        await tenant.api.connect(key.token),
    )


async def fulfilled(tenant: Tenant, operation: AsyncOperation) -> AsyncOperation:
    """Return the operation once it is."""
    request = GetAsyncOperationRequest(async_operation_id=operation.id)

    async def now() -> AsyncOperation:
        told = await tenant.cloud.cloud_service.get_async_operation(request)
        return told.async_operation

    async def done() -> bool:
        return (await now()).state == AsyncOperation.STATE_FULFILLED

    await eventually(done)
    return await now()
