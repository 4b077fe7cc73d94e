"""How long things have to last: losses, recoveries, flapping, failbacks, tries."""

from dataclasses import replace
from datetime import timedelta

import pytest

from provisioning.automatic import progress
from provisioning.automatic.sight import CellFacts
from provisioning.automatic.types import (
    Choice,
    LiftCellHold,
    PauseAvailability,
    ResumeAvailability,
    Verdict,
)
from provisioning.types import FailoverCause, FailoverMode
from tests.provisioning.automatic.watching import (
    BILLS,
    E1,
    E2,
    EAST,
    HOUR,
    MINUTE,
    N1,
    NORTH,
    ORDERS,
    SECOND,
    W1,
    WEST,
    Watched,
    failed_over,
    names,
    namespace,
)


@pytest.fixture
def fleet() -> Watched:
    """A fleet that has been well for a while; `orders` is active in the east."""
    fleet = Watched().has(namespace(ORDERS, E1, W1))
    fleet.watch(20 * MINUTE)
    return fleet


def lose(fleet: Watched, *cells: str) -> None:
    """Lose the cells, and watch until that is believed and acted on."""
    fleet.lost |= set(cells)
    fleet.watch(MINUTE)


def test_a_cell_is_lost_after_three_rounds_and_thirty_seconds(fleet: Watched) -> None:
    fleet.lost = {E1}

    for _ in range(10):
        fleet.look(2 * SECOND, took=SECOND)
    assert fleet.record(E1).lost_rounds == 10
    assert fleet.moved == [], "ten rounds are enough, 27 seconds are not"

    for _ in range(2):
        fleet.look(2 * SECOND, took=SECOND)
    assert names(fleet.moved) == [ORDERS]


def test_thirty_seconds_are_not_enough_without_three_rounds(fleet: Watched) -> None:
    fleet.lost = {E1}

    fleet.look()
    fleet.look(after=45 * SECOND)
    assert fleet.moved == []

    fleet.look()
    assert names(fleet.moved) == [ORDERS]


@pytest.mark.parametrize("says", ["well", "unclear"])
def test_one_round_that_does_not_find_it_lost_begins_the_count_anew(
    fleet: Watched, says: str
) -> None:
    fleet.lost = {E1}
    fleet.watch(25 * SECOND)

    if says == "well":
        fleet.lost = set()
    else:
        fleet.silent = {WEST, NORTH}
    fleet.look()
    fleet.lost, fleet.silent = {E1}, set()

    assert fleet.watch(30 * SECOND) == []
    assert names(fleet.watch(30 * SECOND)) == [ORDERS]


def test_rounds_that_are_far_apart_are_not_in_a_row(fleet: Watched) -> None:
    fleet.lost = {E1}
    fleet.watch(20 * SECOND)
    assert fleet.record(E1).lost_rounds == 2

    fleet.look(after=HOUR)

    assert fleet.record(E1).lost_rounds == 1, "nobody looked for an hour"
    assert fleet.moved == []


def test_a_round_in_which_the_fleet_cannot_be_seen_concludes_nothing(fleet: Watched) -> None:
    fleet.lost = {E1}
    fleet.watch(25 * SECOND)

    progress.saw_nothing(fleet.state, "the store does not answer", fleet.now)
    progress.saw_nothing(fleet.state, "the store does not answer", fleet.now)

    assert fleet.view.blind == "the store does not answer"
    assert [event.what for event in fleet.state.events] == ["blind"], "told once"
    assert fleet.watch(30 * SECOND) == []
    assert fleet.view.blind == ""


def test_a_lost_cell_whose_namespaces_cannot_be_read_is_not_said_to_be_empty(
    fleet: Watched,
) -> None:
    fleet.lost, fleet.unreadable = {E1}, True
    fleet.watch(2 * MINUTE)

    told = fleet.told(E1)
    assert told.verdict is Verdict.LOST
    assert (told.next, told.asks_person) == ("", True)
    assert "could not be read" in told.why_not

    fleet.unreadable = False
    fleet.look()
    assert names(fleet.moved) == [ORDERS]


def test_a_vantage_point_that_takes_too_long_is_not_believed(fleet: Watched) -> None:
    fleet.lost = {E1}

    for _ in range(5):
        fleet.look(took=62 * SECOND)

    assert fleet.moved == []
    votes = fleet.told(E1).votes
    assert {vote.why for vote in votes if vote.vantage.startswith("workers")} == {
        "its word is 62 s old"
    }


