"""The workflows by which a Temporal service replicates and hands over: begun once, then followed.

They run in the service's own namespace, on its own workers. Their ids are derived from what they
are for, so that whoever asks again, after a crash or a lost reply, follows the one that runs.
"""

import asyncio
from dataclasses import dataclass

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import (
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from provisioning.frontend import CALL
from provisioning.replicas.services import CellService

Arguments = dict[str, object]
"""By the names of the server's Go fields."""

_TASK_QUEUE = "default-worker-tq"
_CANCELLED_WITHIN = 12.0  # Seconds: a handover takes itself back meanwhile.
_LOOK_EVERY = 0.1  # Seconds.
_AWAY = {
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,  # So the SDK calls it when a call has taken too long.
}


@dataclass(frozen=True)
class SystemWorkflow:
    """One workflow of a cell's Temporal service, whether it runs or not."""

    service: CellService
    id: str

    async def begin_or_follow(self, type_: str, arguments: Arguments) -> None:
        """Start it, unless it runs already."""
        await self.service.client.start_workflow(
            type_,
            arguments,
            id=self.id,
            task_queue=_TASK_QUEUE,
            # No timeout: one that passed in mid-handover would leave the namespace in it.
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            rpc_timeout=CALL,
        )

    async def status(self) -> WorkflowExecutionStatus | None:
        """Return how its latest run is; None when there was none."""
        request = DescribeWorkflowExecutionRequest(
            namespace=self.service.client.namespace,
            execution=WorkflowExecution(workflow_id=self.id),
        )
        try:
            # Not by the handle, which would try for a quarter of a minute to reach a dead service.
            answer = await self.service.client.workflow_service.describe_workflow_execution(
                request, timeout=CALL
            )
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        return WorkflowExecutionStatus(answer.workflow_execution_info.status)

    async def query(self, name: str) -> dict[str, object]:
        answer: dict[str, object] = await self._handle.query(name, rpc_timeout=CALL)
        return answer

    async def failure(self) -> str:
        """Say why it ended otherwise than well."""
        try:
            await self._handle.result(rpc_timeout=CALL)
        except WorkflowFailureError as error:
            reason: BaseException = error
            while reason.__cause__ is not None:
                reason = reason.__cause__
            return str(reason)
        return ""

    async def ended(self) -> None:
        """Return once it has ended, however. A service that is away for a while is waited for."""
        while await self._may_run():  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(_LOOK_EVERY)

    async def _may_run(self) -> bool:
        try:
            return await self.status() is WorkflowExecutionStatus.RUNNING
        except RPCError as error:
            if error.status not in _AWAY:
                raise
            return True

    async def call_off(self) -> None:
        """Return once it does not run any more: it is asked to end, which takes back what it did,
        and ended when it does not."""
        if await self.status() is not WorkflowExecutionStatus.RUNNING:
            return
        try:
            await self._handle.cancel(rpc_timeout=CALL)
            try:
                async with asyncio.timeout(_CANCELLED_WITHIN):
                    await self.ended()
            except TimeoutError:
                await self._handle.terminate(
                    "the control plane called it off, and it did not end", rpc_timeout=CALL
                )
        except RPCError as error:
            # It has just ended by itself.
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    @property
    def _handle(self) -> WorkflowHandle[object, object]:
        """Of whatever run is the latest: the long ones continue as new."""
        return self.service.client.get_workflow_handle(self.id)
