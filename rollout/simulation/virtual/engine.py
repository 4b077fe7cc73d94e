"""The engine: workflows side by side, and a clock that jumps from one thing to the next."""

import asyncio
import random
from collections.abc import Callable, Iterable
from datetime import datetime
from types import TracebackType
from typing import Self, TypeVar
from uuid import UUID

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.api.update.v1 import Meta
from temporalio.bridge.proto.workflow_activation import DoUpdate, SignalWorkflow
from temporalio.bridge.proto.workflow_commands import ScheduleActivity

from controlplane.payloads import data_converter
from rollout.simulation.virtual.activities import Activities, Activity, failure_of
from rollout.simulation.virtual.agenda import Agenda
from rollout.simulation.virtual.beginning import IDENTITY, Beginning
from rollout.simulation.virtual.history import History
from rollout.simulation.virtual.instance import Instance
from rollout.simulation.virtual.run import Run

T = TypeVar("T")


class Update:
    """The answer to an update, once it is there."""

    def __init__(self) -> None:
        self._outcome: Payload | Failure | None = None

    @property
    def is_answered(self) -> bool:
        return self._outcome is not None

    def answer(self, outcome: Payload | Failure) -> None:
        self._outcome = outcome

    def result(self, of_type: type[T]) -> T:
        """Return the answer, or raise the refusal."""
        assert self._outcome is not None, "nobody has answered yet"
        if isinstance(self._outcome, Failure):
            raise data_converter.failure_converter.from_failure(
                self._outcome, data_converter.payload_converter
            )
        [result] = data_converter.payload_converter.from_payloads([self._outcome], [of_type])
        assert isinstance(result, of_type)
        return result


class Engine:
    """Runs the code of workflows and activities as an engine and its workers do, in virtual time.

    The SDK itself runs the workflows; every value goes through the payload converter; activities
    are tried again by their retry policies. One seed makes one course of events. There is one task
    queue, activities take no time but a moment, and there are no timeouts, cancellations, queries,
    local activities and searches: whoever asks for one of these is refused. Not for use inside a
    running event loop.
    """

    def __init__(
        self,
        workflows: Iterable[type],
        *,
        began_at: datetime,
        seed: int = 1,
        keeps_histories: bool = False,
    ) -> None:
        self.agenda = Agenda(began_at, seed)
        self.runs: dict[str, list[Run]] = {}
        """By workflow id, the latest last."""
        self._workflows = {_name(each): each for each in workflows}
        self._activities = Activities()
        self._keeps_histories = keeps_histories
        self._chance = random.Random(seed)  # noqa: S311 - no secret comes of it.
        self._loop = asyncio.new_event_loop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _where: TracebackType | None,
    ) -> None:
        for runs in self.runs.values():
            runs[-1].instance.end()
        self._loop.close()

    @property
    def now(self) -> datetime:
        return self.agenda.now

    def offer(self, activities: Iterable[Activity]) -> None:
        """Let workflows have these activities done."""
        self._activities.add(activities)

    def start(self, of: type, workflow_id: str, argument: object) -> bool:
        """Start a workflow; return False when it is under way."""
        run_id = self.new_run_id()
        return self.begin(
            Beginning(
                workflow_type=_name(of),
                workflow_id=workflow_id,
                run_id=run_id,
                at=self.now,
                arguments=(data_converter.payload_converter.to_payload(argument),),
                first_run_id=run_id,
            )
        )

    def update(self, workflow_id: str, name: str, argument: object) -> Update:
        """Send an update, to be answered as things go on."""
        update, run = Update(), self._under_way(workflow_id)
        if run is None:
            update.answer(failure_of(LookupError(f"{workflow_id} is not under way")))
            return update
        id = self.new_run_id()
        request = DoUpdate(
            id=id,
            protocol_instance_id=id,
            name=name,
            input=[data_converter.payload_converter.to_payload(argument)],
            meta=Meta(update_id=id, identity=IDENTITY),
            run_validator=True,
        )
        run.update(request, update.answer)
        return update

    def is_under_way(self, workflow_id: str) -> bool:
        return self._under_way(workflow_id) is not None

    def terminate(self, workflow_id: str, reason: str) -> None:
        run = self._under_way(workflow_id)
        if run is not None:
            run.terminate(reason)

    def go_on(self, until: datetime, stop: Callable[[], bool] = lambda: False) -> None:
        """Let happen what is due, until then or until it is so."""
        while not stop():
            at = self.agenda.next_at
            if at is None or at > until:
                self.agenda.now = max(self.now, until)
                return
            self.agenda.step()

    def forget(self) -> None:
        """Stop all workers: the next ones know nothing but the histories."""
        for runs in self.runs.values():
            runs[-1].instance.forget()

    def deploy(self) -> None:
        """Replace all workers by those of a newer version: runs hear of it in their next turn."""
        self.forget()
        for runs in self.runs.values():
            runs[-1].is_outdated = True

    def do(self, asked: ScheduleActivity) -> Payload:
        """Do an activity: for the runs."""
        return self._activities.do(asked.activity_type, asked.arguments)

    def new_run_id(self) -> str:
        return str(UUID(int=self._chance.getrandbits(128), version=4))

    def begin(self, beginning: Beginning) -> bool:
        """Begin a run, unless one of its workflow is under way."""
        if self.is_under_way(beginning.workflow_id):
            return False
        instance = Instance(
            self._workflows[beginning.workflow_type],
            beginning,
            self._loop,
            remembers=self._keeps_histories,
        )
        run = Run(beginning, instance, History(kept=self._keeps_histories), self)
        self.runs.setdefault(beginning.workflow_id, []).append(run)
        return True

    def signal(self, workflow_id: str, signal: SignalWorkflow) -> bool:
        """Signal a workflow; return False when it is not under way."""
        run = self._under_way(workflow_id)
        if run is None:
            return False
        run.signal(signal)
        return True

    def _under_way(self, workflow_id: str) -> Run | None:
        runs = self.runs.get(workflow_id)
        return runs[-1] if runs and not runs[-1].has_ended else None


def _name(of: type) -> str:
    name = workflow._Definition.must_from_class(of).name
    assert name is not None, "a workflow for all names is not simulated"
    return name