def test_a_visit_may_take_its_time_and_no_longer(fleet: Watched) -> None:
    fleet.lost = {E1}
    fleet.changed[E1] = CellFacts(E1, EAST, visit="spring (server)")

    assert fleet.watch(14 * MINUTE) == []
    assert fleet.told(E1).verdict is Verdict.SUSPECTED

    assert names(fleet.watch(2 * MINUTE)) == [ORDERS]


def test_restarts_that_were_planned_are_not_held_against_a_cell(fleet: Watched) -> None:
    for _ in range(4):
        fleet.lost, fleet.changed[E1] = {E1}, CellFacts(E1, EAST, visit="spring (server)")
        fleet.watch(MINUTE)
        fleet.lost = set()
        del fleet.changed[E1]
        fleet.watch(MINUTE)
    assert fleet.moved == []

    lose(fleet, E1)

    assert names(fleet.moved) == [ORDERS]


def test_a_cell_that_comes_and_goes_is_held_and_a_person_is_asked(fleet: Watched) -> None:
    for _ in range(3):
        fleet.lost = {E1}
        fleet.watch(20 * SECOND)
        fleet.lost = set()
        fleet.watch(20 * SECOND)
    fleet.lost = {E1}

    assert fleet.watch(30 * MINUTE) == []
    told = fleet.told(E1)
    assert told.verdict is Verdict.HELD
    assert told.asks_person
    assert "a person decides" in told.why_not
    assert [event.what for event in fleet.state.events] == ["cell held"]


def test_a_hold_ends_when_the_cell_stays_well(fleet: Watched) -> None:
    for _ in range(3):
        fleet.lost = {E1}
        fleet.watch(20 * SECOND)
        fleet.lost = set()
        fleet.watch(20 * SECOND)

    fleet.watch(59 * MINUTE)
    assert fleet.verdict(E1) is Verdict.HELD

    fleet.watch(2 * MINUTE)
    assert fleet.verdict(E1) is Verdict.WELL
    lose(fleet, E1)
    assert names(fleet.moved) == [ORDERS]


def test_a_hold_that_is_lifted_lets_the_cell_be_failed_over(fleet: Watched) -> None:
    for _ in range(3):
        fleet.lost = {E1}
        fleet.watch(20 * SECOND)
        fleet.lost = set()
        fleet.watch(20 * SECOND)
    fleet.lost = {E1}
    fleet.watch(5 * MINUTE)
    assert fleet.moved == []

    progress.lift_hold(fleet.state, LiftCellHold(E1, "sre@acme", "it is down for good"), fleet.now)

    assert names(fleet.watch(MINUTE)) == [ORDERS]


def test_what_was_failed_over_returns_gracefully_once_its_cell_has_been_well(
    fleet: Watched,
) -> None:
    lose(fleet, E1)
    fleet.lost = set()

    assert fleet.watch(9 * MINUTE) == []
    assert fleet.told(E1).verdict is Verdict.RECOVERING
    (back,) = fleet.watch(2 * MINUTE)
    assert (back.namespace, back.target, back.mode) == (ORDERS, E1, FailoverMode.GRACEFUL)
    assert back.cause is FailoverCause.FAILBACK
    assert fleet.namespaces[ORDERS].active == E1
    assert fleet.watch(HOUR) == [], "it returned once"


def test_a_recovery_that_is_interrupted_begins_anew(fleet: Watched) -> None:
    lose(fleet, E1)
    fleet.lost = set()
    fleet.watch(9 * MINUTE)

    fleet.lost = {E1}
    fleet.look()
    fleet.lost = set()

    assert fleet.watch(9 * MINUTE) == []
    assert names(fleet.watch(2 * MINUTE)) == [ORDERS]


def test_nothing_returns_that_was_failed_over_by_hand_since(fleet: Watched) -> None:
    lose(fleet, E1)
    fleet.namespaces[ORDERS] = failed_over(
        fleet.namespaces[ORDERS], fleet.namespaces[ORDERS].active, FailoverCause.MANUAL
    )
    fleet.lost = set()

    assert fleet.watch(20 * MINUTE) == []


