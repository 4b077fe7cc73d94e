"""How long moves take, and when it may all be over. Pure."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from provisioning.evacuation.policy import EvacuationKind
from provisioning.evacuation.types import (
    Durations,
    EvacuationState,
    Move,
    MoveKind,
    MoveOutcome,
    Phase,
    Status,
)

MINUTE = timedelta(minutes=1)


def estimate(state: EvacuationState, quantile: float, now: datetime) -> datetime | None:
    """Return when it ends if all goes as it did so far; None when a person has to say first.

    What waits for something that nobody can foretell is counted as if it did not.
    """
    if state.phase in (Phase.ENDED, Phase.STOPPING) or state.paused_by:
        return None
    policy, each = state.policy, state.namespaces.values()
    failover = usual(state.failover_seconds, policy.failover_takes, quantile)
    migration = usual(state.migration_seconds, policy.migration_takes, quantile)
    unfinished = [one for one in each if one.status in (Status.WAITING, Status.MOVING)]
    to_migrate = sum(
        one.stage is Phase.MIGRATING or state.kind is EvacuationKind.DRAIN for one in unfinished
    )
    away = sum(
        one.stage is Phase.FAILING_OVER
        and (one.move is None or one.move.kind is not MoveKind.MIGRATION)
        for one in unfinished
    )
    takes = _turns(away, policy.at_once, policy.per_minute, failover)
    takes += _turns(to_migrate, policy.migrate_at_once, policy.per_minute, migration)
    if to_migrate:
        takes += policy.migration_soak
    if state.kind is EvacuationKind.DRILL:
        takes += _drill_takes(state, away, failover, now)
    return now + takes


def usual(seconds: Sequence[float], expected: timedelta, quantile: float) -> timedelta:
    """Return how long this share of moves takes at most, by guess before any is seen."""
    if not seconds:
        return expected
    ascending = sorted(seconds)
    return timedelta(seconds=ascending[max(math.ceil(len(ascending) * quantile) - 1, 0)])


def durations(moves: Sequence[Move], kind: MoveKind) -> Durations | None:
    """Return how long failovers took by the namespaces' own records; None without any."""
    took = [
        move.took.total_seconds()
        for move in moves
        if move.kind is kind and move.outcome is MoveOutcome.DONE and move.took
    ]
    if not took:
        return None
    nothing = timedelta(0)
    return Durations(
        count=len(took),
        p50=usual(took, nothing, 0.5),
        p90=usual(took, nothing, 0.9),
        longest=timedelta(seconds=max(took)),
    )


def _drill_takes(
    state: EvacuationState, away: int, failover: timedelta, now: datetime
) -> timedelta:
    moved = sum(one.status in (Status.MOVED, Status.RETURNING) for one in state.namespaces.values())
    back = _turns(away + moved, state.policy.at_once, state.policy.per_minute, failover)
    match state.phase:
        case Phase.RETURNING:
            return back
        case Phase.SOAKING:
            return back + max((state.soak_until or now) - now, timedelta(0))
        case _:
            return back + state.policy.drill_soak


def _turns(count: int, at_once: int, per_minute: int, each: timedelta) -> timedelta:
    """Return how long so many take, `at_once` at a time and no more than the rate begun."""
    if not count:
        return timedelta(0)
    by_rate = MINUTE * ((count - 1) / per_minute) + each
    return max(each * math.ceil(count / at_once), by_rate)
