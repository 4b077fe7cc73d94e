"""What a release has baked counts for the patch of it: in part, and only if it is one."""

from dataclasses import replace
from datetime import timedelta

import pytest

from cells.release import Release, SchemaStep
from rollout.gates import Verdict
from rollout.plan import new_state, view
from rollout.planning.patches import head_starts, patch_credit
from rollout.policy import RingPolicy, RolloutPolicy, check_policy
from rollout.types import ControlKind, Outcome, Phase, RolloutView, StartRollout
from tests.rollout.rollouts import HOUR, NEW, QUICK, RELEASE, World, cell, rollout, world

PATCH = Release("r-1.31-patch", server_version="1.31.3", patch_of=RELEASE.name)
HALVED = replace(
    QUICK,
    rings=(
        RingPolicy(0, ("1", "all"), HOUR, 4 * HOUR),
        RingPolicy(1, ("1", "all"), HOUR, 4 * HOUR, patch_credit="50%"),
    ),
)
SERVERS = {"servers": ("1.30.2", NEW, "1.31.3")}


def brought(until_ring: int | None = None) -> RolloutView:
    """Return a rollout of the release that is corrected: through, or at work in a ring's bake."""
    made = world(cell("a0"), cell("b0", 1), state=rollout(HALVED))
    if until_ring is None:
        made.run()
    else:
        made.run(
            until=lambda: (
                (ring := made.state.rings.get(until_ring)) is not None
                and ring.bakes_ring
                and ring.bake is not None
                and ring.bake.credit >= HOUR
            )
        )
    return view(made.state, made.latest, made.fleet, made.now)


def of_the_patch(policy: RolloutPolicy = HALVED, corrected: RolloutView | None = None) -> World:
    credit = patch_credit(PATCH, RELEASE, corrected or brought())
    state = new_state(StartRollout("r2", PATCH, policy, "ann", "cve", patch_credit=credit))
    state.phase = Phase.FORWARD
    cells = (cell("a0", server_version=NEW), cell("b0", 1, server_version=NEW))
    return world(*cells, state=state, rest=SERVERS)


def test_half_of_a_ring_s_bake_is_credited_where_the_policy_says_so() -> None:
    made = of_the_patch()
    made.run(until=lambda: 1 in made.state.rings and made.state.rings[1].bakes_ring)

    first, second = made.state.rings[0].bake, made.state.rings[1].bake
    assert first is not None
    assert second is not None
    assert (first.inherited, second.inherited) == (timedelta(0), 2 * HOUR)
    assert second.credit == 2 * HOUR
    (told,) = [e.message for e in made.state.events if "count from" in e.message]
    assert told == f"ring 1: 4:00:00 of green evidence, of which 2:00:00 count from {RELEASE.name}"
    began = made.now
    made.run()
    assert made.state.outcome is Outcome.SUCCEEDED
    assert 2 * HOUR <= made.now - began < 3 * HOUR


def test_an_estimate_knows_what_is_credited_from_the_start() -> None:
    made, plain = of_the_patch(), of_the_patch()
    plain.state.patch_credit = None
    for each in (made, plain):
        each.plan()

    ends = [view(w.state, w.latest, w.fleet, w.now).eta_p50 for w in (made, plain)]

    assert ends[0] is not None
    assert ends[1] is not None
    assert ends[1] - ends[0] == 2 * HOUR


def test_no_more_is_credited_than_was_baked() -> None:
    at_work = brought(until_ring=1)
    seen = at_work.rings[1].bake
    assert seen is not None

    made = of_the_patch(corrected=at_work)

    assert head_starts(made.state) == {1: min(seen.credit, 2 * HOUR)}


def test_what_failed_its_bake_counts_for_nothing_in_that_ring() -> None:
    at_work = brought(until_ring=1)
    bake = at_work.rings[1].bake
    assert bake is not None
    at_work.rings[1].bake = replace(bake, credit=timedelta(0), verdict=Verdict.FAIL)

    assert head_starts(of_the_patch(corrected=at_work).state) == {}


def test_a_patch_that_fails_loses_what_it_was_given() -> None:
    made = of_the_patch()
    made.run(until=lambda: 1 in made.state.rings and made.state.rings[1].bakes_ring)
    made.judge = lambda _: Verdict.FAIL

    made.plan()
    made.pass_time(HOUR / 6)
    made.plan()

    bake = made.state.rings[1].bake
    assert bake is not None
    assert (bake.credit, bake.inherited) == (timedelta(0), timedelta(0))
    assert made.state.phase is Phase.HALTED
    assert made.control(ControlKind.RESUME) is None
    assert made.state.rings[1].bake is not None
    assert made.state.rings[1].bake.credit == timedelta(0)


@pytest.mark.parametrize(
    ("patch", "told"),
    [
        (replace(PATCH, server_version="1.32.0"), "another minor version"),
        (replace(PATCH, configuration={"limit": 1}), "changes the configuration"),
        (replace(PATCH, ingress_version="2"), "changes the ingress"),
        (replace(PATCH, schema_steps=(SchemaStep("main", "1.19"),)), "changes the schema"),
        (replace(PATCH, server_version="", configuration={"l": 1}), "changes the configuration"),
    ],
    ids=["minor", "configuration", "ingress", "schema", "no server"],
)
def test_what_is_more_than_a_patch_gets_nothing_and_is_told_why(patch: Release, told: str) -> None:
    credit = patch_credit(patch, RELEASE, brought())

    assert told in credit.refused
    assert credit.rings == {}


def test_a_release_that_was_never_rolled_out_has_nothing_to_give() -> None:
    credit = patch_credit(PATCH, RELEASE, None)

    assert credit.refused == f"{RELEASE.name} was never rolled out, and has baked nowhere"


def test_what_was_given_is_not_given_on() -> None:
    made = of_the_patch()
    made.run(until=lambda: 1 in made.state.rings and made.state.rings[1].bakes_ring)
    newer = replace(PATCH, name="r-newer", server_version="1.31.4", patch_of=PATCH.name)

    credit = patch_credit(newer, PATCH, view(made.state, made.latest, made.fleet, made.now))

    assert 1 not in credit.rings
    assert credit.rings[0] == 4 * HOUR


@pytest.mark.parametrize("share", ["51%", "2", "all", "-1%"], ids=str)
def test_more_than_half_of_a_bake_cannot_be_given(share: str) -> None:
    rings = (replace(HALVED.rings[0], patch_credit=share),)

    with pytest.raises(ValueError, match=r"ring 0: patch_credit is .* from 0% to 50%"):
        check_policy(replace(HALVED, rings=rings))
