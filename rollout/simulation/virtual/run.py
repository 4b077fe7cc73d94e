"""One run of a workflow, as its server has it: what it hears, what it asks for, what is noted."""

from collections.abc import Callable, Sequence

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto import workflow_activation as jobs
from temporalio.bridge.proto.workflow_activation import (
    DoUpdate,
    WorkflowActivation,
    WorkflowActivationJob,
)
from temporalio.bridge.proto.workflow_commands import (
    ContinueAsNewWorkflowExecution,
    StartTimer,
    UpdateResponse,
    WorkflowCommand,
)

from rollout.simulation.virtual import notes
from rollout.simulation.virtual.activities import NotSimulated, failure_of
from rollout.simulation.virtual.beginning import Beginning
from rollout.simulation.virtual.errands import Errands, Others
from rollout.simulation.virtual.history import History
from rollout.simulation.virtual.instance import Instance, initialize

SUGGEST_NEW_RUN_FROM = 4096
"""Events, and below bytes: what a server does by default."""
SUGGEST_NEW_RUN_FROM_SIZE = 4 * 1024 * 1024

Answer = Callable[[Payload | Failure], None]


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
        self._errands = Errands(self, others)
        self._heard: list[WorkflowActivationJob] = []
        self._flags: set[int] = set()
        self._timers: dict[int, int] = {}
        """Those that run, by number, with the event that says so."""
        self._updates: dict[str, tuple[DoUpdate, Answer]] = {}
        """Those that wait for an answer, by protocol instance."""
        self._accepted: dict[str, int] = {}
        """Of those, the event with which they were."""
        self.hear(initialize(beginning), notes.started(beginning))

    def signal(self, signal: jobs.SignalWorkflow) -> None:
        # Its event is the next.
        signal.originating_event_id = self.history.length + 1
        self.hear(WorkflowActivationJob(signal_workflow=signal), notes.signaled(signal))

    def update(self, update: DoUpdate, answer: Answer) -> None:
        self._updates[update.protocol_instance_id] = (update, answer)
        self.hear(WorkflowActivationJob(do_update=update))

    def terminate(self, reason: str) -> None:
        self._end(notes.terminated(reason), failure_of(RuntimeError(reason)))

    def hear(self, job: WorkflowActivationJob, event: Message | None = None) -> int:
        noted = 0 if event is None else self.note(event)
        if not self._heard:
            self._others.agenda.at_once(self._take_turn)
        self._heard.append(job)
        return noted

    def note(self, event: Message) -> int:
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
        scheduled = self.note(notes.turn_scheduled())
        began = self.note(
            notes.turn_started(
                scheduled, history.size, suggests_new_run=suggests, outdated=self.is_outdated
            )
        )
        self._flags |= set(completion.used_internal_flags)
        turn = self.note(notes.turn_completed(scheduled, began, completion.used_internal_flags))
        for command in _without_idle_timers(completion.commands):
            self._obey(command, scheduled, turn)

    def _obey(self, command: WorkflowCommand, scheduled: int, turn: int) -> None:
        match command.WhichOneof("variant"):
            case "start_timer":
                self._start_timer(command.start_timer, turn)
            case "cancel_timer":
                seq = command.cancel_timer.seq
                if (began := self._timers.pop(seq, None)) is not None:
                    self.note(notes.timer_canceled(seq, began, turn))
            case "schedule_activity":
                self._errands.schedule(command.schedule_activity, turn)
            case "start_child_workflow_execution":
                self._errands.start_child(command.start_child_workflow_execution, turn)
            case "signal_external_workflow_execution":
                self._errands.signal(command.signal_external_workflow_execution, turn)
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
        began = self._timers[asked.seq] = self.note(notes.timer_started(asked, turn))

        def fire() -> None:
            if not self.has_ended and self._timers.pop(asked.seq, None) is not None:
                job = WorkflowActivationJob(fire_timer=jobs.FireTimer(seq=asked.seq))
                self.hear(job, notes.timer_fired(asked.seq, began))

        self._others.agenda.after(asked.start_to_fire_timeout.ToTimedelta(), fire)

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
            self._accepted[instance] = self.note(notes.update_accepted(update, scheduled))
            return
        outcome = response.rejected if response.HasField("rejected") else response.completed
        accepted = self._accepted.pop(instance, None)
        if accepted is not None:
            self.note(notes.update_completed(update, accepted, outcome))
        del self._updates[instance]
        answer(outcome)

    def _continue(self, asked: ContinueAsNewWorkflowExecution, turn: int) -> None:
        run_id, before = self._others.new_run_id(), self.beginning
        workflow_type = asked.workflow_type or before.workflow_type
        self.note(notes.continued_as_new(asked, workflow_type, run_id, turn))
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
        self.note(event)
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
