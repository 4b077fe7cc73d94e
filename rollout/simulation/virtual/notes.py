"""The events that a server notes of what a run hears and asks for."""

from collections.abc import Sequence

from temporalio.api.common.v1 import ActivityType, Payload, Payloads, WorkflowExecution
from temporalio.api.common.v1 import WorkflowType as Type
from temporalio.api.enums.v1 import (
    ContinueAsNewInitiator,
    RetryState,
)
from temporalio.api.enums.v1 import SignalExternalWorkflowExecutionFailedCause as NotSignaled
from temporalio.api.enums.v1 import StartChildWorkflowExecutionFailedCause as NotStarted
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import message_pb2 as events
from temporalio.api.sdk.v1 import WorkflowTaskCompletedMetadata
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.update.v1 import Input, Meta, Outcome, Request
from temporalio.bridge.proto.workflow_activation import DoUpdate, SignalWorkflow
from temporalio.bridge.proto.workflow_commands import (
    ContinueAsNewWorkflowExecution,
    ScheduleActivity,
    SignalExternalWorkflowExecution,
    StartChildWorkflowExecution,
    StartTimer,
)

from rollout.simulation.virtual.beginning import (
    IDENTITY,
    NAMESPACE,
    TASK_QUEUE,
    TASK_TIMEOUT,
    Beginning,
)

_QUEUE = TaskQueue(name=TASK_QUEUE)


def started(beginning: Beginning) -> events.WorkflowExecutionStartedEventAttributes:
    noted = events.WorkflowExecutionStartedEventAttributes(
        workflow_type=Type(name=beginning.workflow_type),
        workflow_id=beginning.workflow_id,
        task_queue=_QUEUE,
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
        task_queue=_QUEUE,
        input=Payloads(payloads=asked.arguments),
        workflow_task_completed_event_id=turn,
        initiator=ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_WORKFLOW,
        initial_versioning_behavior=asked.initial_versioning_behavior,
    )


def turn_scheduled() -> events.WorkflowTaskScheduledEventAttributes:
    noted = events.WorkflowTaskScheduledEventAttributes(task_queue=_QUEUE, attempt=1)
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


def activity_scheduled(
    asked: ScheduleActivity, turn: int
) -> events.ActivityTaskScheduledEventAttributes:
    return events.ActivityTaskScheduledEventAttributes(
        activity_id=asked.activity_id,
        activity_type=ActivityType(name=asked.activity_type),
        task_queue=_QUEUE,
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


GIVEN_UP = RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED


def child_asked_for(
    asked: StartChildWorkflowExecution, turn: int
) -> events.StartChildWorkflowExecutionInitiatedEventAttributes:
    return events.StartChildWorkflowExecutionInitiatedEventAttributes(
        namespace=NAMESPACE,
        workflow_id=asked.workflow_id,
        workflow_type=Type(name=asked.workflow_type),
        task_queue=_QUEUE,
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


NOBODY_THERE = NotSignaled.Value(
    "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND"
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


def _target(asked: SignalExternalWorkflowExecution) -> WorkflowExecution:
    return execution(asked.workflow_execution.workflow_id or asked.child_workflow_id, "")
