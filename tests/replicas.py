"""Replicas of a tenant's namespaces, changed through the doors that tenants have."""

from dataclasses import dataclass
from uuid import uuid4

from temporalio.api.cloud.cloudservice.v1 import (
    AddNamespaceRegionRequest,
    DeleteNamespaceRegionRequest,
    FailoverNamespaceRegionRequest,
    GetNamespaceRequest,
)
from temporalio.api.cloud.operation.v1 import AsyncOperation

from provisioning.client import NamespaceClient
from provisioning.types import FailOver, FailoverMode
from tests.tenant import Tenant
from tests.traces import engine_of


@dataclass(frozen=True)
class Replicas:
    """Every method returns once what was asked for is done."""

    tenant: Tenant

    async def add(self, name: str, region: str) -> None:
        answer = await self.tenant.cloud.cloud_service.add_namespace_region(
            AddNamespaceRegionRequest(
                namespace=self.tenant.id(name),
                region=region,
                resource_version=await self._version(name),
                async_operation_id=str(uuid4()),
            )
        )
        await self.fulfilled(answer.async_operation.id)

    async def remove(self, name: str, region: str) -> None:
        answer = await self.tenant.cloud.cloud_service.delete_namespace_region(
            DeleteNamespaceRegionRequest(
                namespace=self.tenant.id(name),
                region=region,
                resource_version=await self._version(name),
                async_operation_id=str(uuid4()),
            )
        )
        await self.fulfilled(answer.async_operation.id)

    async def fail_over(self, name: str, region: str, mode: FailoverMode | None = None) -> None:
        """Fail over as any tenant does, or in a mode of which the Cloud Ops API knows nothing."""
        operation, namespace = str(uuid4()), self.tenant.id(name)
        if mode is None:
            request = FailoverNamespaceRegionRequest(
                namespace=namespace, region=region, async_operation_id=operation
            )
            await self.tenant.cloud.cloud_service.failover_namespace_region(request)
        else:
            namespaces = NamespaceClient(await engine_of(self.tenant.fleet))
            await namespaces.fail_over(namespace, FailOver(operation, region, mode=mode))
        await self.fulfilled(operation)

    async def fulfilled(self, operation: str) -> None:
        ended = await self.tenant.finished(operation)
        assert ended.state == AsyncOperation.STATE_FULFILLED, ended.failure_reason

    async def _version(self, name: str) -> str:
        request = GetNamespaceRequest(namespace=self.tenant.id(name))
        got = await self.tenant.cloud.cloud_service.get_namespace(request)
        return got.namespace.resource_version
