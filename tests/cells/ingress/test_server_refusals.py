"""What lies deeper than a request's namespace field: there the server itself refuses."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from temporalio.api.command.v1 import (
    Command,
    RequestCancelExternalWorkflowExecutionCommandAttributes,
    SignalExternalWorkflowExecutionCommandAttributes,
    StartChildWorkflowExecutionCommandAttributes,
)
from temporalio.api.common.v1 import WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import CommandType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    ExecuteMultiOperationRequest,
    PollWorkflowTaskQueueRequest,
    RespondWorkflowTaskCompletedRequest,
    RespondWorkflowTaskFailedRequest,
    StartWorkflowExecutionRequest,
    UpdateWorkflowExecutionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError

from tests.cells.ingress.conftest import ORDERS, PAY
from tests.cells.ingress.small_cell import SmallCell, Tenant


@pytest.fixture(scope="module")
async def as_orders(cell: SmallCell, either: Tenant) -> Client:
    return await cell.connect(either)


@pytest.fixture(scope="module")
async def as_pay(cell: SmallCell, pay: Tenant) -> Client:
    return await cell.connect(pay)


def start_request(namespace: str, workflow: str, queue: str) -> StartWorkflowExecutionRequest:
    return StartWorkflowExecutionRequest(
        namespace=namespace,
        workflow_id=workflow,
        workflow_type=WorkflowType(name="Any"),
        task_queue=TaskQueue(name=queue),
        request_id=str(uuid4()),
    )


async def workflow_task(client: Client, workflow: str) -> bytes:
    """Start a workflow, and return the token of its first task."""
    queue = str(uuid4())
    await client.workflow_service.start_workflow_execution(
        start_request(client.namespace, workflow, queue)
    )
    polled = await client.workflow_service.poll_workflow_task_queue(
        PollWorkflowTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=queue), identity="test"
        )
    )
    assert polled.task_token
    return polled.task_token


async def exists(client: Client, workflow: str) -> bool:
    try:
        await client.get_workflow_handle(workflow).describe()
    except RPCError:
        return False
    return True


async def test_another_namespaces_task_token_completes_nothing(
    as_orders: Client, as_pay: Client
) -> None:
    token = await workflow_task(as_pay, f"victim-{uuid4()}")

    with pytest.raises(RPCError, match=r"[Tt]oken"):
        await as_orders.workflow_service.respond_workflow_task_completed(
            RespondWorkflowTaskCompletedRequest(namespace=ORDERS, task_token=token)
        )
    with pytest.raises(RPCError, match=r"[Tt]oken"):
        await as_orders.workflow_service.respond_workflow_task_failed(
            RespondWorkflowTaskFailedRequest(namespace=ORDERS, task_token=token)
        )
    await as_pay.workflow_service.respond_workflow_task_completed(
        RespondWorkflowTaskCompletedRequest(namespace=PAY, task_token=token)
    )


def child(workflow: str) -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION,
        start_child_workflow_execution_command_attributes=(
            StartChildWorkflowExecutionCommandAttributes(
                namespace=PAY,
                workflow_id=workflow,
                workflow_type=WorkflowType(name="Any"),
                task_queue=TaskQueue(name="nobody"),
            )
        ),
    )


def signal(workflow: str) -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION,
        signal_external_workflow_execution_command_attributes=(
            SignalExternalWorkflowExecutionCommandAttributes(
                namespace=PAY,
                execution=WorkflowExecution(workflow_id=workflow),
                signal_name="hello",
            )
        ),
    )


def cancel(workflow: str) -> Command:
    return Command(
        command_type=CommandType.COMMAND_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION,
        request_cancel_external_workflow_execution_command_attributes=(
            RequestCancelExternalWorkflowExecutionCommandAttributes(
                namespace=PAY, workflow_id=workflow
            )
        ),
    )


@pytest.mark.parametrize("command", [child, signal, cancel])
async def test_a_workflow_reaches_no_other_namespace(
    as_orders: Client, as_pay: Client, command: Callable[[str], Command]
) -> None:
    target = f"target-{uuid4()}"
    if command is not child:
        await as_pay.workflow_service.start_workflow_execution(start_request(PAY, target, "nobody"))
    token = await workflow_task(as_orders, f"attacker-{uuid4()}")

    with pytest.raises(RPCError, match=r"[Nn]amespace"):
        await as_orders.workflow_service.respond_workflow_task_completed(
            RespondWorkflowTaskCompletedRequest(
                namespace=ORDERS, task_token=token, commands=[command(target)]
            )
        )

    assert await exists(as_pay, target) == (command is not child)


async def test_an_operation_inside_another_reaches_no_other_namespace(
    as_orders: Client, as_pay: Client
) -> None:
    workflow = f"inner-{uuid4()}"
    operations = [
        ExecuteMultiOperationRequest.Operation(
            start_workflow=start_request(PAY, workflow, "nobody")
        ),
        ExecuteMultiOperationRequest.Operation(
            update_workflow=UpdateWorkflowExecutionRequest(
                namespace=PAY, workflow_execution=WorkflowExecution(workflow_id=workflow)
            )
        ),
    ]

    with pytest.raises(RPCError, match="could not be executed"):
        await as_orders.workflow_service.execute_multi_operation(
            ExecuteMultiOperationRequest(namespace=ORDERS, operations=operations)
        )

    assert not await exists(as_pay, workflow)
