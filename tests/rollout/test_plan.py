"""What a rollout may do next, as tables and laws."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from cells.release import Release
from cells.visits.types import VisitOutcome
from rollout.calendar import Blocker, Calendar, ChangeWindow, Freeze
from rollout.gates import Verdict
from rollout.policy import RingPolicy, RollbackScope, RolloutPolicy
from rollout.types import (
    CellFacts,
    CellStatus,
    ControlKind,
    Outcome,
    Phase,
    Replicas,
    WaitCode,
)
from tests.rollout.rollouts import (
    HOUR,
    MIDNIGHT,
    NOW,
    OLD,
    QUICK,
    RELEASE,
    World,
    cell,
    codes,
    ring_of,
    rollout,
    starts,
    wait,
    world,
)

WIDE = replace(
    QUICK,
    rings=(RingPolicy(0, ("1", "all"), HOUR, HOUR, tolerance="5"),),
    confounded_cells=99,
    deferral_cap="100%",
)
"""One ring in which much may be under way at once."""


def in_second_batch(*cells: CellFacts, **rest: object) -> World:
    """Return a world in which the first cell of ring 0 is done and has baked."""
    ahead = cell("0ahead")
    made = world(ahead, *cells, **{"state": rollout(WIDE), **rest})
    made.turn()
    assert made.started == [("0ahead",)]
    made.end("0ahead")
    made.plan()
    made.pass_time(HOUR)
    return made


# Rings, batches and bakes.


def test_a_rollout_goes_ring_by_ring_and_batch_by_batch_and_succeeds() -> None:
    fleet = world(*ring_of(3, 0, "a"), *ring_of(6, 1, "b"))

    fleet.run()

    assert fleet.started == [
        ("a0",),
        ("a1",),  # The tolerance of ring 0 is none: one at a time.
        ("a2",),
        ("b0",),
        ("b1", "b2"),
        ("b3", "b4"),  # The third batch is all others; the tolerance of one lets two be under way.
        ("b5",),
    ]
    assert fleet.state.outcome is Outcome.SUCCEEDED


def test_cells_of_later_rings_wait_for_the_ring_before() -> None:
    plan = world(cell("a0"), cell("b0", 1)).turn()

    assert starts(plan) == ["a0"]
    assert wait(plan, "b0").code is WaitCode.RING


def test_a_ring_without_cells_is_passed_over() -> None:
    assert starts(world(cell("a0", 3), cell("a1", 5)).turn()) == ["a0"]


@pytest.mark.parametrize(
    ("batches", "size", "expected"),
    [
        (("1", "3"), 8, [1, 3, 3, 1]),
        (("1", "25%", "all"), 10, [1, 2, 7]),
        (("50%",), 9, [1, 4, 4]),  # One first, whatever is written.
        (("1", "10%"), 5, [1, 1, 1, 1, 1]),  # Ten percent of five is one, not none.
        (("1", "99%"), 2, [1, 1]),
    ],
    ids=str,
)
def test_batches_have_their_sizes(batches: tuple[str, ...], size: int, expected: list[int]) -> None:
    rings = (RingPolicy(0, batches, timedelta(0), timedelta(0), tolerance="100"),)
    fleet = world(*ring_of(size), state=rollout(replace(QUICK, rings=rings)))

    fleet.run()

    assert [len(batch) for batch in fleet.started] == expected


def test_early_batches_mix_providers_and_regions_and_begin_where_least_is_at_stake() -> None:
    cells = [
        cell("a1", namespaces=9),
        cell("a2", namespaces=1),
        cell("b1", namespaces=2),
        cell("c1", provider="gcp", namespaces=5),
        cell("c2", provider="gcp", namespaces=3),
    ]
    rings = (RingPolicy(0, ("1", "3"), timedelta(0), timedelta(0), tolerance="9"),)
    fleet = world(*cells, state=rollout(replace(QUICK, rings=rings)))

    fleet.run()

    assert [set(batch) for batch in fleet.started] == [{"a2"}, {"b1", "c2", "c1"}, {"a1"}]


def test_a_batch_waits_for_the_bake_of_the_one_before() -> None:
    fleet = world(cell("a0"), cell("a1"))
    fleet.turn()
    assert wait(fleet.latest, "a1").code is WaitCode.BATCH
    fleet.end("a0")

    waiting = wait(fleet.turn(), "a1")

    assert (waiting.code, waiting.until) == (WaitCode.BAKE, NOW + HOUR)
    assert fleet.latest.watch == ("a0",)
    fleet.pass_time(HOUR)
    assert starts(fleet.turn()) == ["a1"]


def test_a_bake_stands_still_without_data_and_is_never_waved_through() -> None:
    fleet = world(cell("a0"), cell("a1"), judge=lambda _: Verdict.NO_DATA)
    fleet.turn()
    fleet.end("a0")

    for _ in range(31 * 24):
        fleet.turn()
        fleet.pass_time(HOUR)

    plan = fleet.turn()
    assert wait(plan, "a1").code is WaitCode.BAKE
    assert "longer than 30 days" in plan.blocked
    assert fleet.state.phase is Phase.FORWARD
    fleet.judge = lambda _: Verdict.PASS
    fleet.pass_time(HOUR)
    assert starts(fleet.turn()) == ["a1"]


def test_a_ring_whose_cells_have_the_release_already_only_bakes() -> None:
    has_it = cell("a0", release=RELEASE.digest, server_version=RELEASE.server_version)
    fleet = world(has_it, cell("b0", 1))

    fleet.run(until=lambda: bool(fleet.started))

    assert fleet.started == [("b0",)]
    assert fleet.state.cells["a0"].visits == 0
    assert fleet.now >= NOW + 2 * HOUR


def test_a_bake_that_fails_halts_with_what_was_seen() -> None:
    fleet = world(cell("a0"), cell("a1"))
    fleet.turn()
    fleet.end("a0")
    fleet.turn()
    fleet.judge = lambda _: Verdict.FAIL
    fleet.pass_time(HOUR / 2)

    plan = fleet.turn()

    assert fleet.state.phase is Phase.HALTED
    assert "a0 is seen" in plan.halt
    assert wait(plan, "a1").code is WaitCode.HALTED


def test_a_confounded_bake_lets_nothing_start() -> None:
    fleet = world(cell("a0"), cell("a1"))
    fleet.turn()
    fleet.end("a0")
    fleet.turn()
    fleet.pass_time(HOUR)
    fleet.judge = lambda _: Verdict.CONFOUNDED
    fleet.pass_time(HOUR)

    assert wait(fleet.turn(), "a1").code is WaitCode.CONFOUNDED
    assert fleet.state.phase is Phase.FORWARD


def test_a_ring_is_not_through_while_its_bake_is_confounded() -> None:
    fleet = world(cell("a0"), cell("b0", 1))
    fleet.turn()
    fleet.end("a0")
    fleet.turn()
    fleet.turn()
    fleet.pass_time(2 * HOUR)
    fleet.judge = lambda _: Verdict.CONFOUNDED
    fleet.pass_time(HOUR)

    for _ in range(3):
        fleet.turn()
    assert not fleet.state.rings[0].baked
    fleet.judge = lambda _: Verdict.PASS
    fleet.pass_time(HOUR)
    fleet.turn()
    assert fleet.state.rings[0].baked


def test_a_first_batch_that_proves_nothing_is_followed_by_another_of_one() -> None:
    ring = RingPolicy(0, ("1", "all"), HOUR, HOUR, tolerance="2")
    fleet = world(*ring_of(5), state=rollout(replace(QUICK, rings=(ring,))))
    fleet.turn()
    fleet.end("a0", VisitOutcome.UNDONE)

    assert starts(fleet.turn()) == ["a1"]
    fleet.end("a1", VisitOutcome.REFUSED)
    assert starts(fleet.turn()) == ["a2"]
    assert fleet.state.rings[0].batches == 1


# The budget.


def test_never_more_are_under_way_than_may_fail_and_one() -> None:
    policy = replace(WIDE, rings=(replace(WIDE.rings[0], tolerance="1"),))
    fleet = in_second_batch(*ring_of(5), state=rollout(policy))

    plan = fleet.turn()

    assert len(plan.starts) == 2
    assert list(codes(plan).values()) == [WaitCode.BUDGET] * 3


def test_five_that_would_all_fail_cost_two_cells_of_a_tolerance_of_one() -> None:
    policy = replace(WIDE, rings=(replace(WIDE.rings[0], tolerance="1"),))
    fleet = in_second_batch(*ring_of(5), state=rollout(policy))

    for _ in range(10):
        fleet.turn()
        for name in fleet.under_way():
            fleet.end(name, VisitOutcome.UNDONE)

    failed = [n for n, p in fleet.state.cells.items() if p.status is CellStatus.FAILED]
    assert len(failed) == 2
    assert fleet.state.phase is Phase.HALTED
    assert "2 of ring 0's cells failed, 1 may" in fleet.state.message
    assert {wait(fleet.latest, name).code for name in failed} == {WaitCode.FAILED}


def test_one_failure_leaves_room_for_one_at_a_time() -> None:
    policy = replace(WIDE, rings=(replace(WIDE.rings[0], tolerance="1"),))
    fleet = in_second_batch(*ring_of(5), state=rollout(policy))
    first, second = starts(fleet.turn())
    fleet.end(first, VisitOutcome.UNDONE)

    assert starts(fleet.turn()) == []
    fleet.end(second)
    assert len(fleet.turn().starts) == 1


def test_a_rollout_with_a_tolerated_failure_ends_as_failed() -> None:
    fleet = in_second_batch(*ring_of(2))
    fleet.turn()
    fleet.end("a0", VisitOutcome.UNDONE)

    fleet.run()

    assert fleet.state.outcome is Outcome.FAILED


def test_a_failure_that_is_retried_to_success_is_forgiven_and_one_that_is_skipped_is_not() -> None:
    for kind, outcome in (
        (ControlKind.RETRY, Outcome.SUCCEEDED),
        (ControlKind.SKIP, Outcome.FAILED),
    ):
        fleet = in_second_batch(*ring_of(2))
        fleet.turn()
        fleet.end("a0", VisitOutcome.UNDONE)
        fleet.turn()
        assert fleet.control(kind, cell="a0") is None
        fleet.run()
        assert fleet.state.outcome is outcome


def test_a_broken_cell_stops_everything_of_the_release_whatever_the_tolerance() -> None:
    policy = replace(WIDE, rollback=RollbackScope.ALL)
    fleet = in_second_batch(*ring_of(3), state=rollout(policy))
    fleet.turn()
    fleet.end("a0", VisitOutcome.BROKEN)
    fleet.end("a1")
    fleet.end("a2")

    for _ in range(3):
        plan = fleet.turn()

    assert fleet.state.phase is Phase.HALTED
    assert not plan.starts
    assert wait(plan, "a0").code is WaitCode.QUARANTINED


# What a cell itself keeps from being visited.


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"ready": False, "why_not_ready": "the database is down"}, WaitCode.SICK),
        ({"quarantine": "broken by hand"}, WaitCode.QUARANTINED),
        ({"visit": "r0/a1/1"}, WaitCode.BUSY),
        ({"server_version": "1.28.0"}, WaitCode.NO_WAY),
        ({"server_version": "2.0.0"}, WaitCode.NO_WAY),
        ({"server_version": "unknown"}, WaitCode.NO_WAY),
    ],
    ids=str,
)
def test_a_cell_that_cannot_be_visited_is_deferred_costs_nothing_and_comes_when_it_can(
    facts: dict[str, object], code: WaitCode
) -> None:
    fleet = world(*ring_of(6), cell("z1", 0, **facts), state=rollout(WIDE))

    fleet.run(until=lambda: fleet.latest.only_deferred)

    assert codes(fleet.latest) == {"z1": code}
    assert fleet.state.cells["z1"].status is CellStatus.DEFERRED
    assert fleet.state.phase is Phase.FORWARD
    fleet.cells["z1"] = cell("z1")
    fleet.run()
    assert fleet.started[-1] == ("z1",)
    assert fleet.state.outcome is Outcome.SUCCEEDED


def test_at_the_end_deferred_cells_are_waited_for_and_then_stay_behind() -> None:
    fleet = world(*ring_of(6), cell("z1", ready=False), state=rollout(WIDE))

    fleet.run()

    assert fleet.state.outcome is Outcome.SUCCEEDED_WITH_DEFERRALS
    assert fleet.now - NOW >= timedelta(days=7)


def test_a_held_cell_waits_until_the_hold_ends() -> None:
    fleet = world(*ring_of(2), state=rollout(WIDE))
    fleet.plan()
    until = NOW + timedelta(hours=30)
    assert fleet.control(ControlKind.HOLD, cell="a1", until=until) is None

    fleet.run(until=lambda: fleet.latest.only_deferred)

    held = wait(fleet.latest, "a1")
    assert (held.code, held.until) == (WaitCode.HELD, until)
    assert OLD in held.message
    fleet.run()
    assert fleet.state.outcome is Outcome.SUCCEEDED


def test_a_ring_of_which_too_much_is_sick_waits() -> None:
    sick = [cell(f"z{n}", ready=False, region=f"r{n}") for n in range(3)]
    fleet = world(*ring_of(7), *sick, state=rollout(replace(WIDE, deferral_cap="20%")))

    plan = fleet.turn()

    assert {wait(plan, f"a{n}").code for n in range(7)} == {WaitCode.DEFERRALS}
    assert "3 of ring 0's 10 cells are sick" in plan.blocked
    fleet.cells["z0"] = replace(fleet.cells["z0"], ready=True)
    assert len(fleet.turn().starts) == 1


def test_a_ring_in_which_nothing_can_be_proven_is_not_passed() -> None:
    fleet = world(cell("a0", quarantine="x"), cell("b0", 1), state=rollout(WIDE))

    plan = fleet.turn()

    assert not plan.starts
    assert "nothing is proven" in plan.blocked
    assert fleet.control(ControlKind.SKIP, cell="a0") is None
    assert starts(fleet.turn()) == ["b0"]


def test_a_cell_that_refuses_is_deferred_and_asked_again_less_and_less_often() -> None:
    fleet = world(cell("a0"))
    pauses = []
    for _ in range(3):
        fleet.turn()
        fleet.end("a0", VisitOutcome.REFUSED)
        refused = wait(fleet.turn(), "a0")
        assert refused.code is WaitCode.SICK
        assert refused.until is not None
        pauses.append(refused.until - fleet.now)
        fleet.now = refused.until

    assert pauses == [timedelta(minutes=m) for m in (15, 30, 60)]


def test_many_sick_cells_of_a_region_are_its_trouble() -> None:
    sick = [cell(f"z{n}", ready=False) for n in range(3)]
    fleet = in_second_batch(cell("z9"), cell("a1"), *sick[:2])
    fleet.cells |= {each.id: each for each in sick}
    fleet.state.policy = replace(WIDE, confounded_cells=3)

    plan = fleet.turn()

    assert starts(plan) == ["a1"]
    assert wait(plan, "z9").code is WaitCode.CONFOUNDED
    assert "z" in fleet.state.confounded
    fleet.cells["z0"] = replace(fleet.cells["z0"], ready=True)
    fleet.end("a1")
    assert "z9" in starts(fleet.turn()) or wait(fleet.latest, "z9").code is not WaitCode.CONFOUNDED
    assert fleet.state.confounded == {}


# Pairs.


def test_the_passive_side_goes_first_and_the_active_side_when_it_has_caught_up() -> None:
    fleet = in_second_batch(cell("a1"), cell("b1"), replicas=(Replicas("n", "a1", ("b1",)),))

    plan = fleet.turn()
    assert starts(plan) == ["b1"]
    assert wait(plan, "a1").code is WaitCode.PASSIVE_FIRST
    assert wait(fleet.turn(), "a1").code is WaitCode.PAIR
    fleet.end("b1")
    fleet.replicas = (Replicas("n", "a1", ("b1",), caught_up=False),)
    assert wait(fleet.turn(), "a1").code is WaitCode.LAG
    fleet.replicas = (Replicas("n", "a1", ("b1",)),)
    assert starts(fleet.turn()) == ["a1"]


def test_the_active_side_waits_for_a_passive_cell_that_has_not_begun() -> None:
    pair = (Replicas("n", "a1", ("b1",)), Replicas("m", "c1", ("b1",)))
    fleet = in_second_batch(cell("a1"), cell("b1"), cell("c1"), replicas=pair)
    fleet.rest["calendar"] = Calendar(
        freezes=(Freeze("f", "sale", NOW, NOW + 9 * HOUR, "region/b"),)
    )

    plan = fleet.turn()

    assert codes(plan) == {
        "a1": WaitCode.PASSIVE_FIRST,
        "b1": WaitCode.CALENDAR,
        "c1": WaitCode.PASSIVE_FIRST,
    }


@pytest.mark.parametrize(
    "why", [{"ready": False}, {"quarantine": "x"}, {"visit": "another"}], ids=str
)
def test_a_passive_cell_that_cannot_come_does_not_keep_its_active_side_back(
    why: dict[str, object],
) -> None:
    lagging = Replicas("n", "a1", ("b1",), caught_up="visit" in why)
    fleet = in_second_batch(cell("a1"), cell("b1", 0, **why), replicas=(lagging,))

    plan = fleet.turn()

    if "visit" in why:
        # Somebody disturbs it: that is another matter.
        assert wait(plan, "a1").code is WaitCode.PAIR
    elif "quarantine" in why:
        # It is up, and lags.
        assert wait(plan, "a1").code is WaitCode.LAG
    else:
        assert starts(plan) == ["a1"]


def test_a_circle_of_active_and_passive_begins_with_the_fewest_active_namespaces() -> None:
    circle = (
        Replicas("n1", "a1", ("b1",)),
        Replicas("n2", "a1", ("b1",)),
        Replicas("m", "b1", ("a1",)),
    )
    fleet = in_second_batch(cell("a1"), cell("b1"), replicas=circle)

    plan = fleet.turn()

    assert starts(plan) == ["b1"]
    assert wait(plan, "a1").code in (WaitCode.PAIR, WaitCode.PASSIVE_FIRST)
    fleet.end("b1")
    assert starts(fleet.turn()) == ["a1"]


def test_the_order_of_rings_comes_before_passive_first_and_the_wait_says_so() -> None:
    fleet = world(cell("a0"), cell("b0", 1), replicas=(Replicas("n", "a0", ("b0",)),))

    plan = fleet.turn()

    assert starts(plan) == ["a0"]
    assert "order of rings comes first" in wait(plan, "b0").message


def test_a_late_active_side_does_not_wait_for_a_passive_one_of_a_later_ring() -> None:
    cells = (*ring_of(9), cell("z0", ready=False), cell("b0", 1), cell("b1", 1))
    policy = replace(QUICK, rings=(RingPolicy(0, ("1", "all"), HOUR, HOUR, tolerance="9"),))
    made = world(*cells, state=rollout(policy), replicas=(Replicas("n", "z0", ("b1",)),))
    made.run(until=lambda: made.latest.ring == 1)
    made.cells["z0"] = cell("z0")

    assert "z0" in starts(made.turn())


def test_a_batch_does_not_wait_for_a_cell_that_waits_for_one_outside_of_it() -> None:
    fleet = in_second_batch(*ring_of(2))
    fleet.state.policy = replace(WIDE, rings=(replace(WIDE.rings[0], batches=("1", "1")),))
    fleet.state.paused_by = ""
    fleet.plan()
    assert fleet.latest.begin_batch == ("a0",)
    # Before its visit begins, it becomes the active side of a namespace that the other replicates.
    fleet.replicas = (Replicas("n", "a0", ("a1",)),)

    assert starts(fleet.turn()) == ["a1"]


def test_replicas_are_never_two_minor_versions_apart() -> None:
    servers = {"servers": ("1.29.1", OLD, "1.31.2")}
    cells = (cell("a1", server_version="1.29.1"), cell("b1", server_version="1.29.1"))
    fleet = in_second_batch(*cells, replicas=(Replicas("n", "a1", ("b1",)),), rest=servers)

    plan = fleet.turn()

    assert codes(plan) == {"a1": WaitCode.NO_WAY, "b1": WaitCode.NO_WAY}
    assert "Roll out a release of 1.30 first" in wait(plan, "a1").message


# Caps and the calendar.


def test_at_most_so_many_of_a_region_and_of_a_provider_are_under_way() -> None:
    ring = replace(WIDE.rings[0], most_per_region=2, most_per_provider=3)
    cells = (*ring_of(3), cell("b1"), cell("b2"), cell("c1", provider="gcp"))
    fleet = in_second_batch(*cells, state=rollout(replace(WIDE, rings=(ring,))))

    plan = fleet.turn()

    assert len(plan.starts) == 4
    assert sorted(codes(plan).values()) == [WaitCode.PROVIDER_CAP, WaitCode.REGION_CAP] or set(
        codes(plan).values()
    ) <= {WaitCode.PROVIDER_CAP, WaitCode.REGION_CAP}


def frozen(since: datetime, length: timedelta = 10 * HOUR) -> dict[str, object]:
    return {"calendar": Calendar(freezes=(Freeze("sale", "black friday", since, since + length),))}


def test_nothing_starts_in_a_freeze_and_all_goes_on_after_it() -> None:
    fleet = world(cell("a0"), rest=frozen(NOW))

    plan = fleet.turn()

    waiting = wait(plan, "a0")
    assert (waiting.code, waiting.until) == (WaitCode.CALENDAR, NOW + 10 * HOUR)
    assert "black friday" in waiting.message
    assert plan.wake_at == NOW + 10 * HOUR
    fleet.now += 10 * HOUR
    assert starts(fleet.turn()) == ["a0"]


def test_what_does_not_fit_before_a_freeze_does_not_start() -> None:
    fleet = world(cell("a0"), rest=frozen(NOW + HOUR))
    fleet.state.policy = replace(QUICK, visit_takes=timedelta(minutes=90))
    assert wait(fleet.turn(), "a0").code is WaitCode.CALENDAR

    fleet.state.durations = [60.0] * 20
    assert starts(fleet.turn()) == ["a0"]


def test_cells_under_way_when_a_freeze_begins_finish_and_the_bake_goes_on() -> None:
    fleet = in_second_batch(*ring_of(3), rest=frozen(NOW + 2 * HOUR))
    under_way = starts(fleet.turn())
    fleet.now = NOW + 3 * HOUR
    for name in under_way:
        fleet.end(name)
    fleet.turn()
    fleet.pass_time(HOUR)

    bake = fleet.state.rings[0].bake
    assert bake is not None
    assert bake.credit == HOUR


def test_a_calendar_that_cannot_be_read_stops_what_goes_forward() -> None:
    fleet = world(cell("a0"), rest={"calendar": Calendar(source_ok=False)})

    plan = fleet.turn()

    assert wait(plan, "a0").code is WaitCode.CALENDAR
    assert plan.wake_at is not None


def test_cells_whose_window_is_open_go_before_those_whose_is_not() -> None:
    closed = Blocker("outage", "network", "ann", NOW - HOUR, selector="region/a")
    fleet = world(cell("a0"), cell("b0", namespaces=9), rest={"calendar": Calendar((), (closed,))})

    assert starts(fleet.turn()) == ["b0"]


def test_the_ring_of_a_window_is_the_stricter_one_a_cell_has_been_in() -> None:
    fleet = world(cell("a0", 1))
    fleet.plan()
    fleet.cells["a0"] = replace(fleet.cells["a0"], ring=0)
    window = ChangeWindow("nights", "FREQ=DAILY", MIDNIGHT, 3 * HOUR, "UTC", "ring/1")
    fleet.rest["calendar"] = Calendar((window,))

    assert wait(fleet.turn(), "a0").code is WaitCode.CALENDAR


# Membership.


def test_new_cells_of_a_ring_that_is_through_come_one_at_a_time_each_with_a_bake() -> None:
    fleet = world(cell("a0"), cell("b0", 1), state=rollout(replace(QUICK, deferral_cap="100%")))
    fleet.run(until=lambda: fleet.state.rings.get(0) is not None and fleet.state.rings[0].baked)
    fleet.cells |= {"a1": cell("a1"), "a2": cell("a2")}

    plan = fleet.turn()

    assert starts(plan) == ["a1", "b0"]
    assert wait(plan, "a2").code is WaitCode.BATCH
    fleet.end("a1")
    assert wait(fleet.turn(), "a2").code is WaitCode.BAKE
    assert fleet.latest.late == {0: ("a1",)}
    fleet.pass_time(HOUR)
    fleet.turn()
    assert starts(fleet.turn()) == ["a2"] or "a2" in fleet.started[-1]


def test_late_cells_wait_while_a_lower_ring_is_at_work() -> None:
    fleet = world(cell("b0", 1))
    fleet.run(until=lambda: fleet.state.rings.get(1) is not None and fleet.state.rings[1].baked)
    fleet.cells |= {"a0": cell("a0"), "b1": cell("b1", 1)}

    plan = fleet.turn()

    assert starts(plan) == ["a0"]
    assert wait(plan, "b1").code is WaitCode.RING


def test_a_late_cell_whose_bake_fails_halts_the_rollout() -> None:
    fleet = world(cell("a0"), cell("b0", 1))
    fleet.run(until=lambda: fleet.state.rings.get(0) is not None and fleet.state.rings[0].baked)
    fleet.cells["a1"] = cell("a1")
    fleet.turn()
    fleet.end("a1")
    fleet.turn()
    fleet.judge = lambda name: Verdict.FAIL if name == "a1" else Verdict.PASS
    fleet.pass_time(HOUR)

    fleet.turn()

    assert fleet.state.phase is Phase.HALTED
    assert "a1 is seen" in fleet.state.message


def test_a_cell_that_leaves_is_gone_and_its_failure_stays() -> None:
    fleet = in_second_batch(*ring_of(3))
    fleet.turn()
    fleet.end("a0", VisitOutcome.UNDONE)
    fleet.end("a1")
    del fleet.cells["a0"], fleet.cells["a1"]

    fleet.turn()

    assert fleet.state.cells["a0"].status is CellStatus.FAILED
    assert fleet.state.cells["a1"].status is CellStatus.GONE


def test_a_cell_that_changes_rings_goes_by_the_stricter_one() -> None:
    fleet = world(cell("a0"), cell("a1"), cell("b0", 1))
    fleet.turn()
    fleet.cells["a1"] = cell("a1", 1)
    fleet.cells["b0"] = cell("b0", 0)

    fleet.turn()

    assert fleet.state.cells["a1"].ring == 1
    assert fleet.state.cells["b0"].ring == 1


def test_an_empty_inventory_is_not_taken_for_an_empty_fleet() -> None:
    fleet = world(*ring_of(2))
    fleet.turn()
    fleet.cells.clear()

    plan = fleet.turn()

    assert "no cells" in plan.blocked
    assert plan.wake_at is not None
    assert fleet.state.cells["a1"].status is CellStatus.WAITING


# Versions.


def test_cells_go_through_one_minor_version_after_the_other() -> None:
    rest = {"servers": ("1.29.1", "1.30.1", OLD, "1.31.2")}
    fleet = world(cell("a0", server_version="1.29.1"), rest=rest)

    (start,) = fleet.turn().starts

    assert start.hops == (OLD, "1.31.2")


def test_a_release_of_configuration_alone_goes_through_no_version() -> None:
    release = Release("limits", configuration={"frontend.rps": 100})
    fleet = world(cell("a0"), state=rollout(release=release))

    (start,) = fleet.turn().starts
    assert start.hops == ()
    fleet.end("a0")
    fleet.run()
    assert fleet.state.outcome is Outcome.SUCCEEDED


def test_a_release_that_finalizes_waits_until_every_cell_can_follow() -> None:
    release = Release("contract", server_version="1.31.2", finalizes="r-1.31")
    fleet = world(
        cell("a0", server_version="1.31.2"), cell("b0", 3), state=rollout(release=release)
    )

    plan = fleet.turn()

    assert codes(plan) == {"a0": WaitCode.FINALIZE, "b0": WaitCode.FINALIZE}
    assert "b0 (1.30.2)" in plan.blocked
    fleet.cells["b0"] = cell("b0", 3, server_version="1.31.2")
    assert starts(fleet.turn()) == ["a0"]


# Phases.


@pytest.mark.parametrize(
    ("phase", "code"),
    [
        (Phase.QUEUED, WaitCode.QUEUED),
        (Phase.HALTED, WaitCode.HALTED),
        (Phase.STOPPING, WaitCode.STOPPING),
    ],
)
def test_nothing_starts_in_other_phases_than_forward(phase: Phase, code: WaitCode) -> None:
    fleet = world(cell("a0"), cell("a1"))
    fleet.turn()
    fleet.state.phase = phase

    plan = fleet.turn()

    assert not plan.starts
    assert codes(plan) == {"a1": code}


def test_a_paused_rollout_starts_nothing_and_bakes_on() -> None:
    fleet = world(cell("a0"), cell("a1"))
    fleet.turn()
    fleet.end("a0")
    assert fleet.control(ControlKind.PAUSE) is None
    fleet.turn()
    fleet.pass_time(HOUR)

    plan = fleet.turn()

    assert wait(plan, "a1").code is WaitCode.PAUSED
    bake = fleet.state.rings[0].bake
    assert bake is not None
    assert bake.is_complete
    assert fleet.control(ControlKind.RESUME) is None
    assert starts(fleet.turn()) == ["a1"]


def test_a_ring_that_needs_approval_waits_for_so_many_people() -> None:
    policy = RolloutPolicy(rings=(RingPolicy(0, ("1",), HOUR, HOUR, approvals=2),))
    fleet = world(cell("a0"), state=rollout(policy))

    plan = fleet.turn()

    assert wait(plan, "a0").code is WaitCode.APPROVAL
    assert "2 people" in plan.blocked
    plan_hash = fleet.state.plan_hash
    assert plan_hash in plan.blocked
    for actor in ("bob", "cleo"):
        assert not fleet.turn().starts
        assert fleet.control(ControlKind.APPROVE, actor=actor, plan=plan_hash) is None
    assert starts(fleet.turn()) == ["a0"]


def test_approvals_are_void_once_the_plan_has_changed() -> None:
    policy = RolloutPolicy(rings=(RingPolicy(0, ("1",), HOUR, HOUR, approvals=1),))
    fleet = world(cell("a0"), state=rollout(policy))
    fleet.turn()
    fleet.control(ControlKind.APPROVE, actor="bob", plan=fleet.state.plan_hash)
    fleet.cells["a1"] = cell("a1")

    assert set(codes(fleet.turn()).values()) == {WaitCode.APPROVAL}
    assert fleet.state.rings[0].approvals == []
    assert fleet.state.events[-1].what == "approvals void"