def test_nothing_returns_that_was_failed_over_by_hand_to_where_it_was(fleet: Watched) -> None:
    lose(fleet, E1)
    fleet.namespaces[ORDERS] = replace(fleet.namespaces[ORDERS], kept_by="op-9")
    fleet.lost = set()

    assert fleet.watch(20 * MINUTE) == []
    (told,) = [each for each in fleet.state.events if each.what == "do not return"]
    assert told.message == (
        f"{ORDERS}: it was failed over since (operation op-9): whoever did that decides"
    )


def test_nothing_that_was_failed_over_by_hand_alone_returns(fleet: Watched) -> None:
    fleet.namespaces[ORDERS] = failed_over(fleet.namespaces[ORDERS], W1, FailoverCause.MANUAL)
    fleet.lost = {E1}
    fleet.watch(5 * MINUTE)
    fleet.lost = set()

    assert fleet.watch(HOUR) == []


@pytest.mark.parametrize(
    ("now_said", "because"),
    [
        (CellFacts(E1, EAST, cordon="by sre: it is to be replaced"), "is cordoned by sre"),
        (CellFacts(E1, EAST, quarantine="by visit: broken"), "quarantined by visit"),
        (CellFacts(E1, EAST, visit="spring (verify)"), "is being brought to spring"),
        (CellFacts(E1, EAST, lease="evacuation/e1"), "evacuation/e1 is at it"),
    ],
    ids=["cordon", "quarantine", "visit", "lease"],
)
def test_nothing_returns_to_a_cell_that_somebody_has_plans_for(
    fleet: Watched, now_said: CellFacts, because: str
) -> None:
    lose(fleet, E1)
    fleet.lost = set()
    fleet.changed[E1] = now_said

    assert fleet.watch(15 * MINUTE) == []
    decision = fleet.decision(ORDERS)
    assert decision.choice is Choice.WAITS
    assert because in decision.reason

    del fleet.changed[E1]
    assert names(fleet.watch(MINUTE)) == [ORDERS]


def test_nothing_returns_from_a_cell_that_is_in_doubt_itself(fleet: Watched) -> None:
    lose(fleet, E1)
    fleet.lost, fleet.liars = set(), {NORTH: {W1}}

    assert fleet.watch(15 * MINUTE) == []
    assert fleet.decision(ORDERS).reason == f"{W1}, where it is active, is suspected"

    fleet.liars = {}
    assert names(fleet.watch(MINUTE)) == [ORDERS]


def test_nothing_returns_where_the_policy_says_so(fleet: Watched) -> None:
    fleet.state.policy = replace(fleet.state.policy, failback=False)
    lose(fleet, E1)
    fleet.lost = set()

    assert fleet.watch(HOUR) == []
    assert fleet.namespaces[ORDERS].active == W1


def test_a_watch_that_remembers_nothing_lets_return_what_was_failed_over_before(
    fleet: Watched,
) -> None:
    lose(fleet, E1)
    fleet.lost = set()
    begun_anew = Watched(namespaces=fleet.namespaces, now=fleet.now)

    assert begun_anew.watch(9 * MINUTE) == [], "it has not seen the cell well for long enough"
    assert names(begun_anew.watch(2 * MINUTE)) == [ORDERS]


def test_while_it_is_paused_nothing_moves_and_everything_is_watched(fleet: Watched) -> None:
    progress.pause(fleet.state, PauseAvailability("sre@acme", "drill"), fleet.now)
    lose(fleet, E1)

    assert fleet.moved == []
    assert fleet.told(E1).verdict is Verdict.LOST
    assert fleet.told(E1).why_not == "paused by sre@acme: drill"
    assert fleet.decision(ORDERS).reason == "paused by sre@acme: drill"

    progress.resume(fleet.state, ResumeAvailability("sre@acme", "over"), fleet.now)
    fleet.look()
    assert names(fleet.moved) == [ORDERS]
    assert [event.what for event in fleet.state.events][:4] == [
        "paused",
        "cell lost",
        "resumed",
        "failover asked",
    ]


