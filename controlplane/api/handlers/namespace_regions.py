"""The RPCs about a namespace's regions: add one, remove one, make another the active one."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from temporalio.api.cloud.cloudservice.v1 import (
    AddNamespaceRegionRequest,
    AddNamespaceRegionResponse,
    DeleteNamespaceRegionRequest,
    DeleteNamespaceRegionResponse,
    FailoverNamespaceRegionRequest,
    FailoverNamespaceRegionResponse,
)

from controlplane.api.changes import note_change
from controlplane.api.handlers.regions import regions_of
from controlplane.api.handlers.replacing import Replacing
from controlplane.api.messages import operation_message
from controlplane.api.once import Once, claim_of
from controlplane.api.replica_rules import (
    Regions,
    ReplicaRules,
    check_target,
    kept,
    with_region,
    without_region,
)
from controlplane.identity.types import Principal
from controlplane.store.directory import Directory
from controlplane.store.operations import Claim
from provisioning.types import FailOver, NamespaceSpec, NamespaceView, Operation, OperationKind


@dataclass(frozen=True)
class NamespaceRegionHandlers:
    once: Once
    replacing: Replacing
    directory: Directory
    replica_cooldown: timedelta
    """How long a namespace does not return to a region that it left."""

    async def add(
        self, caller: Principal, request: AddNamespaceRegionRequest
    ) -> AddNamespaceRegionResponse:
        claim = claim_of(
            caller, OperationKind.ADD_REGION, request.namespace, request, request.async_operation_id
        )
        operation = await self._change(caller, request, claim, with_region)
        return AddNamespaceRegionResponse(
            async_operation=operation_message(operation, claim.request)
        )

    async def delete(
        self, caller: Principal, request: DeleteNamespaceRegionRequest
    ) -> DeleteNamespaceRegionResponse:
        claim = claim_of(
            caller,
            OperationKind.REMOVE_REGION,
            request.namespace,
            request,
            request.async_operation_id,
        )
        operation = await self._change(caller, request, claim, without_region)
        return DeleteNamespaceRegionResponse(
            async_operation=operation_message(operation, claim.request)
        )

    async def fail_over(
        self, caller: Principal, request: FailoverNamespaceRegionRequest
    ) -> FailoverNamespaceRegionResponse:
        claim = claim_of(
            caller, OperationKind.FAIL_OVER, request.namespace, request, request.async_operation_id
        )

        async def ask() -> NamespaceView:
            view = await self.replacing.visible(caller, request.namespace)
            check_target(view, request.region)
            begun = await self.replacing.writer.fail_over(
                request.namespace, FailOver(claim.id, region=request.region)
            )
            note_change({"activeRegion": view.active_region}, {"activeRegion": request.region})
            return begun

        operation = await self.once.begin(claim, ask)
        return FailoverNamespaceRegionResponse(
            async_operation=operation_message(operation, claim.request)
        )

    async def _change(
        self,
        caller: Principal,
        request: AddNamespaceRegionRequest | DeleteNamespaceRegionRequest,
        claim: Claim,
        changed: Callable[[NamespaceView, str], Regions],
    ) -> Operation:
        async def with_changed_regions(view: NamespaceView) -> NamespaceSpec:
            wanted = changed(view, request.region)
            known = regions_of(await self.directory.cells())
            ReplicaRules(known, self.replica_cooldown).check_change(view, wanted, datetime.now(UTC))
            region, replicas = kept(wanted)
            return replace(view.spec, region=region, replicas=replicas)

        async def ask() -> NamespaceView:
            return await self.replacing.replace(
                caller,
                request.namespace,
                request.resource_version,
                claim.id,
                OperationKind(claim.kind),
                with_changed_regions,
            )

        return await self.once.begin(claim, ask)
