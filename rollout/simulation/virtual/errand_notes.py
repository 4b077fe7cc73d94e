"""The events that a server notes of what a run has done elsewhere."""

from temporalio.api.common.v1 import ActivityType, Payload, Payloads, WorkflowExecution
from temporalio.api.common.v1 import WorkflowType as Type
from temporalio.api.enums.v1 import RetryState
from temporalio.api.enums.v1 import SignalExternalWorkflowExecutionFailedCause as NotSignaled
from temporalio.api.enums.v1 import StartChildWorkflowExecutionFailedCause as NotStarted
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import message_pb2 as events
from temporalio.bridge.proto.workflow_commands import (
    ScheduleActivity,
    SignalExternalWorkflowExecution,
    StartChildWorkflowExecution,
)

from rollout.simulation.virtual.beginning import IDENTITY, NAMESPACE
from rollout.simulation.virtual.notes import QUEUE, execution

GIVEN_UP = RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED
NOBODY_THERE = NotSignaled.Value(
    "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND"
)


def activity_scheduled(
    asked: ScheduleActivity, turn: int
) -> events.ActivityTaskScheduledEventAttributes:
    return events.ActivityTaskScheduledEventAttributes(
        activity_id=asked.activity_id,
        activity_type=ActivityType(name=asked.activity_type),
        task_queue=QUEUE,
        input=Payloads(payloads=asked.arguments),
        schedule_to_close_timeout=asked.schedule_to_close_timeout,
        schedule_to_start_timeout=asked.schedule_to_start_timeout,
        start_to_close_timeout=asked.start_to_close_timeout,
        heartbeat_timeout=asked.heartbeat_timeout,
        workflow_task_completed_event_id=turn,
        retry_policy=asked.retry_policy,
    )


def activity_started(scheduled: int, attempt: int) -> events.ActivityTaskStartedEventAttributes:
    return events.ActivityTaskStartedEventAttributes(
        scheduled_event_id=scheduled,
        identity=IDENTITY,
        request_id=str(scheduled),
        attempt=attempt,
    )


def activity_completed(
    result: Payload, scheduled: int, began: int
) -> events.ActivityTaskCompletedEventAttributes:
    return events.ActivityTaskCompletedEventAttributes(
        result=Payloads(payloads=[result]),
        scheduled_event_id=scheduled,
        started_event_id=began,
        identity=IDENTITY,
    )


def activity_failed(
    failure: Failure, scheduled: int, began: int
) -> events.ActivityTaskFailedEventAttributes:
    return events.ActivityTaskFailedEventAttributes(
        failure=failure,
        scheduled_event_id=scheduled,
        started_event_id=began,
        identity=IDENTITY,
        retry_state=GIVEN_UP,
    )


def child_asked_for(
    asked: StartChildWorkflowExecution, turn: int
) -> events.StartChildWorkflowExecutionInitiatedEventAttributes:
    return events.StartChildWorkflowExecutionInitiatedEventAttributes(
        namespace=NAMESPACE,
        workflow_id=asked.workflow_id,
        workflow_type=Type(name=asked.workflow_type),
        task_queue=QUEUE,
        input=Payloads(payloads=asked.input),
        parent_close_policy=asked.parent_close_policy,  # type: ignore[arg-type]  # the same numbers
        workflow_id_reuse_policy=asked.workflow_id_reuse_policy,
        workflow_task_completed_event_id=turn,
    )


def child_started(
    asked: StartChildWorkflowExecution, asked_at: int, run_id: str
) -> events.ChildWorkflowExecutionStartedEventAttributes:
    return events.ChildWorkflowExecutionStartedEventAttributes(
        namespace=NAMESPACE,
        initiated_event_id=asked_at,
        workflow_execution=execution(asked.workflow_id, run_id),
        workflow_type=Type(name=asked.workflow_type),
    )


def child_not_started(
    asked: StartChildWorkflowExecution, asked_at: int, turn: int
) -> events.StartChildWorkflowExecutionFailedEventAttributes:
    return events.StartChildWorkflowExecutionFailedEventAttributes(
        namespace=NAMESPACE,
        workflow_id=asked.workflow_id,
        workflow_type=Type(name=asked.workflow_type),
        cause=NotStarted.START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_EXISTS,
        initiated_event_id=asked_at,
        workflow_task_completed_event_id=turn,
    )


def child_completed(
    asked: StartChildWorkflowExecution, run_id: str, result: Payload, asked_at: int, began: int
) -> events.ChildWorkflowExecutionCompletedEventAttributes:
    return events.ChildWorkflowExecutionCompletedEventAttributes(
        result=Payloads(payloads=[result]),
        namespace=NAMESPACE,
        workflow_execution=execution(asked.workflow_id, run_id),
        workflow_type=Type(name=asked.workflow_type),
        initiated_event_id=asked_at,
        started_event_id=began,
    )


def child_failed(
    asked: StartChildWorkflowExecution, run_id: str, failure: Failure, asked_at: int, began: int
) -> events.ChildWorkflowExecutionFailedEventAttributes:
    return events.ChildWorkflowExecutionFailedEventAttributes(
        failure=failure,
        namespace=NAMESPACE,
        workflow_execution=execution(asked.workflow_id, run_id),
        workflow_type=Type(name=asked.workflow_type),
        initiated_event_id=asked_at,
        started_event_id=began,
        retry_state=RetryState.RETRY_STATE_RETRY_POLICY_NOT_SET,
    )


def signal_asked_for(
    asked: SignalExternalWorkflowExecution, turn: int
) -> events.SignalExternalWorkflowExecutionInitiatedEventAttributes:
    return events.SignalExternalWorkflowExecutionInitiatedEventAttributes(
        workflow_task_completed_event_id=turn,
        namespace=NAMESPACE,
        workflow_execution=_target(asked),
        signal_name=asked.signal_name,
        input=Payloads(payloads=asked.args),
    )


def signal_sent(
    asked: SignalExternalWorkflowExecution, asked_at: int
) -> events.ExternalWorkflowExecutionSignaledEventAttributes:
    return events.ExternalWorkflowExecutionSignaledEventAttributes(
        initiated_event_id=asked_at, namespace=NAMESPACE, workflow_execution=_target(asked)
    )


def signal_not_sent(
    asked: SignalExternalWorkflowExecution, asked_at: int, turn: int
) -> events.SignalExternalWorkflowExecutionFailedEventAttributes:
    return events.SignalExternalWorkflowExecutionFailedEventAttributes(
        cause=NOBODY_THERE,
        workflow_task_completed_event_id=turn,
        namespace=NAMESPACE,
        workflow_execution=_target(asked),
        initiated_event_id=asked_at,
    )


def _target(asked: SignalExternalWorkflowExecution) -> WorkflowExecution:
    return execution(asked.workflow_execution.workflow_id or asked.child_workflow_id, "")
