"""How everyone else reaches a namespace."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowHandle,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode
from temporalio.workflow import UpdateMethodMultiParam

from controlplane.errors import not_found
from controlplane.ids import namespace_workflow_id
from controlplane.queues import namespaces_queue
from controlplane.updates import delivered, starting
from provisioning.requests import Change
from provisioning.types import (
    AbortReplicaChange,
    ConfirmMigration,
    CreateNamespace,
    DeleteNamespace,
    FailOver,
    InspectNamespace,
    IssueClientCertificate,
    MigrateNamespace,
    NamespaceState,
    NamespaceView,
    RenameSearchAttribute,
    RevokeCertificate,
    SetRequestLimit,
    UpdateNamespace,
    UpdateTags,
)
from provisioning.workflow import NamespaceWorkflow

Request = TypeVar("Request", bound=Change | DeleteNamespace)

# How soon another worker takes over from one that died in the middle of quick steps.
TASK_TIMEOUT = timedelta(seconds=5)


@dataclass(frozen=True)
class NamespaceClient:
    """Refusals are raised as the ApplicationError the namespace gave (see `controlplane.errors`).

    When the engine cannot be reached, temporalio's RPCError says so.
    """

    temporal: Client

    async def create(self, namespace: str, request: CreateNamespace) -> NamespaceView:
        """Ask for a namespace; return once that is durably recorded."""
        return await delivered(lambda: self._create(namespace, request))

    async def update(self, namespace: str, request: UpdateNamespace) -> NamespaceView:
        return await self._ask(namespace, NamespaceWorkflow.update, request)

    async def rename_search_attribute(
        self, namespace: str, request: RenameSearchAttribute
    ) -> NamespaceView:
        return await self._ask(namespace, NamespaceWorkflow.rename_search_attribute, request)

    async def tag(self, namespace: str, request: UpdateTags) -> NamespaceView:
        return await self._ask(namespace, NamespaceWorkflow.tag, request)

    async def set_request_limit(self, namespace: str, request: SetRequestLimit) -> NamespaceView:
        return await self._ask(namespace, NamespaceWorkflow.set_request_limit, request)

    async def revoke(self, namespace: str, request: RevokeCertificate) -> NamespaceView:
        return await self._ask(namespace, NamespaceWorkflow.revoke, request)

    async def issue(self, namespace: str, request: IssueClientCertificate) -> NamespaceView:
        return await self._ask(namespace, NamespaceWorkflow.issue, request)

    async def inspect(self, namespace: str, request: InspectNamespace) -> NamespaceView:
        return await self._ask(namespace, NamespaceWorkflow.inspect, request)

    async def fail_over(self, namespace: str, request: FailOver) -> NamespaceView:
        return await self._ask(namespace, NamespaceWorkflow.fail_over, request)

    async def migrate(self, namespace: str, request: MigrateNamespace) -> NamespaceView:
        return await self._ask(namespace, NamespaceWorkflow.migrate, request)

    async def confirm_migration(self, namespace: str, request: ConfirmMigration) -> NamespaceView:
        return await self._ask(namespace, NamespaceWorkflow.confirm_migration, request)

    async def abort_change(self, namespace: str, request: AbortReplicaChange) -> NamespaceView:
        return await self._ask(namespace, NamespaceWorkflow.abort_change, request)

    async def delete(self, namespace: str, request: DeleteNamespace) -> NamespaceView:
        return await self._ask(namespace, NamespaceWorkflow.delete, request)

    def handle(self, namespace: str) -> WorkflowHandle[NamespaceWorkflow, None]:
        return self.temporal.get_workflow_handle_for(
            NamespaceWorkflow.run, namespace_workflow_id(namespace)
        )

    async def _ask(
        self,
        namespace: str,
        update: UpdateMethodMultiParam[[NamespaceWorkflow, Request], NamespaceView],
        request: Request,
    ) -> NamespaceView:
        """Return once the request is durably recorded; one that was made before changes nothing."""
        handle = self.handle(namespace)
        try:
            return await delivered(
                lambda: handle.execute_update(update, request, id=request.operation)
            )
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                raise not_found(f"namespace {namespace} not found") from None
            raise

    async def _create(self, namespace: str, request: CreateNamespace) -> NamespaceView:
        start = WithStartWorkflowOperation(
            NamespaceWorkflow.run,
            NamespaceState(namespace),
            id=namespace_workflow_id(namespace),
            task_queue=namespaces_queue(request.spec.region),
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            task_timeout=TASK_TIMEOUT,
        )
        async with starting(start):
            return await self.temporal.execute_update_with_start_workflow(
                NamespaceWorkflow.create,
                request,
                id=request.operation,
                start_workflow_operation=start,
            )
