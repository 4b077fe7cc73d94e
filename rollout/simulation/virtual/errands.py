"""What a run has done elsewhere: activities, children, signals. It may end before it is told."""

from functools import partial
from typing import Protocol

from google.protobuf.message import Message
from temporalio.api.common.v1 import ActivityType, Payload
from temporalio.api.failure.v1 import ActivityFailureInfo, ApplicationFailureInfo, Failure
from temporalio.bridge.proto import workflow_activation as jobs
from temporalio.bridge.proto.activity_result import ActivityResolution
from temporalio.bridge.proto.activity_result import Failure as ActivityFailed
from temporalio.bridge.proto.activity_result import Success as ActivityDone
from temporalio.bridge.proto.child_workflow import ChildWorkflowResult
from temporalio.bridge.proto.child_workflow import Failure as ChildFailed
from temporalio.bridge.proto.child_workflow import (
    StartChildWorkflowExecutionFailedCause as NotStarted,
)
from temporalio.bridge.proto.child_workflow import Success as ChildDone
from temporalio.bridge.proto.workflow_activation import WorkflowActivationJob
from temporalio.bridge.proto.workflow_commands import (
    ScheduleActivity,
    SignalExternalWorkflowExecution,
    StartChildWorkflowExecution,
)

from rollout.simulation.virtual import errand_notes
from rollout.simulation.virtual.activities import NotSimulated, failure_of, pause_after
from rollout.simulation.virtual.agenda import Agenda
from rollout.simulation.virtual.beginning import IDENTITY, Beginning


class Others(Protocol):
    """What else there is, as a run sees it."""

    agenda: Agenda

    def do(self, asked: ScheduleActivity) -> Payload:
        """Do an activity; raise what it raises."""
        ...

    def new_run_id(self) -> str: ...

    def begin(self, beginning: Beginning) -> bool:
        """Begin a run; return False when one of its workflow is under way."""
        ...

    def signal(self, workflow_id: str, signal: jobs.SignalWorkflow) -> bool:
        """Signal the run of a workflow; return False when none is under way."""
        ...


class Hearing(Protocol):
    """The run, as its errands see it."""

    beginning: Beginning
    has_ended: bool

    def hear(self, job: WorkflowActivationJob, event: Message) -> int: ...

    def note(self, event: Message) -> int: ...


