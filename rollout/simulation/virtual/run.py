"""One run of a workflow, as its server has it: what it hears, what it asks for, what is noted."""

from collections.abc import Callable, Sequence
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
from temporalio.bridge.proto.workflow_activation import (
    DoUpdate,
    WorkflowActivation,
    WorkflowActivationJob,
)
from temporalio.bridge.proto.workflow_commands import (
    ContinueAsNewWorkflowExecution,
    ScheduleActivity,
    SignalExternalWorkflowExecution,
    StartChildWorkflowExecution,
    StartTimer,
    UpdateResponse,
    WorkflowCommand,
)

from rollout.simulation.virtual import notes
from rollout.simulation.virtual.activities import failure_of, pause_after
from rollout.simulation.virtual.agenda import Agenda
from rollout.simulation.virtual.beginning import IDENTITY, Beginning
from rollout.simulation.virtual.history import History
from rollout.simulation.virtual.instance import Instance, initialize

SUGGEST_NEW_RUN_FROM = 4096
"""Events, and below bytes: what a server does by default."""
SUGGEST_NEW_RUN_FROM_SIZE = 4 * 1024 * 1024

Answer = Callable[[Payload | Failure], None]


class NotSimulated(Exception):
    """A workflow asks for what this engine cannot do."""


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