def test_a_failover_that_failed_is_tried_again_ever_later_and_not_for_ever(fleet: Watched) -> None:
    fleet.failing = {ORDERS}
    lose(fleet, E1)
    begin = fleet.now

    fleet.watch(timedelta(hours=2))

    assert [move.operation[-1] for move in fleet.moved] == ["1", "2", "3", "4", "5"]
    assert len({move.operation for move in fleet.moved}) == 5, "each is another operation"
    assert fleet.now - begin >= timedelta(hours=2)
    decision = fleet.decision(ORDERS)
    assert (decision.choice, decision.asks_person) == (Choice.WAITS, True)
    assert decision.reason == "tried 5 times, the last: no luck"


def test_a_namespace_that_does_not_agree_is_asked_again_under_the_same_id(fleet: Watched) -> None:
    fleet.refusing = {ORDERS}
    lose(fleet, E1)
    fleet.watch(MINUTE)
    assert len(fleet.moved) == 2
    assert fleet.decision(ORDERS).reason.endswith("not now")

    fleet.refusing = set()
    fleet.watch(5 * MINUTE)

    assert len({move.operation for move in fleet.moved}) == 1, "it is still the same request"
    assert fleet.namespaces[ORDERS].active == W1


def test_a_loss_after_a_return_is_another_loss(fleet: Watched) -> None:
    lose(fleet, E1)
    fleet.lost = set()
    fleet.watch(20 * MINUTE)
    lose(fleet, E1)

    there, back, again = fleet.moved
    assert (there.target, back.target, again.target) == (W1, E1, W1)
    assert there.operation != again.operation


def test_what_was_begun_stops_while_it_is_not_certain_any_more(fleet: Watched) -> None:
    fleet.has(namespace(BILLS, E1, W1))
    fleet.state.policy = replace(fleet.state.policy, most_per_minute=1)
    lose(fleet, E1)
    assert names(fleet.moved) == [BILLS]

    fleet.lost, fleet.liars, fleet.silent = set(), {EAST: {E1}, WEST: {E1}}, {NORTH}
    assert fleet.watch(5 * MINUTE) == []
    assert fleet.told(E1).verdict is Verdict.LOST
    assert fleet.decision(ORDERS).reason == (
        "in the latest round it was not found lost: 2 of 5 vantage points say lost, 2 well: "
        "3 are needed"
    )

    fleet.lost, fleet.liars, fleet.silent = {E1}, {}, set()
    assert names(fleet.watch(MINUTE)) == [ORDERS]


def test_no_more_namespaces_move_at_once_and_in_a_minute_than_may(fleet: Watched) -> None:
    fleet.has(*(namespace(f"n{n:03}.acme1", E1, W1) for n in range(50)))
    fleet.state.policy = replace(fleet.state.policy, most_per_minute=15, most_at_once=10)
    fleet.lost, begin = {E1}, fleet.now

    told = [(fleet.now - begin, len(fleet.look().moves)) for _ in range(36)]

    assert max(moves for _, moves in told) == 10
    for since, _ in told:
        assert sum(moves for at, moves in told if since <= at < since + MINUTE) <= 15
    assert {found.active for found in fleet.namespaces.values()} == {W1}
    assert names(fleet.moved)[:2] == ["n000.acme1", "n001.acme1"]


def test_a_second_cell_of_a_lost_region_may_be_left_too(fleet: Watched) -> None:
    fleet.has(namespace(BILLS, E2, W1))
    lose(fleet, E1, E2)

    assert sorted(names(fleet.moved)) == [BILLS, ORDERS]


def test_a_second_cell_of_a_region_waits_while_somebody_says_it_is_well(fleet: Watched) -> None:
    fleet.has(namespace(BILLS, E2, W1))
    lose(fleet, E1)
    fleet.liars = {WEST: {E2}, NORTH: {E2}}
    fleet.deaf = {(W1, E2)}
    fleet.watch(MINUTE)

    assert fleet.told(E2).verdict is Verdict.LOST
    assert names(fleet.moved) == [ORDERS]
    assert "if nobody says that they are well" in fleet.told(E2).why_not
    assert fleet.told(E2).asks_person


def test_a_second_cell_elsewhere_may_be_left_an_hour_later(fleet: Watched) -> None:
    fleet.has(namespace(BILLS, N1, W1))
    lose(fleet, E1)
    lose(fleet, N1)
    assert names(fleet.moved) == [ORDERS]

    fleet.watch(58 * MINUTE)
    assert names(fleet.moved) == [ORDERS]
    fleet.watch(3 * MINUTE)
    assert names(fleet.moved) == [ORDERS, BILLS]
