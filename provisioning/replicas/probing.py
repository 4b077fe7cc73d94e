"""Which cell a Temporal service acts on as a namespace's active one, whatever is on record.

What is on record takes effect when each of the service's hosts has read it again, a second or two
later. So they are asked for something that only the active cell does, and that does nothing: to
signal a workflow that there is not. Each name is another shard's, and so perhaps another host's.
"""

import secrets
from datetime import timedelta

from google.protobuf.message import Message
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.errordetails.v1 import NamespaceNotActiveFailure, NamespaceNotFoundFailure
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest
from temporalio.service import RPCError, RPCStatusCode

from provisioning.replicas.services import OWN_STATE, CellService

_CALL = timedelta(seconds=1)
"""A service waits with its answer while the namespace is in handover."""
_SILENT = {
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,  # So the SDK calls it when a call has taken too long.
}


async def acts_on(service: CellService, namespace: str) -> str | None:
    """Return the cell that one of the service's hosts takes for the active one.

    None when it does not know the namespace yet, or answers nobody just now.
    """
    request = SignalWorkflowExecutionRequest(
        namespace=namespace,
        workflow_execution=WorkflowExecution(
            workflow_id=f"controlplane-nobody-{secrets.token_hex(8)}"
        ),
        signal_name="nothing",
        identity="controlplane",
    )
    try:
        await service.client.workflow_service.signal_workflow_execution(
            request, metadata=OWN_STATE, timeout=_CALL
        )
    except RPCError as error:
        if error.status in _SILENT:
            return None
        if error.status is RPCStatusCode.NOT_FOUND:
            return None if _explained_by(error, NamespaceNotFoundFailure()) else service.cell
        refusal = NamespaceNotActiveFailure()
        if not _explained_by(error, refusal):
            raise
        return service.cell_called(refusal.active_cluster)
    raise AssertionError(f"a workflow that nobody started was signalled in {namespace}")


def _explained_by(error: RPCError, explanation: Message) -> bool:
    """Tell whether the service gave this kind of reason, and read it."""
    return any(detail.Unpack(explanation) for detail in error.grpc_status.details)
