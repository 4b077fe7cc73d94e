"""Rollouts as they publish themselves, at a noon of ours wherever the tests run."""

from dataclasses import replace
from datetime import datetime, timedelta

from cells.visits.types import Visit, VisitPhase
from controlplane.cli.rollout.screen import Look
from rollout.bake import Bake
from rollout.gates import Verdict
from rollout.people import Approval
from rollout.policy import Lane
from rollout.types import (
    CellProgress,
    CellStatus,
    Event,
    Outcome,
    Phase,
    RingProgress,
    RolloutView,
    Wait,
    WaitCode,
)

NOW = datetime.fromisoformat("2026-11-22T12:00").astimezone()
HOUR = timedelta(hours=1)

_RING_1 = (
    [CellStatus.DONE] * 3
    + [CellStatus.VISITING] * 2
    + [CellStatus.FAILED, CellStatus.DEFERRED]
    + [CellStatus.WAITING] * 3
)


def progress(status: CellStatus, ring: int = 1, visit: str = "") -> CellProgress:
    return CellProgress(status, ring, visit=visit, since=NOW - timedelta(minutes=3))


def rollout(ring_2: int = 3) -> RolloutView:
    """Return a rollout in the midst of ring 1, with so many cells in ring 2 to come."""
    cells = {"synthetic-c0": progress(CellStatus.DONE, 0)}
    cells |= {f"aws-c{i}": progress(s, 1, f"v{i}") for i, s in enumerate(_RING_1)}
    cells |= {f"gcp-c{i:05}": progress(CellStatus.WAITING, 2) for i in range(ring_2)}
    bake = Bake(
        4 * HOUR,
        began_at=NOW - 3 * HOUR,
        counted_until=NOW,
        credit=timedelta(hours=2, minutes=30),
        verdict=Verdict.PASS,
    )
    return RolloutView(
        id="1.32.0",
        revision=7,
        release="1.32.0",
        release_digest="d1" * 32,
        server_version="1.32.0",
        lane=Lane.NORMAL,
        phase=Phase.FORWARD,
        outcome=None,
        message="",
        paused_by="",
        actor="ann@acme.dev",
        reason="quarterly upgrade",
        started_at=NOW - 3 * HOUR,
        ended_at=None,
        ring=1,
        rings={
            0: RingProgress(2, baked=True),
            1: RingProgress(2, bake=bake, approvals=[Approval("bob@acme.dev", "p1", NOW)]),
        },
        cells=cells,
        waits=(
            *(
                Wait(cell, WaitCode.RING, "ring 1 is not through")
                for cell in cells
                if cell.startswith("gcp")
            ),
            Wait("aws-c7", WaitCode.CALENDAR, "freeze 'year-end'", NOW + 5 * HOUR),
            Wait("aws-c8", WaitCode.BUDGET, "1 of 2 is left, and 2 cells are under way"),
            Wait("aws-c9", WaitCode.BUDGET, "1 of 2 is left, and 2 cells are under way"),
        ),
        budgets={0: "0 of 0 left", 1: "1 of 2 left, 2 under way"},
        plan_hash="p1",
        holds={},
        overrides={},
        confounded={},
        events=(
            Event(11, NOW - timedelta(minutes=20), "cell done", "in 3m", cell="aws-c2"),
            Event(12, NOW - timedelta(minutes=5), "held", "an audit", "ann@acme.dev", "aws-c6"),
        ),
        eta_p50=NOW + timedelta(days=3),
        eta_p90=NOW + timedelta(days=5),
    )


def look(view: RolloutView | None = None) -> Look:
    """Return a look at it in which the server of one cell is being changed."""
    visit = Visit(
        "v3",
        "1.32.0",
        "rollout/1.32.0",
        VisitPhase.SERVER,
        "from 1.31.2 to 1.32.0",
        NOW - timedelta(seconds=12),
    )
    return Look(view or rollout(), {"aws-c3": visit})


def ended(outcome: Outcome, message: str = "") -> RolloutView:
    return replace(
        rollout(), phase=Phase.ENDED, outcome=outcome, message=message, ended_at=NOW, ring=None
    )
