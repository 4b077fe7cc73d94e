"""The canary: a workflow that goes all the way through a namespace's endpoint and back.

It is worked on with plain calls: a whole worker would take longer to start than the workflow runs.
"""

import asyncio
import contextlib
import secrets
from datetime import timedelta

from temporalio.api.command.v1 import Command, CompleteWorkflowExecutionCommandAttributes
from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import CommandType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    RespondWorkflowTaskCompletedRequest,
)
from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, TLSConfig

from provisioning.certificates.x509 import CertificateAndKey
from provisioning.handshake import Endpoint

WORKFLOW_TYPE = "controlplane.canary"

_IDENTITY = "controlplane-prober"
_DEADLINE_SECONDS = 10.0
_CALL = timedelta(seconds=5)
_GOODBYE = timedelta(seconds=1)
_EXECUTION = timedelta(seconds=30)
"""Whatever becomes of us, the workflow does not stay open for longer."""


class CanaryLost(Exception):
    """The canary did not come back as it was sent."""


async def fly_canary(
    endpoint: Endpoint, namespace: str, uid: str, roots: bytes, certificate: CertificateAndKey
) -> None:
    """Complete a workflow through the endpoint, with an SDK's default settings.

    It has the same id whenever it is started for the same namespace: one that was left behind is
    replaced. What remains is a closed workflow, until the namespace's retention ends.
    """
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            client = await Client.connect(
                endpoint.address,
                namespace=namespace,
                identity=_IDENTITY,
                tls=TLSConfig(
                    server_root_ca_cert=roots,
                    client_cert=certificate.certificate_pem,
                    client_private_key=certificate.key_pem,
                    domain=endpoint.server_name,
                ),
            )
            await _complete_workflow(client, canary_id(uid))
    except TimeoutError:
        raise TimeoutError(f"it did not complete within {_DEADLINE_SECONDS:g} s") from None


def canary_id(uid: str) -> str:
    """Return the workflow id of a namespace's canary."""
    return f"controlplane-canary-{uid}"


async def _complete_workflow(client: Client, name: str) -> None:
    song = secrets.token_hex(8)
    # A queue of its own: nobody else takes the task, and no older task is in the way.
    queue = f"{name}-{song}"
    handle: WorkflowHandle[object, str] = await client.start_workflow(
        WORKFLOW_TYPE,
        song,
        id=name,
        task_queue=queue,
        result_type=str,
        id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING,
        execution_timeout=_EXECUTION,
        rpc_timeout=_CALL,
    )
    try:
        await _complete(client, await _poll(client, queue))
        heard = await handle.result(rpc_timeout=_CALL)
    except BaseException:
        with contextlib.suppress(RPCError):
            await handle.terminate("the proof was broken off", rpc_timeout=_GOODBYE)
        raise
    if heard != song:
        raise CanaryLost(f"it was sent with {song!r} and returned {heard!r}")


async def _poll(client: Client, queue: str) -> PollWorkflowTaskQueueResponse:
    task = await client.workflow_service.poll_workflow_task_queue(
        PollWorkflowTaskQueueRequest(
            namespace=client.namespace, identity=_IDENTITY, task_queue=TaskQueue(name=queue)
        ),
        timeout=_CALL,
    )
    if not task.task_token:
        raise CanaryLost(f"its first task did not come within {_CALL.total_seconds():g} s")
    return task


async def _complete(client: Client, task: PollWorkflowTaskQueueResponse) -> None:
    """Let the workflow return what its history says it was started with."""
    started = task.history.events[0].workflow_execution_started_event_attributes
    await client.workflow_service.respond_workflow_task_completed(
        RespondWorkflowTaskCompletedRequest(
            namespace=client.namespace,
            identity=_IDENTITY,
            task_token=task.task_token,
            commands=[
                Command(
                    command_type=CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION,
                    complete_workflow_execution_command_attributes=(
                        CompleteWorkflowExecutionCommandAttributes(
                            result=Payloads(payloads=started.input.payloads)
                        )
                    ),
                )
            ],
        ),
        timeout=_CALL,
    )
