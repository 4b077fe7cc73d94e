"""The workflow's side of a run: its code, activated as a worker does."""

import asyncio
import zlib
from collections.abc import Sequence, Set

from temporalio import workflow
from temporalio.api.common.v1 import Payloads
from temporalio.bridge.proto.workflow_activation import (
    InitializeWorkflow,
    RemoveFromCache,
    WorkflowActivation,
    WorkflowActivationJob,
)
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.common import Priority, TypedSearchAttributes
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowInstance, WorkflowInstanceDetails

from controlplane.payloads import data_converter
from rollout.simulation.virtual.beginning import (
    IDENTITY,
    NAMESPACE,
    TASK_QUEUE,
    TASK_TIMEOUT,
    Beginning,
)

_FORGET = WorkflowActivation(jobs=[WorkflowActivationJob(remove_from_cache=RemoveFromCache())])


class WorkflowTaskFailed(Exception):
    """A workflow's code raised what is no failure of the workflow: a worker would try for ever."""


class CannotReplay(Exception):
    """The same activations lead a workflow's code to other commands than before."""


class Instance:
    """The code of a workflow in one run. What it has forgotten it is led through again."""

    def __init__(
        self, of: type, beginning: Beginning, loop: asyncio.AbstractEventLoop, *, remembers: bool
    ) -> None:
        self._of, self._beginning, self._loop = of, beginning, loop
        self._remembers = remembers
        self._past: list[tuple[WorkflowActivation, list[WorkflowCommand]]] = []
        self._present: WorkflowInstance | None = None

    def activate(self, activation: WorkflowActivation) -> WorkflowActivationCompletion:
        """Let the code react; raise WorkflowTaskFailed when it cannot."""
        if self._present is None:
            self._present = self._loop.run_until_complete(self._new())
            self._replay(self._present)
        completion = self._present.activate(activation)
        if completion.HasField("failed"):
            failure = completion.failed.failure
            raise WorkflowTaskFailed(
                f"{self._beginning.workflow_id}: {failure.message}\n{failure.stack_trace}"
            )
        return completion

    def remember(
        self,
        activation: WorkflowActivation,
        commands: Sequence[WorkflowCommand],
        rejected: Set[str],
    ) -> None:
        """Keep what happened, for when it is forgotten; of rejected updates a history has nothing.

        Updates are known by their protocol instance ids.
        """
        if not self._remembers:
            return
        happened = WorkflowActivation()
        happened.CopyFrom(activation)
        happened.is_replaying = True
        del happened.jobs[:]
        for job in activation.jobs:
            if job.do_update.protocol_instance_id not in rejected or not job.HasField("do_update"):
                happened.jobs.append(job)
        for job in happened.jobs:
            if job.HasField("do_update"):
                job.do_update.run_validator = False
        kept = [c for c in commands if c.update_response.protocol_instance_id not in rejected]
        self._past.append((happened, kept))

    def forget(self) -> None:
        """Let go of the code's state, as a worker does that stops."""
        if self._present is not None:
            self._present.activate(_FORGET)
            self._present = None

    def end(self) -> None:
        """Let go of everything: there are no more turns."""
        self.forget()
        self._past.clear()

    def _replay(self, present: WorkflowInstance) -> None:
        for activation, before in self._past:
            commands = list(present.activate(activation).successful.commands)
            if commands != before:
                raise CannotReplay(
                    f"{self._beginning.workflow_id} at {activation.timestamp.ToJsonString()}: "
                    f"{commands} where it was {before}"
                )

    async def _new(self) -> WorkflowInstance:
        # The one name that the SDK does not make public: only a worker looks it up elsewhere.
        definition = workflow._Definition.must_from_class(self._of)
        details = WorkflowInstanceDetails(
            payload_converter_factory=lambda: data_converter.payload_converter,
            failure_converter_class=data_converter.failure_converter_class,
            interceptor_classes=(),
            defn=definition,
            info=_info(self._beginning),
            randomness_seed=_seed(self._beginning),
            extern_functions={},
            disable_eager_activity_execution=True,
            worker_level_failure_exception_types=(),
            patch_activation_callback=None,
            last_completion_result=Payloads(),
            last_failure=None,
        )
        return UnsandboxedWorkflowRunner().create_instance(details)


def initialize(beginning: Beginning) -> WorkflowActivationJob:
    """Return the first job of every run."""
    init = InitializeWorkflow(
        workflow_type=beginning.workflow_type,
        workflow_id=beginning.workflow_id,
        arguments=beginning.arguments,
        randomness_seed=_seed(beginning),
        identity=IDENTITY,
        continued_from_execution_run_id=beginning.continued_from,
        first_execution_run_id=beginning.first_run_id,
        original_execution_run_id=beginning.run_id,
        attempt=1,
    )
    init.start_time.FromDatetime(beginning.at)
    init.workflow_task_timeout.FromTimedelta(TASK_TIMEOUT)
    return WorkflowActivationJob(initialize_workflow=init)


def _info(beginning: Beginning) -> workflow.Info:
    parent = None
    if beginning.parent is not None:
        workflow_id, run_id = beginning.parent
        parent = workflow.ParentInfo(NAMESPACE, run_id=run_id, workflow_id=workflow_id)
    return workflow.Info(
        attempt=1,
        continued_run_id=beginning.continued_from or None,
        cron_schedule=None,
        execution_timeout=None,
        first_execution_run_id=beginning.first_run_id,
        headers={},
        namespace=NAMESPACE,
        original_execution_run_id=beginning.run_id,
        parent=parent,
        root=None,
        priority=Priority.default,
        raw_memo={},
        retry_policy=None,
        run_id=beginning.run_id,
        run_timeout=None,
        search_attributes={},
        start_time=beginning.at,
        task_queue=TASK_QUEUE,
        task_timeout=TASK_TIMEOUT,
        typed_search_attributes=TypedSearchAttributes([]),
        workflow_id=beginning.workflow_id,
        workflow_start_time=beginning.at,
        workflow_type=beginning.workflow_type,
    )


def _seed(beginning: Beginning) -> int:
    return zlib.crc32(beginning.run_id.encode())
