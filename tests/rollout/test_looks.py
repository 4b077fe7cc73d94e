"""When evidence is looked at: rarely where nothing changes, and soon enough to call people."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout import bake
from rollout.gates import Evidence, Reading, Verdict
from rollout.planning import watching
from rollout.types import ControlKind, Phase
from tests.rollout.rollouts import HOUR, NOW, World, cell, world

MINUTE = timedelta(minutes=1)
WEEK = timedelta(days=7)
LEAST = timedelta(microseconds=1)


def baking(needed: timedelta = WEEK) -> World:
    """Return a rollout whose first cell is done and bakes for so long."""
    made = world(cell("a0"), cell("a1"))
    made.turn()
    made.end("a0")
    made.turn()
    made.state.rings[0].bake = bake.begin(needed, made.now)
    return made


def looked(made: World, until: datetime, see: Callable[[datetime], Verdict]) -> list[datetime]:
    """Let time pass and evidence come; return when it was looked for."""
    looks: list[datetime] = []
    while True:
        made.plan()
        made.plan()  # A halt is followed by a plan of what to do while it lasts.
        due = watching.next_look(made.state, made.latest, made.now)
        assert due is not None
        made.now = max(due, made.now)
        if made.now > until:
            made.now = until
            return looks
        for watch in watching.due(made.state, made.latest, made.fleet, made.now):
            verdict = see(made.now)
            reading = Reading("health", "a0", verdict, made.now - watch.cells.since, str(verdict))
            seen = Evidence(watch.cells.since, watch.cells.until, (reading,))
            watching.credit(made.state, watch, seen, made.now)
        looks.append(made.now)


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.CONFOUNDED], ids=str)
def test_while_all_is_bad_looks_become_rarer(verdict: Verdict) -> None:
    made = baking()

    looks = looked(made, NOW + WEEK, lambda _: verdict)

    assert (made.state.phase is Phase.HALTED) == (verdict is Verdict.FAIL)
    gaps = [later - earlier for earlier, later in pairwise(looks)]
    assert gaps == sorted(gaps)
    assert (gaps[0], gaps[-1]) == (MINUTE, made.state.policy.alert_without_data_after)
    assert len(looks) < 720


def test_a_halted_rollout_that_somebody_steers_looks_again_at_once() -> None:
    made = baking()
    looked(made, NOW + WEEK, lambda _: Verdict.FAIL)
    due = watching.next_look(made.state, made.latest, made.now)
    assert due is not None
    assert due > made.now
    made.now += 2 * MINUTE

    assert made.control(ControlKind.PAUSE) is None

    made.plan()
    assert watching.next_look(made.state, made.latest, made.now) == made.now


@settings(deadline=None, max_examples=25)
@given(
    credit=st.integers(0, 6 * 24 * 60),
    lost=st.integers(0, 1000),
    alert=st.integers(2, 120),
)
def test_people_hear_within_the_time_of_their_policy_that_evidence_is_lost(
    credit: int, lost: int, alert: int
) -> None:
    made = baking()
    made.state.policy = replace(made.state.policy, alert_without_data_after=alert * MINUTE)
    lost_at = NOW + (credit + lost) * MINUTE + LEAST
    until = lost_at + alert * MINUTE + HOUR

    looked(made, until, lambda at: Verdict.NO_DATA if at >= lost_at else Verdict.PASS)

    (told_at,) = [event.at for event in made.state.events if event.what == "no data"]
    assert told_at - lost_at <= alert * MINUTE


def test_a_week_of_good_evidence_takes_few_looks() -> None:
    made = baking()

    looks = looked(made, NOW + WEEK - MINUTE, lambda _: Verdict.PASS)

    assert len(looks) < WEEK / made.state.policy.alert_without_data_after + 50
