"""What following an evacuation shows: on a screen of any height, and line by line."""

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console

from controlplane.cli.evacuation.screen import rendered
from controlplane.cli.evacuation.watch import Lines
from controlplane.cli.watching import JsonLines
from provisioning.evacuation.types import EvacuationView, Outcome, Phase
from tests.store.replica_views import OTHER_CELL, evacuation_event, evacuation_view
from tests.store.views import CELL, NOW


def screen(view: EvacuationView, height: int = 40) -> list[str]:
    written = io.StringIO()
    console = Console(file=written, width=100)
    console.print(rendered(view, NOW + timedelta(minutes=1), height))
    return written.getvalue().splitlines()


def lines(looks: Sequence[EvacuationView]) -> list[str]:
    written = io.StringIO()
    view = Lines(Console(file=written, soft_wrap=True))
    for each in looks:
        view.show(each)
    return written.getvalue().splitlines()


def test_a_screen_has_how_far_it_is_what_moves_what_waits_and_what_stays() -> None:
    told = "\n".join(screen(evacuation_view(events=(evacuation_event(1),))))

    assert f"Evacuating {CELL} (e1): failing over" in told
    assert "1 waiting, 1 moving, 1 moved, 1 left" in told
    assert "about 1m left, by " in told
    assert f"bills.acme1 (silver): failover to {OTHER_CELL}, hand over for 1m" in told
    assert "late.acme1: 5 are under way" in told
    assert "lone.acme1: it has one replica only" in told
    assert "moved by olga: number 1" in told


def test_a_screen_says_what_a_person_has_to_do() -> None:
    paused = replace(evacuation_view(), paused_by="olga: lunch")
    asking = replace(evacuation_view(), waits_for="confirm 2 migrations")

    assert f"go on with controlplane evacuation resume {CELL}" in "\n".join(screen(paused))
    assert "It waits for a person: confirm 2 migrations" in "\n".join(screen(asking))


@pytest.mark.parametrize("height", [4, 8, 12, 20])
def test_a_screen_is_never_higher_than_its_terminal_but_for_its_heading(height: int) -> None:
    many = {f"n{n}.acme1": evacuation_view().namespaces["lone.acme1"] for n in range(50)}

    told = screen(replace(evacuation_view(), namespaces=many), height)

    assert len(told) <= max(height, 4)


def test_a_log_has_one_line_per_event_however_often_it_is_looked_at() -> None:
    looks = [evacuation_view(events=(evacuation_event(1),))] * 3
    later = evacuation_view(events=(evacuation_event(1), evacuation_event(2)))

    told = lines([*looks, later])

    assert [line for line in told if "number" in line] == [
        line for line in lines([later]) if "number" in line
    ]
    assert len(told) == 3


def test_a_log_says_how_it_is_once() -> None:
    view = replace(evacuation_view(), message="3 to go")

    assert lines([view, view]) == ["  failing over: 1 waiting, 1 moving, 1 moved, 1 left: 3 to go"]


def test_programs_get_a_line_for_each_revision(capsys: pytest.CaptureFixture[str]) -> None:
    view = JsonLines[EvacuationView](lambda look: look)
    ended = evacuation_view(revision=8, phase=Phase.ENDED, outcome=Outcome.SUCCEEDED)
    for look in (evacuation_view(revision=7), evacuation_view(revision=7), ended):
        view.show(look)

    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["revision"], each["phase"]) for each in printed] == [
        (7, "failing over"),
        (8, "ended"),
    ]
