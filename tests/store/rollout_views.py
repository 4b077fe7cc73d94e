"""Releases and rollouts as they are kept and published."""

from datetime import timedelta

from cells.release import Release
from rollout.policy import Lane, default_policy
from rollout.types import (
    CellProgress,
    CellStatus,
    Event,
    Phase,
    RingProgress,
    RolloutView,
    StartRollout,
    Wait,
    WaitCode,
)
from tests.store.views import CELL, NOW

OTHER_CELL = "aws-us-west-2-c1"


def release(name: str = "server-1.31.2", version: str = "1.31.2") -> Release:
    return Release(name, version, configuration={"history.shards": 4, "a.b": 0.5})


def start_rollout(rollout: str = "r1", carried: Release | None = None) -> StartRollout:
    return StartRollout(
        rollout, carried or release(), default_policy(), "olga@example.com", "newer is better"
    )


def event(number: int, what: str = "cell done", cell: str = CELL) -> Event:
    return Event(number, NOW + timedelta(minutes=number), what, f"number {number}", "olga", cell)


def rollout_view(
    rollout: str = "r1",
    *,
    revision: int = 1,
    phase: Phase = Phase.FORWARD,
    events: tuple[Event, ...] = (),
    message: str = "",
) -> RolloutView:
    """Return a rollout with one cell done and one to come."""
    wait = Wait(OTHER_CELL, WaitCode.BAKE, "ring 1 bakes", NOW + timedelta(hours=1))
    return RolloutView(
        id=rollout,
        revision=revision,
        release="server-1.31.2",
        release_digest=release().digest,
        server_version="1.31.2",
        lane=Lane.NORMAL,
        phase=phase,
        outcome=None,
        message=message,
        paused_by="",
        actor="olga@example.com",
        reason="newer is better",
        started_at=NOW,
        ended_at=None,
        ring=1,
        rings={1: RingProgress(batches=1, members=(CELL,))},
        cells={
            CELL: CellProgress(CellStatus.DONE, 1, "1.30.1", before_release="0" * 64),
            OTHER_CELL: CellProgress(CellStatus.WAITING, 1, "1.30.1"),
        },
        waits=(wait,),
        budgets={1: "0 of 0 left"},
        plan_hash="abc",
        holds={},
        overrides={},
        confounded={},
        events=events,
    )