class Run:
    """Hears of things as they happen, and takes a turn when there is something new."""

    def __init__(
        self, beginning: Beginning, instance: Instance, history: History, others: Others
    ) -> None:
        self.beginning, self.instance, self.history = beginning, instance, history
        self.has_ended = False
        self.is_outdated = False
        """There is a newer version of its code."""
        self._others = others
        self._heard: list[WorkflowActivationJob] = []
        self._flags: set[int] = set()
        self._timers: dict[int, int] = {}
        """By number, the event with which it began; so the next."""
        self._activities: dict[int, int] = {}
        self._children: dict[int, int] = {}
        self._updates: dict[str, tuple[DoUpdate, Answer]] = {}
        """Those that wait for an answer, by protocol instance."""
        self._accepted: dict[str, int] = {}
        """Of those, the event with which they were."""
        self._hear(initialize(beginning), notes.started(beginning))

    def signal(self, signal: jobs.SignalWorkflow) -> None:
        # Its event is the next.
        signal.originating_event_id = self.history.length + 1
        self._hear(WorkflowActivationJob(signal_workflow=signal), notes.signaled(signal))

    def update(self, update: DoUpdate, answer: Answer) -> None:
        self._updates[update.protocol_instance_id] = (update, answer)
        self._hear(WorkflowActivationJob(do_update=update))

    def terminate(self, reason: str) -> None:
        self._end(notes.terminated(reason), failure_of(RuntimeError(reason)))

    def stir(self) -> None:
        """Let it take a turn though it has heard nothing."""
        self._others.agenda.at_once(self._take_turn)

    def _hear(self, job: WorkflowActivationJob, event: Message | None = None) -> int:
        noted = 0 if event is None else self._note(event)
        if not self._heard:
            self.stir()
        self._heard.append(job)
        return noted

    def _note(self, event: Message) -> int:
        return self.history.add(self._others.agenda.now, event)

    def _take_turn(self) -> None:
        if self.has_ended:
            return
        heard, self._heard = self._heard, []
        history = self.history
        suggests = (
            history.length >= SUGGEST_NEW_RUN_FROM or history.size >= SUGGEST_NEW_RUN_FROM_SIZE
        )
        activation = WorkflowActivation(
            run_id=self.beginning.run_id,
            jobs=heard,
            # With the two events that are to come.
            history_length=history.length + 2,
            history_size_bytes=history.size,
            continue_as_new_suggested=suggests,
            target_worker_deployment_version_changed=self.is_outdated,
            available_internal_flags=sorted(self._flags),
        )
        activation.timestamp.FromDatetime(self._others.agenda.now)
        completion = self.instance.activate(activation).successful
        rejected = self._rejected(completion.commands)
        if len(rejected) == len(heard) == len(completion.commands):
            # Nothing but updates that were refused: a server forgets such a task.
            for command in completion.commands:
                self._answer(command.update_response, 0)
            return
        self.instance.remember(activation, completion.commands, rejected)
        scheduled = self._note(notes.turn_scheduled())
        began = self._note(
            notes.turn_started(
                scheduled, history.size, suggests_new_run=suggests, outdated=self.is_outdated
            )
        )
        self._flags |= set(completion.used_internal_flags)
        turn = self._note(notes.turn_completed(scheduled, began, completion.used_internal_flags))
        for command in _without_idle_timers(completion.commands):
            self._obey(command, scheduled, turn)

    def _obey(self, command: WorkflowCommand, scheduled: int, turn: int) -> None:
        match command.WhichOneof("variant"):
            case "start_timer":
                self._start_timer(command.start_timer, turn)
            case "cancel_timer":
                seq = command.cancel_timer.seq
                if (began := self._timers.pop(seq, None)) is not None:
                    self._note(notes.timer_canceled(seq, began, turn))
            case "schedule_activity":
                self._schedule(command.schedule_activity, turn)
            case "start_child_workflow_execution":
                self._start_child(command.start_child_workflow_execution, turn)
            case "signal_external_workflow_execution":
                self._signal_other(command.signal_external_workflow_execution, turn)
            case "update_response":
                self._answer(command.update_response, scheduled)
            case "complete_workflow_execution":
                result = command.complete_workflow_execution.result
                self._end(notes.completed(result, turn), result)
            case "fail_workflow_execution":
                failure = command.fail_workflow_execution.failure
                self._end(notes.failed(failure, turn), failure)
            case "continue_as_new_workflow_execution":
                self._continue(command.continue_as_new_workflow_execution, turn)
            case other:
                raise NotSimulated(f"{self.beginning.workflow_id} asks for {other}")

    def _start_timer(self, asked: StartTimer, turn: int) -> None:
        began = self._timers[asked.seq] = self._note(notes.timer_started(asked, turn))

        def fire() -> None:
            if not self.has_ended and self._timers.pop(asked.seq, None) is not None:
                job = WorkflowActivationJob(fire_timer=jobs.FireTimer(seq=asked.seq))
                self._hear(job, notes.timer_fired(asked.seq, began))

        self._others.agenda.after(asked.start_to_fire_timeout.ToTimedelta(), fire)

    def _schedule(self, asked: ScheduleActivity, turn: int) -> None:
        scheduled = self._note(notes.activity_scheduled(asked, turn))
        self._others.agenda.in_a_moment(partial(self._attempt, asked, scheduled, 1))

    def _attempt(self, asked: ScheduleActivity, scheduled: int, attempt: int) -> None:
        if self.has_ended:
            return
        agenda = self._others.agenda
        try:
            result = self._others.do(asked)
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
        if not self.has_ended:
            began = self._note(notes.activity_started(scheduled, attempt))
            self._resolve(
                asked,
                ActivityResolution(completed=ActivityDone(result=result)),
                notes.activity_completed(result, scheduled, began),
            )

    def _failed(
        self, asked: ScheduleActivity, scheduled: int, attempt: int, cause: Failure
    ) -> None:
        if not self.has_ended:
            began = self._note(notes.activity_started(scheduled, attempt))
            info = ActivityFailureInfo(
                scheduled_event_id=scheduled,
                started_event_id=began,
                identity=IDENTITY,
                activity_type=ActivityType(name=asked.activity_type),
                activity_id=asked.activity_id,
                retry_state=notes.GIVEN_UP,
            )
            failure = Failure(
                message="Activity task failed", cause=cause, activity_failure_info=info
            )
            self._resolve(
                asked,
                ActivityResolution(failed=ActivityFailed(failure=failure)),
                notes.activity_failed(cause, scheduled, began),
            )

    def _resolve(self, asked: ScheduleActivity, result: ActivityResolution, event: Message) -> None:
        resolved = jobs.ResolveActivity(seq=asked.seq, result=result)
        self._hear(WorkflowActivationJob(resolve_activity=resolved), event)

    def _start_child(self, asked: StartChildWorkflowExecution, turn: int) -> None:
        asked_at = self._note(notes.child_asked_for(asked, turn))
        self._others.agenda.in_a_moment(partial(self._begin_child, asked, asked_at, turn))

    def _begin_child(self, asked: StartChildWorkflowExecution, asked_at: int, turn: int) -> None:
        """Begin a child, of which this run may not hear any more."""
        run_id = self._others.new_run_id()
        resolved = jobs.ResolveChildWorkflowExecutionStart(seq=asked.seq)
        began = 0

        def told(result: Payload | Failure) -> None:
            if not self.has_ended:
                self._child_ended(asked, run_id, asked_at, began, result)

        beginning = Beginning(
            workflow_type=asked.workflow_type,
            workflow_id=asked.workflow_id,
            run_id=run_id,
            at=self._others.agenda.now,
            arguments=tuple(asked.input),
            first_run_id=run_id,
            parent=(self.beginning.workflow_id, self.beginning.run_id),
            told=told,
        )
        has_begun = self._others.begin(beginning)
        if self.has_ended:
            return
        if has_begun:
            resolved.succeeded.run_id = run_id
            event: Message = notes.child_started(asked, asked_at, run_id)
        else:
            resolved.failed.workflow_id = asked.workflow_id
            resolved.failed.workflow_type = asked.workflow_type
            resolved.failed.cause = (
                NotStarted.START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_EXISTS
            )
            event = notes.child_not_started(asked, asked_at, turn)
        began = self._hear(
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
            event: Message = notes.child_failed(asked, run_id, result, asked_at, began)
        else:
            told = ChildWorkflowResult(completed=ChildDone(result=result))
            event = notes.child_completed(asked, run_id, result, asked_at, began)
        resolved = jobs.ResolveChildWorkflowExecution(seq=asked.seq, result=told)
        self._hear(WorkflowActivationJob(resolve_child_workflow_execution=resolved), event)

    def _signal_other(self, asked: SignalExternalWorkflowExecution, turn: int) -> None:
        asked_at = self._note(notes.signal_asked_for(asked, turn))
        self._others.agenda.in_a_moment(partial(self._send, asked, asked_at, turn))

    def _send(self, asked: SignalExternalWorkflowExecution, asked_at: int, turn: int) -> None:
        signal = jobs.SignalWorkflow(
            signal_name=asked.signal_name, input=asked.args, identity=IDENTITY
        )
        target = asked.workflow_execution.workflow_id or asked.child_workflow_id
        sent = self._others.signal(target, signal)
        if self.has_ended:
            return
        resolved = jobs.ResolveSignalExternalWorkflow(seq=asked.seq)
        if sent:
            event: Message = notes.signal_sent(asked, asked_at)
        else:
            event = notes.signal_not_sent(asked, asked_at, turn)
            resolved.failure.message = f"there is no workflow {target} to signal"
            resolved.failure.application_failure_info.CopyFrom(
                ApplicationFailureInfo(type="NotFound", non_retryable=True)
            )
            resolved.cause = notes.NOBODY_THERE
        self._hear(WorkflowActivationJob(resolve_signal_external_workflow=resolved), event)

    def _rejected(self, asked: Sequence[WorkflowCommand]) -> set[str]:
        """Return the updates that are refused before they changed anything."""
        answers = [c.update_response for c in asked if c.HasField("update_response")]
        accepted = {a.protocol_instance_id for a in answers if a.HasField("accepted")}
        refused = {a.protocol_instance_id for a in answers if a.HasField("rejected")}
        return refused - accepted - self._accepted.keys()

    def _answer(self, response: UpdateResponse, scheduled: int) -> None:
        instance = response.protocol_instance_id
        update, answer = self._updates[instance]
        if response.HasField("accepted"):
            self._accepted[instance] = self._note(notes.update_accepted(update, scheduled))
            return
        outcome = response.rejected if response.HasField("rejected") else response.completed
        accepted = self._accepted.pop(instance, None)
        if accepted is not None:
            self._note(notes.update_completed(update, accepted, outcome))
        del self._updates[instance]
        answer(outcome)

    def _continue(self, asked: ContinueAsNewWorkflowExecution, turn: int) -> None:
        run_id, before = self._others.new_run_id(), self.beginning
        workflow_type = asked.workflow_type or before.workflow_type
        self._note(notes.continued_as_new(asked, workflow_type, run_id, turn))
        self._leave()
        self._others.begin(
            Beginning(
                workflow_type=workflow_type,
                workflow_id=before.workflow_id,
                run_id=run_id,
                at=self._others.agenda.now,
                arguments=tuple(asked.arguments),
                first_run_id=before.first_run_id,
                continued_from=before.run_id,
                parent=before.parent,
                told=before.told,
            )
        )

    def _end(self, event: Message, result: Payload | Failure) -> None:
        self._note(event)
        self._leave()
        if self.beginning.told is not None:
            self.beginning.told(result)

    def _leave(self) -> None:
        self.has_ended = True
        self.instance.end()
        gone = failure_of(RuntimeError(f"{self.beginning.workflow_id} has ended"))
        for _, answer in self._updates.values():
            answer(gone)
        self._updates.clear()


def _without_idle_timers(asked: Sequence[WorkflowCommand]) -> list[WorkflowCommand]:
    """Leave out timers that are started and cancelled in one turn: a worker never asks for them."""
    started = {each.start_timer.seq for each in asked if each.HasField("start_timer")}
    idle = {each.cancel_timer.seq for each in asked if each.HasField("cancel_timer")} & started
    return [
        each
        for each in asked
        if not (each.HasField("start_timer") and each.start_timer.seq in idle)
        and not (each.HasField("cancel_timer") and each.cancel_timer.seq in idle)
    ]
