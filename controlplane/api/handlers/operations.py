"""GetAsyncOperation: how far a change has come."""

from dataclasses import dataclass

from temporalio.api.cloud.cloudservice.v1 import (
    GetAsyncOperationRequest,
    GetAsyncOperationResponse,
)

from controlplane.api.messages import operation_message
from controlplane.errors import not_found
from controlplane.identity.permissions import may_see_operation
from controlplane.identity.types import Principal
from controlplane.store.queries import ReadModel


@dataclass(frozen=True)
class OperationHandlers:
    reads: ReadModel

    async def get(
        self, caller: Principal, request: GetAsyncOperationRequest
    ) -> GetAsyncOperationResponse:
        found = await self.reads.operation(caller.account.id, request.async_operation_id)
        if found is None or not may_see_operation(caller, found.namespace, found.actor):
            raise not_found(f"operation {request.async_operation_id!r} not found")
        return GetAsyncOperationResponse(
            async_operation=operation_message(found.operation, found.request)
        )
