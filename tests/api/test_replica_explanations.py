"""Why a namespace is active where it is, and why it was failed over or not: in words."""

from dataclasses import replace
from datetime import timedelta

import pytest

from cells.replication.types import LinkHealth
from controlplane.api.replica_explanations import eta, explain_replicas
from controlplane.resource import Condition, ConditionStatus
from provisioning.automatic.types import AvailabilityView, Pause
from provisioning.types import (
    Failover,
    FailoverCause,
    NamespaceCondition,
    NamespaceView,
    ReplicaChange,
    ReplicaChangeKind,
    ReplicaProgress,
)
from tests.store.replica_views import OTHER_CELL, availability_view, link
from tests.store.views import CELL, NOW, REGION, namespace_view, replicated

OTHER = "aws-us-west-2"
CHANGE = ReplicaChange("3", ReplicaChangeKind.ADD, "op-1", "", OTHER_CELL, OTHER, NOW)


def words(view: NamespaceView, availability: AvailabilityView | None = None) -> str:
    return "\n".join(explain_replicas(view, (), availability, NOW).words)


def pair() -> NamespaceView:
    return replicated(REGION, OTHER)


def test_a_namespace_with_one_replica_goes_nowhere() -> None:
    assert words(namespace_view()) == (
        f"orders.acme1 is active in {REGION} (cell {CELL}).\n"
        "It has one replica only, and goes nowhere when its cell is lost: add a region."
    )


def test_its_last_failover_is_told_with_what_it_was_for() -> None:
    view = replace(
        replicated(REGION, OTHER, active=OTHER),
        failovers=(
            Failover(NOW, "c8", "c9", FailoverCause.MANUAL, forced=False),
            Failover(
                NOW,
                CELL,
                OTHER_CELL,
                FailoverCause.AUTOMATIC,
                forced=True,
                reason="the cell is lost",
                took=timedelta(seconds=3.21),
            ),
        ),
    )

    assert (
        f"It was failed over from {CELL} to {OTHER_CELL} at 2026-01-02 03:04:05 UTC, by force "
        "in 3.2 s (automatic): the cell is lost."
    ) in words(view)
    assert "c9" not in words(view)


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ((), "how far it is behind is not known"),
        ((link(OTHER_CELL, CELL, lag=None),), "how far it is behind is not known"),
        # What is pulled the other way says nothing.
        ((link(CELL, OTHER_CELL),), "how far it is behind is not known"),
        ((link(OTHER_CELL, CELL),), "was 1.50 s behind at 03:04:05 UTC"),
        (
            (link(OTHER_CELL, CELL, problems=("its stream is stuck", "3 dead letters")),),
            "does not keep up: its stream is stuck; 3 dead letters",
        ),
    ],
    ids=["never looked at", "silent", "the other way", "seen", "in trouble"],
)
def test_how_far_a_replica_is_behind_is_as_its_cell_was_seen(
    known: tuple[LinkHealth, ...], told: str
) -> None:
    found = explain_replicas(pair(), known, None, NOW)

    assert told in found.words[1]


def test_what_is_being_done_is_told_with_how_far_it_is() -> None:
    counted = replace(CHANGE, progress=ReplicaProgress("copy", "12 a second", done=5, of=20))
    asking = replace(
        CHANGE, progress=ReplicaProgress("soak", waits_for="say that the former cell may go")
    )

    assert "A replica is being added (change 3), in phase copy, 5 of 20: 12 a second." in words(
        replace(pair(), change=counted)
    )
    assert "in phase soak. It waits for a person: say that the former cell may go." in words(
        replace(pair(), change=asking)
    )


def test_the_time_that_is_left_follows_from_the_pace_so_far() -> None:
    def after(done: int, of: int) -> timedelta | None:
        now = NOW + timedelta(minutes=2)
        progress = ReplicaProgress("copy", done=done, of=of)
        found = eta(replace(CHANGE, progress=progress), now)
        return None if found is None else found - now

    assert after(5, 20) == timedelta(minutes=6)
    assert after(0, 20) is None
    assert after(20, 20) is None
    assert after(0, 0) is None


def test_a_replica_that_lacks_something_is_told() -> None:
    lacking = Condition(
        NamespaceCondition.REPLICATED, ConditionStatus.FALSE, "Missing", 1, NOW, "2 are missing"
    )
    view = replace(pair(), conditions={NamespaceCondition.REPLICATED: lacking})

    assert "Replicated is False: 2 are missing." in words(view)
    assert explain_replicas(view, (), None, NOW).replicated == lacking


PAUSED = replace(availability_view(), paused=Pause("olga", "the network is rebuilt", NOW))
UNMANAGED = replace(pair(), spec=replace(pair().spec, managed_failover=False))


@pytest.mark.parametrize(
    ("view", "availability", "told"),
    [
        (pair(), None, "Nothing watches over its cells"),
        (pair(), PAUSED, "are paused by the fleet's operators: the network is rebuilt."),
        (UNMANAGED, availability_view(), "its managed failover is turned off"),
        (
            pair(),
            replace(availability_view(), blind="PostgreSQL does not answer"),
            "Nothing can be decided about failovers now: PostgreSQL does not answer.",
        ),
        (
            pair(),
            availability_view(),
            f"Its cell {CELL} is lost (3 of 4 say lost: enough); next: moves orders.",
        ),
        (
            pair(),
            availability_view(),
            f"By the latest round it moves to {OTHER_CELL}: its cell is lost.",
        ),
    ],
    ids=["unwatched", "paused", "opted out", "blind", "a cell", "a decision"],
)
def test_why_it_is_or_is_not_failed_over_unasked_is_told(
    view: NamespaceView, availability: AvailabilityView | None, told: str
) -> None:
    assert told in words(view, availability)


def test_cells_that_are_well_are_not_worth_a_word() -> None:
    assert f"Its cell {OTHER_CELL}" not in words(pair(), availability_view())
