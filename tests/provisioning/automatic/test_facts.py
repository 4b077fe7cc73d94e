"""What is made of the published views of cells and namespaces."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cells.types import Capacity, CellCondition, Cordon
from controlplane.resource import Condition, ConditionStatus
from provisioning.automatic.facts import cell_facts, namespace_facts
from provisioning.automatic.sight import AskedOperation, NamespaceFacts, ReplicaFacts
from provisioning.types import (
    Failover,
    FailoverCause,
    NamespaceCondition,
    NamespaceLife,
    NamespaceView,
    ObservedNamespace,
    Operation,
    OperationKind,
    OperationState,
    ReplicaChange,
    ReplicaChangeKind,
    ReplicaProgress,
)
from tests.engine import cell_spec, cell_view
from tests.provisioning.automatic.running import living
from tests.provisioning.automatic.watching import E1, N1, ORDERS, W1

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
EARLIER, LATER = NOW - timedelta(minutes=1), NOW + timedelta(minutes=1)


def condition(kind: str, status: ConditionStatus, reason: str, message: str = "") -> Condition:
    return Condition(kind, status, reason, 1, NOW, message)


@pytest.mark.parametrize(
    ("status", "reason", "counts_as"),
    [
        (ConditionStatus.TRUE, "AllPartsAnswer", ConditionStatus.TRUE),
        (ConditionStatus.FALSE, "PartsFailing", ConditionStatus.FALSE),
        (ConditionStatus.FALSE, "Drifted", ConditionStatus.TRUE),
        (ConditionStatus.UNKNOWN, "EntitySilent", ConditionStatus.UNKNOWN),
    ],
)
def test_a_cell_is_as_ready_as_its_parts_answer(
    status: ConditionStatus, reason: str, counts_as: ConditionStatus
) -> None:
    ready = condition(CellCondition.READY, status, reason)
    view = replace(cell_view(E1), conditions={CellCondition.READY: ready})

    assert cell_facts(view, "", ()).ready is counts_as


def test_a_cell_that_nobody_has_looked_at_is_not_known_to_be_ready() -> None:
    facts = cell_facts(replace(cell_view(E1), conditions={}), "", ())

    assert facts.ready is ConditionStatus.UNKNOWN
    assert facts.ready_message == "nobody has looked at it yet"


def test_what_stands_against_a_cell_is_told_with_who_did_it_and_why() -> None:
    view = replace(
        cell_view(E1, replace(cell_spec(ring=0), capacity=Capacity(1, 400))),
        cordon=Cordon("full", "sre@acme", NOW),
        quarantine=Cordon("does not start", "visit/v1", NOW),
        allocated=Capacity(1, 500),
    )

    facts = cell_facts(view, "drill/d1", (W1, N1))

    assert facts.is_synthetic
    assert facts.cordon == "by sre@acme: full"
    assert facts.quarantine == "by visit/v1: does not start"
    assert facts.lease == "drill/d1"
    assert facts.peers == (W1, N1)
    assert facts.shortages == ("actions per second: 0 needed, 0 free",)


def test_a_namespace_without_a_cell_is_nobodys_business() -> None:
    view = replace(living(ORDERS, E1, W1), observed=ObservedNamespace())

    assert namespace_facts(view) is None


def test_replicas_come_in_the_order_in_which_the_namespace_wants_them() -> None:
    facts = facts_of(living(ORDERS, E1, W1, N1))
    assert [replica.cell for replica in facts.passive] == [W1, N1]

    spec = replace(living(ORDERS, E1, W1, N1).spec, replicas=(E1[:-3], N1[:-3], W1[:-3]))
    facts = facts_of(replace(living(ORDERS, E1, W1, N1), spec=spec))
    assert facts.passive == (ReplicaFacts(N1, N1[:-3]), ReplicaFacts(W1, W1[:-3]))


@pytest.mark.parametrize(
    ("life", "why"),
    [
        (NamespaceLife.ACTIVE, ""),
        (NamespaceLife.UPDATE_FAILED, ""),
        (NamespaceLife.DELETING, "it is being deleted"),
        (NamespaceLife.ACTIVATING, "it was never whole"),
    ],
)
def test_a_namespace_that_comes_or_goes_is_left_alone(life: NamespaceLife, why: str) -> None:
    assert facts_of(replace(living(ORDERS, E1, W1), life=life)).leaving == why


def test_where_a_namespace_was_driven_from_is_remembered_beyond_what_came_after() -> None:
    driven = Failover(NOW, E1, W1, FailoverCause.AUTOMATIC, forced=True)
    by_hand = Failover(NOW, W1, N1, FailoverCause.MANUAL, forced=False)
    view = replace(living(ORDERS, N1, E1, W1), failovers=(driven, by_hand))

    facts = facts_of(view)

    assert facts.driven_from == E1
    assert (facts.last_cause, facts.last_source, facts.last_target) == (
        FailoverCause.MANUAL,
        W1,
        N1,
    )


@pytest.mark.parametrize(
    ("operation", "kept_by"),
    [
        (Operation("op-9", OperationKind.FAIL_OVER, OperationState.FULFILLED, LATER), "op-9"),
        (Operation("op-9", OperationKind.FAIL_OVER, OperationState.FAILED, LATER), ""),
        (Operation("op-9", OperationKind.UPDATE, OperationState.FULFILLED, LATER), ""),
        (Operation("op-9", OperationKind.FAIL_OVER, OperationState.FULFILLED, EARLIER), ""),
        (
            Operation(
                "failback-orders.acme1-1-1",
                OperationKind.FAIL_OVER,
                OperationState.FULFILLED,
                LATER,
            ),
            "",
        ),
    ],
    ids=["by hand", "in vain", "another change", "before", "ours"],
)
def test_who_fails_it_over_after_that_keeps_it_there(operation: Operation, kept_by: str) -> None:
    driven = Failover(NOW, E1, W1, FailoverCause.AUTOMATIC, forced=True)
    view = replace(living(ORDERS, W1, E1), failovers=(driven,), operations=(operation,))

    assert facts_of(view).kept_by == kept_by


def test_of_its_operations_only_ours_are_followed() -> None:
    def operation(name: str, state: OperationState) -> Operation:
        return Operation(name, OperationKind.FAIL_OVER, state, NOW, failure_reason="no luck")

    view = replace(
        living(ORDERS, E1, W1),
        operations=(
            operation("somebody-elses", OperationState.FAILED),
            operation(f"automatic-{ORDERS}-1-1", OperationState.FAILED),
        ),
    )

    assert facts_of(view).asked == (
        AskedOperation(f"automatic-{ORDERS}-1-1", OperationState.FAILED, "no luck"),
    )


def test_replicas_that_are_known_to_lack_something_are_told() -> None:
    lacks = condition(
        NamespaceCondition.REPLICATED, ConditionStatus.FALSE, "Missing", "2 executions are missing"
    )
    unknown = replace(lacks, status=ConditionStatus.UNKNOWN)
    view = living(ORDERS, E1, W1)

    facts = facts_of(replace(view, conditions={NamespaceCondition.REPLICATED: lacks}))
    assert (facts.incomplete_since, facts.incomplete) == (NOW, "2 executions are missing")
    facts = facts_of(replace(view, conditions={NamespaceCondition.REPLICATED: unknown}))
    assert (facts.incomplete_since, facts.incomplete) == (None, "")


def test_what_is_being_done_to_its_replicas_is_told() -> None:
    change = ReplicaChange(
        id="m1",
        kind=ReplicaChangeKind.MIGRATE,
        operation="op",
        source=E1,
        target=W1,
        region=W1[:-3],
        started_at=NOW - timedelta(minutes=1),
        progress=ReplicaProgress("copy"),
    )

    facts = facts_of(replace(living(ORDERS, E1, W1), change=change))

    assert (facts.change, facts.change_message) == (ReplicaChangeKind.MIGRATE, " m1: copy")


def facts_of(view: NamespaceView) -> NamespaceFacts:
    facts = namespace_facts(view)
    assert facts is not None, "it has a cell"
    return facts
