import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from controlplane.api.fleet_types import OperationDetails
from controlplane.cli.progress import DOING, UNDOING, Lines, LiveView
from provisioning.types import OperationKind, OperationState, Step, StepRecord, StepState

START = datetime(2026, 1, 1, tzinfo=UTC)
SELECTED = StepRecord(Step.SELECT_CELL, StepState.DONE, START, START + timedelta(milliseconds=40))
PUBLISHING = StepRecord(Step.PUBLISH_DNS, StepState.RUNNING, START)


def creation(*steps: StepRecord) -> OperationDetails:
    return OperationDetails(
        id="op-1",
        namespace="orders.acme1",
        kind=OperationKind.CREATE,
        state=OperationState.IN_PROGRESS,
        started_at=START,
        finished_at=None,
        failure_reason="",
        steps=steps,
    )


def lines(looks: Sequence[OperationDetails]) -> list[str]:
    """Return what a log shows after these looks at one operation."""
    written = io.StringIO()
    view = Lines(Console(file=written, soft_wrap=True), "Creating namespace orders.acme1")
    for look in looks:
        view.show(look)
    return written.getvalue().splitlines()


def screen(look: OperationDetails) -> str:
    written = io.StringIO()
    view = LiveView("Creating namespace orders.acme1")
    view.show(look)
    Console(file=written, force_terminal=True, color_system=None, width=120).print(view.render())
    return written.getvalue()


def test_a_log_has_one_line_per_ended_step_however_often_it_is_looked_at() -> None:
    looks = [creation(), *[creation(SELECTED, PUBLISHING)] * 3]

    assert lines(looks) == [
        "Creating namespace orders.acme1",
        "  ✓ Select a cell                          0.04 s",
    ]


def test_a_log_shows_why_a_step_failed_and_that_it_is_tried_again() -> None:
    ended = START + timedelta(seconds=12)
    failed = replace(
        PUBLISHING, state=StepState.FAILED, finished_at=ended, message="ns1 refuses the update"
    )
    again = replace(failed, state=StepState.RUNNING, finished_at=None)

    assert lines([creation(failed), creation(again)])[1:] == [
        "  ✗ Publish the DNS name                   12.0 s  ns1 refuses the update",
        "  … Publish the DNS name: ns1 refuses the update",
    ]


def test_what_is_undone_is_named_by_its_undoing() -> None:
    undone = replace(SELECTED, state=StepState.UNDONE)

    assert "↩ Release the cell" in lines([creation(undone)])[1]


def test_a_terminal_shows_the_running_steps_with_the_time_so_far() -> None:
    shown = screen(creation(SELECTED, replace(PUBLISHING, started_at=datetime.now(UTC))))

    assert "✓ Select a cell" in shown
    assert "Publish the DNS name" in shown
    assert "0.0" in shown.split("Publish the DNS name")[1]


@pytest.mark.parametrize("step", Step)
def test_every_step_has_words_for_its_doing_and_its_undoing(step: Step) -> None:
    assert DOING[step] != UNDOING[step]


def test_text_in_a_step_is_shown_as_it_is() -> None:
    odd = replace(PUBLISHING, message="[bold]no[/] markup [/]")

    assert "[bold]no[/] markup [/]" in screen(creation(odd))
    assert "[bold]no[/] markup [/]" in lines([creation(odd)])[1]
