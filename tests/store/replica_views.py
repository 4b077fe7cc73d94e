"""Evacuations, links and what is decided about failovers, as they are published."""

from dataclasses import replace
from datetime import timedelta

from cells.replication.types import LinkHealth
from provisioning.automatic.types import (
    AvailabilityEvent,
    AvailabilityPolicy,
    AvailabilityView,
    Ballot,
    CellAvailability,
    Choice,
    NamespaceDecision,
    VantageKind,
    VantageView,
    Verdict,
    Vote,
)
from provisioning.evacuation.policy import EvacuationKind, default_policy
from provisioning.evacuation.types import (
    EvacuationView,
    Event,
    Move,
    MoveKind,
    MoveOutcome,
    Outcome,
    Phase,
    Progress,
    Report,
    StartEvacuation,
    Status,
    Wait,
    WaitCode,
)
from provisioning.tiers import Tier
from provisioning.types import FailoverMode
from tests.store.views import CELL, NOW

OTHER_CELL = "aws-us-west-2-c1"


def start_evacuation(evacuation: str = "e1", cell: str = CELL) -> StartEvacuation:
    kind = EvacuationKind.EVACUATE
    return StartEvacuation(
        evacuation, cell, kind, default_policy(kind), "olga@example.com", "its disk is slow"
    )


def evacuation_event(number: int, what: str = "moved") -> Event:
    return Event(number, NOW + timedelta(minutes=number), what, f"number {number}", "olga")


def evacuation_view(
    evacuation: str = "e1",
    *,
    cell: str = CELL,
    revision: int = 1,
    phase: Phase = Phase.FAILING_OVER,
    outcome: Outcome | None = None,
    message: str = "",
    events: tuple[Event, ...] = (),
) -> EvacuationView:
    """Return an evacuation with one namespace moved, one that moves and one that cannot."""
    start = start_evacuation(evacuation, cell)
    moved = Move("m1", MoveKind.FAILOVER, cell, OTHER_CELL, FailoverMode.GRACEFUL, NOW)
    moved = replace(moved, outcome=MoveOutcome.DONE, took=timedelta(seconds=3))
    moving = Move(
        "m2", MoveKind.FAILOVER, cell, OTHER_CELL, FailoverMode.GRACEFUL, NOW, phase="hand over"
    )
    return EvacuationView(
        id=evacuation,
        cell=cell,
        kind=start.kind,
        revision=revision,
        policy=start.policy,
        actor=start.actor,
        reason=start.reason,
        source_lost=False,
        phase=phase,
        outcome=outcome,
        message=message,
        paused_by="",
        started_at=NOW,
        ended_at=None if outcome is None else NOW + timedelta(minutes=9),
        cordoned=True,
        lease=7,
        soak_until=None,
        namespaces={
            "orders.acme1": Progress(Status.MOVED, Tier.GOLD, moves=(moved,)),
            "bills.acme1": Progress(Status.MOVING, Tier.SILVER, move=moving, since=NOW),
            "lone.acme1": Progress(
                Status.LEFT, code=WaitCode.SINGLE_REPLICA, message="it has one replica only"
            ),
            "late.acme1": Progress(Status.WAITING),
        },
        counts={Status.MOVED: 1, Status.MOVING: 1, Status.LEFT: 1, Status.WAITING: 1},
        waits=(Wait("late.acme1", WaitCode.RATE, "5 are under way", NOW + timedelta(minutes=1)),),
        blocked="",
        waits_for="",
        eta_p50=NOW + timedelta(minutes=2),
        eta_p90=NOW + timedelta(minutes=5),
        report=Report("1 of 3 moved so far", 1, 0, 0, 0, 1, None, None),
        events=events,
        events_made=len(events),
    )


def availability_event(number: int) -> AvailabilityEvent:
    at = NOW + timedelta(minutes=number)
    return AvailabilityEvent(number, at, "cell lost", f"number {number}", cell=CELL)


def availability_view(
    revision: int = 1, events: tuple[AvailabilityEvent, ...] = ()
) -> AvailabilityView:
    """Return that one cell is lost, and what becomes of its namespaces."""
    votes = (
        Vote("workers/aws-us-west-2", VantageKind.WORKERS, "aws-us-west-2", Ballot.LOST, NOW),
        Vote(f"entity/{CELL}", VantageKind.ENTITY, "", Ballot.ABSTAINS, None, "it is silent"),
    )
    lost = CellAvailability(
        CELL, "aws-us-east-1", Verdict.LOST, NOW, votes, "3 of 4 say lost: enough", "moves orders"
    )
    well = CellAvailability(OTHER_CELL, "aws-us-west-2", Verdict.WELL, NOW, (), "4 of 4 say well")
    return AvailabilityView(
        revision=revision,
        at=NOW,
        policy=AvailabilityPolicy(),
        paused=None,
        rounds=42,
        next_round=NOW + timedelta(seconds=10),
        blind="",
        vantages=(VantageView("aws-us-west-2", answers=True, trusted=True),),
        cells=(lost, well),
        namespaces=(
            NamespaceDecision(
                "orders.acme1", CELL, Choice.MOVES, "its cell is lost", target=OTHER_CELL
            ),
            NamespaceDecision("lone.acme1", CELL, Choice.STAYS, "it has one replica only"),
        ),
        events=events,
    )


def link(
    cell: str = OTHER_CELL,
    peer: str = CELL,
    *,
    seconds: int = 0,
    problems: tuple[str, ...] = (),
    lag: timedelta | None = timedelta(seconds=1.5),
) -> LinkHealth:
    return LinkHealth(cell, peer, NOW + timedelta(seconds=seconds), lag, problems)
