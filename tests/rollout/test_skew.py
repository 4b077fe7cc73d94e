"""Cells that are held: how far they may fall behind, and who is told."""

from dataclasses import replace
from datetime import timedelta

import pytest

from cells.release import Release
from rollout.people import Hold
from rollout.types import CellStatus, ControlKind, Replicas, WaitCode
from tests.rollout.rollouts import HOUR, NOW, World, cell, rollout, starts, wait, world

NEXT_BUT_ONE = Release("r-1.32", server_version="1.32.0")
SERVERS = {"servers": ("1.30.2", "1.31.2", "1.32.0")}


def two_ahead(**rest: object) -> World:
    """Return a fleet with 1.31, but for one cell with 1.30, and a rollout of 1.32."""
    there = [cell(name, server_version="1.31.2") for name in ("a0", "a2")]
    return world(
        there[0],
        cell("a1"),
        there[1],
        state=rollout(release=NEXT_BUT_ONE),
        rest=SERVERS,
        **rest,
    )


def test_a_cell_that_is_held_one_minor_version_behind_is_warned_of() -> None:
    made = world(cell("a0"), cell("a1"))
    made.plan()

    assert made.control(ControlKind.HOLD, cell="a1") is None

    plan = made.turn()
    assert starts(plan) == ["a0"]
    waiting = wait(plan, "a1")
    assert waiting.code is WaitCode.HELD
    assert "it stays a minor version behind 1.31.2, and no release of a later one" in (
        waiting.message
    )


def test_a_cell_that_would_be_two_minor_versions_behind_is_not_held() -> None:
    made = two_ahead(replicas=(Replicas("n", "a1", ("a2",)),))
    made.plan()

    refused = made.control(ControlKind.HOLD, cell="a1")

    assert refused is not None
    assert "a1 has 1.30.2: held, it would be 2 minor versions behind 1.32.0" in refused
    assert "shares namespaces with a2" in refused
    assert made.control(ControlKind.HOLD, cell="a0") is None


@pytest.mark.parametrize("until", [None, NOW + HOUR], ids=["for good", "for an hour"])
def test_a_release_does_not_leave_a_cell_that_is_held_two_minor_versions_behind(
    until: object,
) -> None:
    made = two_ahead()
    made.state.holds["a1"] = Hold("bob", "their big day", until)  # type: ignore[arg-type]

    plan = made.turn()

    assert starts(plan) == []
    assert {each.code for each in plan.waits} == {WaitCode.SKEW}
    assert "bob holds a1 (their big day), which has 1.30.2" in plan.blocked
    assert "unhold it, or roll out a release in between first" in plan.blocked
    assert made.control(ControlKind.UNHOLD, cell="a1") is None
    assert starts(made.turn()) == ["a0"]


def test_a_hold_that_expired_keeps_nobody_back() -> None:
    made = two_ahead()
    made.state.holds["a1"] = Hold("bob", "their big day", NOW)

    assert starts(made.turn()) == ["a0"]


def test_a_bake_goes_on_while_a_hold_stops_the_release() -> None:
    made = two_ahead()
    made.turn()
    made.end("a0")
    made.turn()
    made.state.holds["a1"] = Hold("bob", "their big day", None)

    plan = made.turn()

    assert plan.watch == ("a0",)
    assert plan.blocked
    made.pass_time(timedelta(minutes=30))
    assert made.state.rings[0].bake is not None
    assert made.state.rings[0].bake.credit == timedelta(minutes=30)


def test_configuration_leaves_no_cell_behind() -> None:
    made = world(
        cell("a0"), cell("a1"), state=rollout(release=Release("c", configuration={"limit": 1}))
    )
    made.plan()

    assert made.control(ControlKind.HOLD, cell="a1") is None

    assert "behind" not in wait(made.turn(), "a1").message
    assert made.state.cells["a1"].status is CellStatus.DEFERRED


def test_what_a_held_cell_has_may_be_newer_or_unreadable() -> None:
    made = world(cell("a0"), cell("a1", server_version="1.33.0"), cell("a2", server_version="?"))
    made.plan()
    made.cells["a3"] = replace(cell("a3"), server_version="2.0.0")

    for held in ("a1", "a2"):
        assert made.control(ControlKind.HOLD, cell=held) is None
