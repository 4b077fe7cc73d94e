"""What is said of a namespace while it is worked on: operations, their steps, its condition. Pure.

Everything here changes the entity's state and nothing else; what to do is decided elsewhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from controlplane.resource import Condition, ConditionStatus, set_condition
from provisioning.types import (
    NamespaceCondition,
    NamespaceSpec,
    NamespaceState,
    NamespaceView,
    Operation,
    OperationKind,
    OperationState,
    Step,
    StepRecord,
    StepState,
)

OPERATIONS_KEPT = 10


@dataclass(frozen=True)
class Failure:
    """Why a step failed, and whether trying again can help."""

    step: Step
    message: str
    is_permanent: bool

    def __str__(self) -> str:
        return f"{self.step}: {self.message}"


@dataclass(frozen=True)
class Journal:
    """Writes into the state of one namespace; every entry raises its revision."""

    state: NamespaceState

    def touch(self) -> None:
        self.state.revision += 1

    def knows(self, operation: str) -> bool:
        return any(known.id == operation for known in self.state.operations)

    def open(self, operation: str, kind: OperationKind, now: datetime) -> None:
        opened = Operation(operation, kind, OperationState.PENDING, now)
        self.state.operations = [*self.state.operations, opened][-OPERATIONS_KEPT:]
        self.touch()

    def close(
        self, kind: OperationKind, state: OperationState, now: datetime, reason: str = ""
    ) -> None:
        """Close the open operations of one kind."""
        self.state.operations = [
            closed(op, state, now, reason) if op.kind == kind and is_open(op) else op
            for op in self.state.operations
        ]
        self.touch()

    def current(self) -> str | None:
        """Return the operation that steps are taken for; renewals and repairs have none."""
        operations = self.state.operations
        return operations[-1].id if operations and is_open(operations[-1]) else None

    def note(self, operation: str | None, change: Callable[[Operation], Operation]) -> None:
        """Change one operation, if there is one to change."""
        self.state.operations = [
            change(op) if op.id == operation else op for op in self.state.operations
        ]
        self.touch()

    def report_ready(self, now: datetime) -> None:
        self._report(ConditionStatus.TRUE, "Proven", now)

    def report_failure(self, failures: Sequence[Failure], now: datetime) -> None:
        message = "; ".join(str(failure) for failure in failures)
        self._report(ConditionStatus.FALSE, "StepFailed", now, message)

    def view(self, spec: NamespaceSpec, created_at: datetime) -> NamespaceView:
        """Return what others see."""
        state = self.state
        return NamespaceView(
            id=state.id,
            uid=state.uid,
            spec=spec,
            generation=state.generation,
            revision=state.revision,
            life=state.life,
            created_at=created_at,
            modified_at=state.modified_at,
            observed=state.observed,
            conditions=state.conditions,
            operations=tuple(state.operations),
        )

    def _report(
        self, status: ConditionStatus, reason: str, now: datetime, message: str = ""
    ) -> None:
        ready = Condition(
            type=NamespaceCondition.READY,
            status=status,
            reason=reason,
            observed_generation=self.state.generation,
            last_transition_time=now,
            message=message,
        )
        conditions = set_condition(self.state.conditions, ready)
        if conditions != self.state.conditions:
            self.state.conditions = conditions
            self.touch()


FINISHED = (OperationState.FULFILLED, OperationState.FAILED, OperationState.CANCELLED)


def is_open(operation: Operation) -> bool:
    return operation.state not in FINISHED


def began(operation: Operation, step: Step, state: StepState, now: datetime) -> Operation:
    """Note that the step, or its undoing, is under way; a step tried again keeps its start."""
    earlier = next((s for s in operation.steps if s.step == step), None)
    if earlier is not None and (earlier.state, state) == (StepState.FAILED, StepState.RUNNING):
        record = replace(earlier, state=state, finished_at=None)
    else:
        message = "" if earlier is None else earlier.message
        record = StepRecord(step, state, started_at=now, message=message)
    return replace(_with(operation, record), state=OperationState.IN_PROGRESS)


def ended(
    operation: Operation, step: Step, state: StepState, now: datetime, message: str = ""
) -> Operation:
    """Note how the step ended."""
    earlier = next(s for s in operation.steps if s.step == step)
    record = replace(earlier, state=state, finished_at=now, message=message or earlier.message)
    return _with(operation, record)


def closed(
    operation: Operation, state: OperationState, now: datetime, reason: str = ""
) -> Operation:
    return replace(operation, state=state, finished_at=now, failure_reason=reason)


def _with(operation: Operation, record: StepRecord) -> Operation:
    steps = [record if s.step == record.step else s for s in operation.steps]
    if record not in steps:
        steps.append(record)
    return replace(operation, steps=tuple(steps))