class Errands:
    """What one run has done elsewhere, each after a moment and heard of after another."""

    def __init__(self, run: Hearing, others: Others) -> None:
        self._run, self._others = run, others

    def schedule(self, asked: ScheduleActivity, turn: int) -> None:
        scheduled = self._run.note(errand_notes.activity_scheduled(asked, turn))
        self._others.agenda.in_a_moment(partial(self._attempt, asked, scheduled, 1))

    def _attempt(self, asked: ScheduleActivity, scheduled: int, attempt: int) -> None:
        if self._run.has_ended:
            return
        agenda = self._others.agenda
        try:
            result = self._others.do(asked)
        except NotSimulated:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, a worker makes a failure of it.
            failure = failure_of(error)
            pause = pause_after(failure, attempt, asked.retry_policy)
            if pause is not None:
                agenda.after(pause, partial(self._attempt, asked, scheduled, attempt + 1))
            else:
                agenda.in_a_moment(partial(self._failed, asked, scheduled, attempt, failure))
        else:
            agenda.in_a_moment(partial(self._done, asked, scheduled, attempt, result))

    def _done(self, asked: ScheduleActivity, scheduled: int, attempt: int, result: Payload) -> None:
        if not self._run.has_ended:
            began = self._run.note(errand_notes.activity_started(scheduled, attempt))
            self._resolve(
                asked,
                ActivityResolution(completed=ActivityDone(result=result)),
                errand_notes.activity_completed(result, scheduled, began),
            )

    def _failed(
        self, asked: ScheduleActivity, scheduled: int, attempt: int, cause: Failure
    ) -> None:
        if not self._run.has_ended:
            began = self._run.note(errand_notes.activity_started(scheduled, attempt))
            info = ActivityFailureInfo(
                scheduled_event_id=scheduled,
                started_event_id=began,
                identity=IDENTITY,
                activity_type=ActivityType(name=asked.activity_type),
                activity_id=asked.activity_id,
                retry_state=errand_notes.GIVEN_UP,
            )
            failure = Failure(
                message="Activity task failed", cause=cause, activity_failure_info=info
            )
            self._resolve(
                asked,
                ActivityResolution(failed=ActivityFailed(failure=failure)),
                errand_notes.activity_failed(cause, scheduled, began),
            )

    def _resolve(self, asked: ScheduleActivity, result: ActivityResolution, event: Message) -> None:
        resolved = jobs.ResolveActivity(seq=asked.seq, result=result)
        self._run.hear(WorkflowActivationJob(resolve_activity=resolved), event)

    def start_child(self, asked: StartChildWorkflowExecution, turn: int) -> None:
        asked_at = self._run.note(errand_notes.child_asked_for(asked, turn))
        self._others.agenda.in_a_moment(partial(self._begin_child, asked, asked_at, turn))

    def _begin_child(self, asked: StartChildWorkflowExecution, asked_at: int, turn: int) -> None:
        """Begin a child, of which this run may not hear any more."""
        run_id = self._others.new_run_id()
        resolved = jobs.ResolveChildWorkflowExecutionStart(seq=asked.seq)
        began = 0

        def told(result: Payload | Failure) -> None:
            if not self._run.has_ended:
                self._child_ended(asked, run_id, asked_at, began, result)

        beginning = Beginning(
            workflow_type=asked.workflow_type,
            workflow_id=asked.workflow_id,
            run_id=run_id,
            at=self._others.agenda.now,
            arguments=tuple(asked.input),
            first_run_id=run_id,
            parent=(self._run.beginning.workflow_id, self._run.beginning.run_id),
            told=told,
        )
        has_begun = self._others.begin(beginning)
        if self._run.has_ended:
            return
        if has_begun:
            resolved.succeeded.run_id = run_id
            event: Message = errand_notes.child_started(asked, asked_at, run_id)
        else:
            resolved.failed.workflow_id = asked.workflow_id
            resolved.failed.workflow_type = asked.workflow_type
            resolved.failed.cause = (
                NotStarted.START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_EXISTS
            )
            event = errand_notes.child_not_started(asked, asked_at, turn)
        began = self._run.hear(
            WorkflowActivationJob(resolve_child_workflow_execution_start=resolved), event
        )

    def _child_ended(
        self,
        asked: StartChildWorkflowExecution,
        run_id: str,
        asked_at: int,
        began: int,
        result: Payload | Failure,
    ) -> None:
        if isinstance(result, Failure):
            told = ChildWorkflowResult(failed=ChildFailed(failure=result))
            event: Message = errand_notes.child_failed(asked, run_id, result, asked_at, began)
        else:
            told = ChildWorkflowResult(completed=ChildDone(result=result))
            event = errand_notes.child_completed(asked, run_id, result, asked_at, began)
        resolved = jobs.ResolveChildWorkflowExecution(seq=asked.seq, result=told)
        self._run.hear(WorkflowActivationJob(resolve_child_workflow_execution=resolved), event)

    def signal(self, asked: SignalExternalWorkflowExecution, turn: int) -> None:
        asked_at = self._run.note(errand_notes.signal_asked_for(asked, turn))
        self._others.agenda.in_a_moment(partial(self._send, asked, asked_at, turn))

    def _send(self, asked: SignalExternalWorkflowExecution, asked_at: int, turn: int) -> None:
        signal = jobs.SignalWorkflow(
            signal_name=asked.signal_name, input=asked.args, identity=IDENTITY
        )
        target = asked.workflow_execution.workflow_id or asked.child_workflow_id
        sent = self._others.signal(target, signal)
        if self._run.has_ended:
            return
        resolved = jobs.ResolveSignalExternalWorkflow(seq=asked.seq)
        if sent:
            event: Message = errand_notes.signal_sent(asked, asked_at)
        else:
            event = errand_notes.signal_not_sent(asked, asked_at, turn)
            resolved.failure.message = f"there is no workflow {target} to signal"
            resolved.failure.application_failure_info.CopyFrom(
                ApplicationFailureInfo(type="NotFound", non_retryable=True)
            )
            resolved.cause = errand_notes.NOBODY_THERE
        self._run.hear(WorkflowActivationJob(resolve_signal_external_workflow=resolved), event)
