"""The decision table: what the world does, and what comes of a namespace that is active there.

Every row is a fleet of three regions with two cells each. `orders` is active in the first cell of
the east and has a replica in the west; a row says what happens to the fleet, and after two minutes
of it whether `orders` has moved, how, and if not, why not.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from controlplane.resource import ConditionStatus
from provisioning.automatic.sight import CellFacts
from provisioning.automatic.types import Choice, Verdict
from provisioning.types import FailoverMode, ReplicaChangeKind
from tests.provisioning.automatic.watching import (
    E1,
    E2,
    EAST,
    MINUTE,
    N1,
    N2,
    NORTH,
    ORDERS,
    SECOND,
    START,
    W1,
    W2,
    WEST,
    Watched,
    namespace,
)

MOVED = "moved"
NOT_LOST = ""
"""Nothing is decided about namespaces of a cell that does not count as lost."""


def nothing(_: Watched) -> None:
    pass


def cell_lost(fleet: Watched) -> None:
    fleet.lost = {E1}


def cell_lost_but_for_its_temporal(fleet: Watched) -> None:
    fleet.ingress_lost = {E1}


def region_lost_with_its_workers(fleet: Watched) -> None:
    fleet.lost, fleet.silent = {E1, E2}, {EAST}


def region_lost_with_its_workers_and_a_peer(fleet: Watched) -> None:
    region_lost_with_its_workers(fleet)
    fleet.has(namespace("bills.acme1", E1, E2))


def region_lost_but_for_its_workers(fleet: Watched) -> None:
    fleet.lost = {E1, E2}


def region_lost_of_two(fleet: Watched) -> None:
    fleet.cells = (E1, E2, W1, W2)
    region_lost_with_its_workers(fleet)


def region_lost_of_two_by_the_word_of_all_in_the_other(fleet: Watched) -> None:
    region_lost_of_two(fleet)
    fleet.has(namespace("bills.acme1", E1, W2))


def region_lost_of_two_with_a_witness(fleet: Watched) -> None:
    region_lost_of_two(fleet)
    fleet.state.policy = replace(fleet.state.policy, witnesses=(NORTH,))


def region_lost_and_one_other_says_nothing(fleet: Watched) -> None:
    region_lost_with_its_workers(fleet)
    fleet.silent.add(NORTH)


def cut_off_from_the_others_but_alive(fleet: Watched) -> None:
    fleet.isolated = {EAST}


def control_plane_isolated_in_the_west(fleet: Watched) -> None:
    fleet.isolated, fleet.silent = {WEST}, {EAST, NORTH}


def control_plane_isolated_from_everything(fleet: Watched) -> None:
    fleet.silent = {EAST, WEST, NORTH}


def everything_lost_by_everybodys_word(fleet: Watched) -> None:
    fleet.lost = {E1, E2, W1, W2, N1, N2}


def one_vantage_isolated(fleet: Watched) -> None:
    fleet.isolated = {NORTH}


def one_vantage_mistaken(fleet: Watched) -> None:
    fleet.liars = {WEST: {E1}}


def two_vantages_of_one_kind_mistaken(fleet: Watched) -> None:
    fleet.liars = {WEST: {E1}, NORTH: {E1}}


def all_workers_mistaken(fleet: Watched) -> None:
    fleet.liars = {EAST: {E1}, WEST: {E1}, NORTH: {E1}}


def peer_gets_nothing(fleet: Watched) -> None:
    fleet.deaf = {(W1, E1)}


def peer_in_doubt_itself_and_others_mistaken(fleet: Watched) -> None:
    fleet.deaf, fleet.wrong = {(W1, E1)}, {E1}
    fleet.liars = {WEST: {E1}, NORTH: {W1}}


def cell_lost_and_all_workers_slow(fleet: Watched) -> None:
    fleet.lost, fleet.silent = {E1}, {EAST, WEST, NORTH}


def cell_lost_and_two_regions_slow(fleet: Watched) -> None:
    fleet.lost, fleet.silent = {E1}, {WEST, NORTH}


def cell_lost_and_entity_stale(fleet: Watched) -> None:
    fleet.lost, fleet.stale = {E1}, {E1}


def entity_alone_says_not_ready(fleet: Watched) -> None:
    fleet.changed[E1] = CellFacts(E1, EAST, ready=ConditionStatus.FALSE)


def restarted_by_a_visit(fleet: Watched) -> None:
    fleet.lost = {E1}
    fleet.changed[E1] = CellFacts(E1, EAST, visit="spring (server)")


def disturbed_by_a_lease(fleet: Watched) -> None:
    fleet.lost = {E1}
    fleet.changed[E1] = CellFacts(E1, EAST, lease="drill/d1")


def cordoned(fleet: Watched) -> None:
    fleet.lost = {E1}
    fleet.changed[E1] = CellFacts(E1, EAST, cordon="by sre: full")


def quarantined(fleet: Watched) -> None:
    fleet.lost = {E1}
    fleet.changed[E1] = CellFacts(E1, EAST, quarantine="by visit: broken")


def single_replica(fleet: Watched) -> None:
    cell_lost(fleet)
    fleet.has(namespace(ORDERS, E1))


def opted_out(fleet: Watched) -> None:
    cell_lost(fleet)
    fleet.has(namespace(ORDERS, E1, W1, managed=False))


def being_deleted(fleet: Watched) -> None:
    cell_lost(fleet)
    fleet.has(replace(namespace(ORDERS, E1, W1), leaving="it is being deleted"))


def being_changed(fleet: Watched) -> None:
    cell_lost(fleet)
    change = replace(
        namespace(ORDERS, E1, W1), change=ReplicaChangeKind.MIGRATE, change_message=" m1: soak"
    )
    fleet.has(change)


def failed_over_by_somebody_else_now(fleet: Watched) -> None:
    cell_lost(fleet)
    fleet.has(replace(namespace(ORDERS, E1, W1), change=ReplicaChangeKind.FAILOVER))


def incomplete_before(fleet: Watched) -> None:
    cell_lost(fleet)
    found = namespace(ORDERS, E1, W1)
    fleet.has(replace(found, incomplete_since=START, incomplete="2 executions are missing in it"))


def incomplete_because_of_the_loss(fleet: Watched) -> None:
    cell_lost(fleet)
    found, since = namespace(ORDERS, E1, W1), START + 90 * SECOND
    fleet.has(replace(found, incomplete_since=since, incomplete="cannot be compared"))


def target_lost_too(fleet: Watched) -> None:
    fleet.lost = {E1, W1}


def target_of_three_lost_too(fleet: Watched) -> None:
    fleet.lost = {E1, W1}
    fleet.state.policy = replace(fleet.state.policy, most_cells=2)
    fleet.has(namespace(ORDERS, E1, W1, N1))


def target_whose_entity_is_silent(fleet: Watched) -> None:
    fleet.lost, fleet.stale = {E1}, {W1}


def target_without_headroom(fleet: Watched) -> None:
    cell_lost(fleet)
    fleet.changed[W1] = CellFacts(W1, WEST, shortages=("namespaces: 0 needed, -1 free",))


def target_visited(fleet: Watched) -> None:
    cell_lost(fleet)
    fleet.changed[W1] = CellFacts(W1, WEST, visit="spring (server)")


def target_leased(fleet: Watched) -> None:
    cell_lost(fleet)
    fleet.changed[W1] = CellFacts(W1, WEST, lease="evacuation/w1")


def target_quarantined(fleet: Watched) -> None:
    cell_lost(fleet)
    fleet.changed[W1] = CellFacts(W1, WEST, quarantine="by visit: broken")


def target_cordoned(fleet: Watched) -> None:
    cell_lost(fleet)
    fleet.changed[W1] = CellFacts(W1, WEST, cordon="by sre: full")


def another_cell_left_already(fleet: Watched) -> None:
    fleet.lost = {N1}
    fleet.has(namespace("first.acme1", N1, W1))
    fleet.watch(MINUTE)
    fleet.lost = {N1, E1}


def no_budget_at_all(fleet: Watched) -> None:
    cell_lost(fleet)
    fleet.state.policy = replace(fleet.state.policy, most_cells=0, whole_region=False)


def holds_no_tenant(fleet: Watched) -> None:
    cell_lost(fleet)
    fleet.changed[E1] = CellFacts(E1, EAST, is_synthetic=True)


@dataclass(frozen=True)
class Row:
    """What happens; what is believed of the cell then; what comes of `orders`, and why."""

    world: Callable[[Watched], None]
    verdict: Verdict
    outcome: str | Choice
    because: str = ""
    mode: FailoverMode = FailoverMode.FORCED
    asks_person: bool = False


TABLE = [
    # Is it lost?
    Row(nothing, Verdict.WELL, NOT_LOST),
    Row(cell_lost, Verdict.LOST, MOVED, "5 of 5"),
    Row(
        cell_lost_but_for_its_temporal,
        Verdict.LOST,
        MOVED,
        "4 of 5",
        mode=FailoverMode.GRACEFUL_THEN_FORCED,
    ),
    Row(region_lost_but_for_its_workers, Verdict.LOST, MOVED, "5 of 5"),
    Row(region_lost_with_its_workers, Verdict.LOST, MOVED, "3 of 5"),
    Row(
        region_lost_with_its_workers_and_a_peer,
        Verdict.LOST,
        MOVED,
        "3 of 6 vantage points say lost, 0 well; all of aws-us-east-1 is silent, and all others",
    ),
    Row(region_lost_of_two, Verdict.SUSPECTED, NOT_LOST, "2 of 4 vantage points say lost"),
    Row(
        region_lost_of_two_by_the_word_of_all_in_the_other,
        Verdict.SUSPECTED,
        NOT_LOST,
        "3 of 5 vantage points say lost, 0 well, but no word of a second region: not enough",
    ),
    Row(region_lost_of_two_with_a_witness, Verdict.LOST, MOVED, "3 of 5"),
    Row(region_lost_and_one_other_says_nothing, Verdict.SUSPECTED, NOT_LOST, "3 are needed"),
    Row(cut_off_from_the_others_but_alive, Verdict.LOST, MOVED, "3 of 5"),
    Row(control_plane_isolated_in_the_west, Verdict.UNKNOWN, NOT_LOST, "0 of 4"),
    Row(control_plane_isolated_from_everything, Verdict.UNKNOWN, NOT_LOST, "0 of 4"),
    Row(everything_lost_by_everybodys_word, Verdict.SUSPECTED, NOT_LOST, "1 of 5"),
    Row(one_vantage_isolated, Verdict.WELL, NOT_LOST, "0 of"),
    Row(one_vantage_mistaken, Verdict.SUSPECTED, NOT_LOST, "1 of 5"),
    Row(two_vantages_of_one_kind_mistaken, Verdict.SUSPECTED, NOT_LOST, "2 of 5"),
    Row(all_workers_mistaken, Verdict.SUSPECTED, NOT_LOST, "no word of a second kind"),
    Row(peer_gets_nothing, Verdict.WELL, NOT_LOST),
    Row(peer_in_doubt_itself_and_others_mistaken, Verdict.SUSPECTED, NOT_LOST, "2 of 5"),
    Row(cell_lost_and_all_workers_slow, Verdict.UNKNOWN, NOT_LOST, "0 of"),
    Row(cell_lost_and_two_regions_slow, Verdict.SUSPECTED, NOT_LOST, "3 are needed"),
    Row(cell_lost_and_entity_stale, Verdict.LOST, MOVED, "4 of 5"),
    Row(entity_alone_says_not_ready, Verdict.SUSPECTED, NOT_LOST, "1 of 5"),
    # Is somebody at it?
    Row(restarted_by_a_visit, Verdict.SUSPECTED, NOT_LOST, "being brought to spring"),
    Row(disturbed_by_a_lease, Verdict.SUSPECTED, NOT_LOST, "drill/d1 is at it"),
    Row(cordoned, Verdict.LOST, MOVED),
    Row(quarantined, Verdict.LOST, MOVED),
    Row(holds_no_tenant, Verdict.LOST, NOT_LOST, "it holds no tenant"),
    # May the namespace move?
    Row(single_replica, Verdict.LOST, Choice.STAYS, "it has a single replica"),
    Row(opted_out, Verdict.LOST, Choice.STAYS, "managed failover off"),
    Row(being_deleted, Verdict.LOST, Choice.STAYS, "it is being deleted"),
    Row(
        being_changed,
        Verdict.LOST,
        Choice.WAITS,
        "(migrate m1: soak): abort that to let it fail over",
        asks_person=True,
    ),
    Row(failed_over_by_somebody_else_now, Verdict.LOST, Choice.MOVING, "is under way"),
    Row(
        incomplete_before,
        Verdict.LOST,
        Choice.WAITS,
        "2 executions are missing in it; who accepts that",
        asks_person=True,
    ),
    Row(incomplete_because_of_the_loss, Verdict.LOST, MOVED),
    # Can somebody take over?
    Row(target_lost_too, Verdict.LOST, Choice.WAITS, "c1: is lost: "),
    Row(target_of_three_lost_too, Verdict.LOST, MOVED),
    Row(target_whose_entity_is_silent, Verdict.LOST, Choice.WAITS, "c1: not ready: "),
    Row(target_without_headroom, Verdict.LOST, Choice.WAITS, "no headroom: namespaces: 0 needed"),
    Row(target_visited, Verdict.LOST, Choice.WAITS, "being brought to spring"),
    Row(target_leased, Verdict.LOST, Choice.WAITS, "evacuation/w1 is at it"),
    Row(target_quarantined, Verdict.LOST, Choice.WAITS, "quarantined by visit"),
    Row(target_cordoned, Verdict.LOST, MOVED),
    # Is it too much at once?
    Row(another_cell_left_already, Verdict.LOST, Choice.WAITS, "and 1 may be, or more of one"),
    Row(no_budget_at_all, Verdict.LOST, Choice.WAITS, "and 0 may be"),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.world.__name__)
def test_the_table(row: Row) -> None:
    fleet = Watched().has(namespace(ORDERS, E1, W1))
    fleet.watch(MINUTE)
    assert fleet.verdict(E1) is Verdict.WELL

    row.world(fleet)
    fleet.watch(2 * MINUTE)

    told = fleet.told(E1)
    moves = [move for move in fleet.moved if move.namespace == ORDERS]
    assert told.verdict is row.verdict
    if row.outcome is NOT_LOST:
        assert moves == []
        assert all(each.namespace != ORDERS for each in fleet.plan.decisions)
        assert row.because in f"{told.quorum}; {told.why_not}"
    elif row.outcome is MOVED:
        (move,) = moves
        assert move.mode is row.mode
        assert row.because in move.reason
        assert fleet.namespaces[ORDERS].active == move.target != E1
    else:
        assert moves == []
        decision = fleet.decision(ORDERS)
        assert decision.choice is row.outcome
        assert row.because in decision.reason
        assert decision.asks_person is row.asks_person
