"""The record of an operation's steps, as a person follows it. Pure."""

from dataclasses import replace
from datetime import datetime

from provisioning.types import Operation, OperationState, Step, StepRecord, StepState

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
