"""The events that a server notes of what a run hears and asks for."""

from collections.abc import Sequence

from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution
from temporalio.api.common.v1 import WorkflowType as Type
from temporalio.api.enums.v1 import (
    ContinueAsNewInitiator,
    RetryState,
)
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import message_pb2 as events
from temporalio.api.sdk.v1 import WorkflowTaskCompletedMetadata
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.update.v1 import Input, Meta, Outcome, Request
from temporalio.bridge.proto.workflow_activation import DoUpdate, SignalWorkflow
from temporalio.bridge.proto.workflow_commands import (
    ContinueAsNewWorkflowExecution,
    StartTimer,
)

from rollout.simulation.virtual.beginning import (
    IDENTITY,
    NAMESPACE,
    TASK_QUEUE,
    TASK_TIMEOUT,
    Beginning,
)

QUEUE = TaskQueue(name=TASK_QUEUE)


def started(beginning: Beginning) -> events.WorkflowExecutionStartedEventAttributes:
    noted = events.WorkflowExecutionStartedEventAttributes(
        workflow_type=Type(name=beginning.workflow_type),
        workflow_id=beginning.workflow_id,
        task_queue=QUEUE,
        input=Payloads(payloads=beginning.arguments),
        continued_execution_run_id=beginning.continued_from,
        original_execution_run_id=beginning.run_id,
        first_execution_run_id=beginning.first_run_id,
        identity=IDENTITY,
        attempt=1,
    )
    noted.workflow_task_timeout.FromTimedelta(TASK_TIMEOUT)
    if beginning.parent is not None:
        noted.parent_workflow_namespace = NAMESPACE
        workflow_id, run_id = beginning.parent
        noted.parent_workflow_execution.CopyFrom(execution(workflow_id, run_id))
    return noted


def completed(result: Payload, turn: int) -> events.WorkflowExecutionCompletedEventAttributes:
    return events.WorkflowExecutionCompletedEventAttributes(
        result=Payloads(payloads=[result]), workflow_task_completed_event_id=turn
    )


def failed(failure: Failure, turn: int) -> events.WorkflowExecutionFailedEventAttributes:
    return events.WorkflowExecutionFailedEventAttributes(
        failure=failure,
        retry_state=RetryState.RETRY_STATE_RETRY_POLICY_NOT_SET,
        workflow_task_completed_event_id=turn,
    )


def terminated(reason: str) -> events.WorkflowExecutionTerminatedEventAttributes:
    return events.WorkflowExecutionTerminatedEventAttributes(reason=reason, identity=IDENTITY)


def continued_as_new(
    asked: ContinueAsNewWorkflowExecution, workflow_type: str, new_run_id: str, turn: int
) -> events.WorkflowExecutionContinuedAsNewEventAttributes:
    return events.WorkflowExecutionContinuedAsNewEventAttributes(
        new_execution_run_id=new_run_id,
        workflow_type=Type(name=workflow_type),
        task_queue=QUEUE,
        input=Payloads(payloads=asked.arguments),
        workflow_task_completed_event_id=turn,
        initiator=ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_WORKFLOW,
        initial_versioning_behavior=asked.initial_versioning_behavior,
    )


def turn_scheduled() -> events.WorkflowTaskScheduledEventAttributes:
    noted = events.WorkflowTaskScheduledEventAttributes(task_queue=QUEUE, attempt=1)
    noted.start_to_close_timeout.FromTimedelta(TASK_TIMEOUT)
    return noted


def turn_started(
    scheduled: int, size: int, *, suggests_new_run: bool, outdated: bool
) -> events.WorkflowTaskStartedEventAttributes:
    return events.WorkflowTaskStartedEventAttributes(
        scheduled_event_id=scheduled,
        identity=IDENTITY,
        request_id=str(scheduled),
        suggest_continue_as_new=suggests_new_run,
        target_worker_deployment_version_changed=outdated,
        history_size_bytes=size,
    )


def turn_completed(
    scheduled: int, began: int, flags: Sequence[int]
) -> events.WorkflowTaskCompletedEventAttributes:
    return events.WorkflowTaskCompletedEventAttributes(
        scheduled_event_id=scheduled,
        started_event_id=began,
        identity=IDENTITY,
        sdk_metadata=WorkflowTaskCompletedMetadata(lang_used_flags=flags),
    )


def timer_started(asked: StartTimer, turn: int) -> events.TimerStartedEventAttributes:
    return events.TimerStartedEventAttributes(
        timer_id=str(asked.seq),
        start_to_fire_timeout=asked.start_to_fire_timeout,
        workflow_task_completed_event_id=turn,
    )


def timer_fired(seq: int, began: int) -> events.TimerFiredEventAttributes:
    return events.TimerFiredEventAttributes(timer_id=str(seq), started_event_id=began)


def timer_canceled(seq: int, began: int, turn: int) -> events.TimerCanceledEventAttributes:
    return events.TimerCanceledEventAttributes(
        timer_id=str(seq),
        started_event_id=began,
        workflow_task_completed_event_id=turn,
        identity=IDENTITY,
    )


def signaled(signal: SignalWorkflow) -> events.WorkflowExecutionSignaledEventAttributes:
    return events.WorkflowExecutionSignaledEventAttributes(
        signal_name=signal.signal_name,
        input=Payloads(payloads=signal.input),
        identity=signal.identity,
    )


def update_accepted(
    update: DoUpdate, turn_scheduled_at: int
) -> events.WorkflowExecutionUpdateAcceptedEventAttributes:
    return events.WorkflowExecutionUpdateAcceptedEventAttributes(
        protocol_instance_id=update.protocol_instance_id,
        accepted_request_message_id=f"{update.protocol_instance_id}/request",
        accepted_request_sequencing_event_id=turn_scheduled_at,
        accepted_request=Request(
            meta=update.meta,
            input=Input(name=update.name, args=Payloads(payloads=update.input)),
        ),
    )


def update_completed(
    update: DoUpdate, accepted: int, outcome: Payload | Failure
) -> events.WorkflowExecutionUpdateCompletedEventAttributes:
    return events.WorkflowExecutionUpdateCompletedEventAttributes(
        meta=Meta(update_id=update.id, identity=IDENTITY),
        accepted_event_id=accepted,
        outcome=(
            Outcome(failure=outcome)
            if isinstance(outcome, Failure)
            else Outcome(success=Payloads(payloads=[outcome]))
        ),
    )


def execution(workflow_id: str, run_id: str) -> WorkflowExecution:
    return WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
