"""What an evacuation makes of what was published: of cells, of namespaces, of the ledger."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cells.ledger.types import Conflict, ConflictKind, LeaseView, LedgerView, Purpose
from cells.types import CellView, Cordon
from cells.visits.types import Visit, VisitPhase
from controlplane.resource import Condition, ConditionStatus
from provisioning.evacuation.facts import CellFacts, MoveFacts, NamespaceFacts
from provisioning.evacuation.following import Followed, is_news, move_facts
from provisioning.evacuation.leases import hindered, is_due, wanted
from provisioning.evacuation.policy import EvacuationKind
from provisioning.evacuation.seen import take_in
from provisioning.evacuation.survey import survey
from provisioning.evacuation.types import Move, MoveKind
from provisioning.tiers import Tier
from provisioning.types import (
    Failover,
    FailoverCause,
    FailoverMode,
    NamespaceCondition,
    NamespaceLife,
    NamespaceView,
    Operation,
    OperationKind,
    OperationState,
    ReplicaChange,
    ReplicaChangeKind,
    ReplicaProgress,
)
from tests.engine import cell_view
from tests.provisioning.evacuation.emptying import BESIDE, HERE, LONG_AGO, THERE, cell, namespace
from tests.provisioning.evacuation.pretended import HERE as PRETENDED
from tests.provisioning.evacuation.pretended import Pretended, a_namespace, evacuation

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
EMPTY = LedgerView(revision=0)


def of_cell(view: CellView, ledger: LedgerView = EMPTY) -> CellFacts:
    (facts,) = survey(view.id, [view], [], ledger, NOW).cells
    return facts


def of_namespace(view: NamespaceView) -> NamespaceFacts:
    (facts,) = survey(HERE, [], [view], EMPTY, NOW).namespaces
    return facts


def test_of_the_fleet_only_the_cells_are_seen_that_concern_this_one() -> None:
    known = [cell(HERE), cell(THERE), cell(BESIDE), cell_view("aws-us-west-2-c1")]
    seen = survey(HERE, known, [namespace("a")], EMPTY, NOW)
    assert [each.id for each in seen.cells] == [HERE, THERE]

    seen = survey(HERE, known, [namespace("a")], EMPTY, NOW, regions=["aws-us-east-1"])
    assert {BESIDE, HERE, THERE} <= {each.id for each in seen.cells}


def test_a_cell_nobody_may_rely_on_is_sick() -> None:
    assert of_cell(cell(HERE)).sick == ""
    assert of_cell(replace(cell(HERE), conditions={})).sick == "nobody has looked at it yet"
    assert of_cell(cell_view(HERE, ready=False)).sick == "not ready: AllPartsAnswer"
    broken = replace(cell(HERE), quarantine=Cordon("fan", "cyd", LONG_AGO))
    assert of_cell(broken).sick == "quarantined by cyd: fan"
    silent = replace(cell(HERE), said_at=NOW - timedelta(hours=1))
    assert "its entity has said nothing since" in of_cell(silent).sick


def test_a_cell_is_disturbed_by_visits_and_by_leases_of_others() -> None:
    def leased(holder: str) -> LedgerView:
        lease = LeaseView(HERE, holder, Purpose.ROLLOUT, LONG_AGO, 1, 0)
        return LedgerView(1, (lease,))

    assert of_cell(cell(HERE), leased("rollout/r1")).disturbed == "rollout/r1 is at it"
    assert of_cell(cell(HERE), leased(f"evacuation/{HERE}")).disturbed == ""
    visit = Visit("v1", "server-1.32", "rollout/r1", VisitPhase.SERVER, "", LONG_AGO)
    visited = replace(cell(HERE), visit=visit)
    assert of_cell(visited).disturbed == "it is being brought to server-1.32"


def test_a_namespace_is_what_its_owner_and_its_entity_say_of_it() -> None:
    facts = of_namespace(namespace("a", tier=Tier.GOLD, opted_out=True))
    assert (facts.tier, facts.opted_out, facts.is_active) == (Tier.GOLD, True, True)
    assert facts.cells == (HERE, THERE)
    assert of_namespace(replace(namespace("a"), life=NamespaceLife.DELETING)).is_active is False


@pytest.mark.parametrize(
    ("status", "behind"),
    [
        (ConditionStatus.TRUE, ""),
        (ConditionStatus.FALSE, f"{THERE} lacks 3"),
        # The cell that is evacuated may be the very one that could not be looked at.
        (ConditionStatus.UNKNOWN, ""),
    ],
    ids=["complete", "missing", "unknown"],
)
def test_replicas_are_behind_when_something_is_known_to_be_missing(
    status: ConditionStatus, behind: str
) -> None:
    kind = NamespaceCondition.REPLICATED
    said = Condition(kind, status, "BeingCopied", 1, LONG_AGO, f"{THERE} lacks 3")
    assert of_namespace(replace(namespace("a"), conditions={kind: said})).behind == behind


def test_a_replica_whose_ingress_was_not_proven_is_not_open() -> None:
    view = namespace("a")
    closed = replace(view.passive[THERE], proof=None)
    assert of_namespace(view).passive[0].is_open
    assert not of_namespace(replace(view, passive={THERE: closed})).passive[0].is_open


def test_the_replica_in_the_region_that_is_wanted_first_comes_first() -> None:
    view = namespace("a", passive=(BESIDE, THERE))
    spec = replace(view.spec, replicas=("gcp-us-central1", "aws-us-east-1"))
    assert [each.cell for each in of_namespace(replace(view, spec=spec)).passive] == [THERE, BESIDE]


# How far a move is.

MOVE = Move("e1-a-1", MoveKind.FAILOVER, HERE, THERE, FailoverMode.GRACEFUL, NOW, revision=5)
FOLLOWED = Followed("a.acme1", "uid-of-a", MOVE)


def moving(state: OperationState | None, **changes: object) -> NamespaceView:
    operations = (
        ()
        if state is None
        else (Operation("e1-a-1", OperationKind.FAIL_OVER, state, NOW, failure_reason="slow"),)
    )
    view = replace(namespace("a"), revision=6, operations=operations)
    return replace(view, **changes)  # type: ignore[arg-type] # any field


def test_a_namespace_that_is_gone_or_another_ends_the_move() -> None:
    assert not move_facts(None, FOLLOWED, NOW).exists
    assert not move_facts(moving(None, uid="another"), FOLLOWED, NOW).exists
    assert is_news(move_facts(None, FOLLOWED, NOW), MOVE)


def test_a_view_from_before_the_request_says_nothing_of_the_move() -> None:
    old = move_facts(moving(OperationState.FULFILLED, revision=4), FOLLOWED, NOW)
    assert not is_news(old, MOVE)


def test_the_record_of_the_failover_says_how_long_it_took_and_how_it_was_done() -> None:
    def failover(at: datetime, took: int) -> Failover:
        cause = FailoverCause.EVACUATION
        return Failover(at, HERE, THERE, cause, forced=True, took=timedelta(seconds=took))

    before, this = failover(NOW - timedelta(days=1), 9), failover(NOW + timedelta(seconds=3), 2)
    view = moving(OperationState.FULFILLED, failovers=(before, this))
    facts = move_facts(view, FOLLOWED, NOW)
    assert (facts.took, facts.forced) == (timedelta(seconds=2), True)
    assert is_news(facts, MOVE)


def test_a_change_that_is_not_the_moves_is_waited_for() -> None:
    change = ReplicaChange("c1", ReplicaChangeKind.ADD, "other", "", THERE, "r", NOW)
    facts = move_facts(moving(None, change=change), FOLLOWED, NOW)
    assert (facts.change, facts.phase) == ("c1", "")
    assert not is_news(facts, MOVE)


def test_what_a_migration_waits_for_is_news_once() -> None:
    change = ReplicaChange(
        *("c1", ReplicaChangeKind.MIGRATE, "e1-a-1", HERE, BESIDE, "r", NOW),
        progress=ReplicaProgress("soak", waits_for="confirm it"),
    )
    facts = move_facts(moving(OperationState.IN_PROGRESS, change=change), FOLLOWED, NOW)
    assert (facts.change, facts.phase, facts.waits_for) == ("c1", "soak", "confirm it")
    assert is_news(facts, MOVE)
    assert not is_news(facts, replace(MOVE, change="c1", waits_for="confirm it"))
    assert isinstance(facts, MoveFacts)


# The lease.


def pretended(*namespaces: NamespaceFacts, kind: EvacuationKind) -> Pretended:
    world = Pretended(evacuation(kind), {}, {each.id: each for each in namespaces})
    take_in(world.state, world.survey(), world.now)
    return world


def test_a_lease_names_the_namespaces_that_have_another_replica_and_are_not_done() -> None:
    many = (a_namespace("pair"), a_namespace("single", passive=()))
    world = pretended(*many, kind=EvacuationKind.EVACUATE)
    assert wanted(world.state, world.survey()).namespaces == ("pair",)
    # To be migrated is to be a pair for a while.
    world = pretended(*many, kind=EvacuationKind.DRAIN)
    assert wanted(world.state, world.survey()).namespaces == ("pair", "single")


def test_the_ledger_is_asked_again_when_more_is_wanted_and_later_when_less_is() -> None:
    world = pretended(a_namespace("a"), a_namespace("b"), kind=EvacuationKind.EVACUATE)
    state, now = world.state, world.now
    lease = wanted(state, world.survey())
    assert is_due(state, lease, now)
    state.lease, state.lease_asked_at, state.leased = 7, now, ["a", "b"]
    assert not is_due(state, lease, now + timedelta(hours=1))
    state.leased = ["a"]
    assert is_due(state, lease, now)
    state.lease_conflicts = {"b": "x is at it"}
    assert not is_due(state, lease, now)
    assert is_due(state, lease, now + timedelta(seconds=5))
    state.leased, state.lease_conflicts = ["a", "b", "done"], {}
    assert not is_due(state, lease, now)
    assert is_due(state, lease, now + timedelta(minutes=1))


def test_of_a_refused_lease_it_is_known_which_namespaces_are_in_the_way() -> None:
    pair = Conflict(ConflictKind.PAIR, "a", "there", "rollout/r1")
    replicas = {"a": (PRETENDED, "there"), "b": (PRETENDED, "there"), "c": (PRETENDED, "far")}
    found = hindered(("a", "b", "c"), replicas, [pair])
    why = "there has a replica of it and is disturbed by rollout/r1"
    assert (found.namespaces, found.cell) == ({"a": why, "b": why}, "")

    taken = Conflict(ConflictKind.CELL, PRETENDED, PRETENDED, "rollout/r1")
    assert hindered((), replicas, [taken]).cell == (
        "rollout/r1 is at here: wait for it, or, if it can do no more to here, fence its lease "
        "(`controlplane ledger fence here`)"
    )
