"""What a person following an operation is told of its steps."""

from datetime import UTC, datetime, timedelta

from provisioning import journal
from provisioning.types import Operation, OperationKind, OperationState, Step, StepState

START = datetime(2026, 11, 21, tzinfo=UTC)
ASKED = Operation("op1", OperationKind.CREATE, OperationState.PENDING, START)


def at(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


def test_a_step_under_way_puts_the_operation_in_progress() -> None:
    begun = journal.began(ASKED, Step.REGISTER, StepState.RUNNING, at(1))

    assert begun.state == OperationState.IN_PROGRESS
    assert [(s.step, s.state, s.finished_at) for s in begun.steps] == [
        (Step.REGISTER, StepState.RUNNING, None)
    ]


def test_a_step_tried_again_keeps_its_start_and_the_reason_of_the_last_failure() -> None:
    operation = journal.began(ASKED, Step.REGISTER, StepState.RUNNING, at(1))
    operation = journal.ended(operation, Step.REGISTER, StepState.FAILED, at(2), "no answer")
    operation = journal.began(operation, Step.REGISTER, StepState.RUNNING, at(5))

    (step,) = operation.steps
    assert (step.started_at, step.finished_at, step.message) == (at(1), None, "no answer")


def test_an_undo_is_timed_by_itself() -> None:
    operation = journal.began(ASKED, Step.REGISTER, StepState.RUNNING, at(1))
    operation = journal.ended(operation, Step.REGISTER, StepState.DONE, at(2))
    operation = journal.began(operation, Step.REGISTER, StepState.UNDOING, at(60))
    operation = journal.ended(operation, Step.REGISTER, StepState.UNDONE, at(61))

    (step,) = operation.steps
    assert (step.state, step.started_at, step.finished_at) == (StepState.UNDONE, at(60), at(61))


def test_a_closed_operation_says_when_and_why() -> None:
    closed = journal.closed(ASKED, OperationState.FAILED, at(9), "no cell has room")

    assert journal.is_open(ASKED)
    assert not journal.is_open(closed)
    assert (closed.finished_at, closed.failure_reason) == (at(9), "no cell has room")
