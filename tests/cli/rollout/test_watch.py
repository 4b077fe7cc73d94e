"""What `controlplane rollout watch` prints where there is no terminal to draw on."""

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console

from controlplane.cli.rollout.screen import Look
from controlplane.cli.rollout.watch import Lines, ending
from controlplane.cli.watching import JsonLines
from rollout.types import CellStatus, Event, Outcome, Phase, RolloutView
from tests.cli.rollout.views import NOW, ended, progress, rollout


def lines(looks: Sequence[RolloutView]) -> list[str]:
    written = io.StringIO()
    view = Lines(Console(file=written, soft_wrap=True))
    for each in looks:
        view.show(Look(each))
    return written.getvalue().splitlines()


def event(number: int) -> Event:
    at = NOW + timedelta(minutes=number)
    return Event(number, at, "cell done", "", cell=f"aws-c{number}")


def test_a_log_has_one_line_per_event_however_often_it_is_looked_at() -> None:
    looks = [replace(rollout(), events=(event(1),))] * 3

    assert lines([*looks, replace(rollout(), events=(event(1), event(2)))]) == [
        "2026-11-22 12:01:00  cell done aws-c1",
        "  forward",
        "2026-11-22 12:02:00  cell done aws-c2",
    ]


def test_a_log_says_how_many_events_it_has_missed() -> None:
    looks = [replace(rollout(), events=(event(n),)) for n in (1, 5)]

    assert lines(looks)[2] == "(3 more: controlplane rollout events 1.32.0 shows them)"


def test_a_log_says_when_a_rollout_needs_a_person() -> None:
    halted = replace(rollout(), phase=Phase.HALTED, message="aws-c5 failed", cells={}, events=())

    assert lines([halted, halted]) == [
        "  halted: aws-c5 failed: It waits for a person: controlplane rollout resume, retry, "
        "skip, rollback or abort"
    ]


def test_programs_get_a_line_for_each_revision(capsys: pytest.CaptureFixture[str]) -> None:
    view = JsonLines[Look](lambda look: look.rollout)
    for revision in (7, 7, 8):
        view.show(Look(replace(rollout(), revision=revision)))

    looks = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [look["revision"] for look in looks] == [7, 8]
    assert looks[0]["cells"]["aws-c0"]["status"] == "done"


def test_the_end_of_a_rollout_names_the_cells_that_stayed_behind() -> None:
    view = replace(
        ended(Outcome.SUCCEEDED_WITH_DEFERRALS),
        cells={"a": progress(CellStatus.DONE), "b": progress(CellStatus.DEFERRED)},
    )

    assert ending(view) == (
        "Rollout 1.32.0 succeeded with deferrals: 1 done, 1 deferred. Left behind: b"
    )
