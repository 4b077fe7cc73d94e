"""What an evacuation would do if it began now. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from provisioning.evacuation.eta import estimate
from provisioning.evacuation.facts import Survey
from provisioning.evacuation.plan import new_state
from provisioning.evacuation.policy import EvacuationKind
from provisioning.evacuation.seen import take_in
from provisioning.evacuation.turns import take_turns
from provisioning.evacuation.types import (
    EvacuationState,
    Phase,
    Plan,
    Start,
    StartEvacuation,
    Wait,
    WaitCode,
)

_UNLIMITED = 1 << 30


@dataclass(frozen=True)
class Preview:
    failovers: tuple[Start, ...]
    """In the order in which they would begin."""
    migrations: tuple[Start, ...]
    """Of a drain, once they are over; with whom one shares a cell then may change where it goes."""
    obstacles: tuple[Wait, ...]
    """What could not move now, and why: it would be waited for, or left."""
    takes: timedelta
    """If all goes as expected."""


def preview(request: StartEvacuation, survey: Survey, now: datetime) -> Preview:
    """Return what would be moved where, and what would not and why.

    The ledger is not asked: of who else disturbs a cell, what was published counts.
    """
    state = new_state(request)
    state.phase = Phase.FAILING_OVER
    take_in(state, survey, now)
    state.leased = sorted(state.namespaces)
    # Everything at once, so that what waits does so for another reason.
    state.policy = replace(
        request.policy, at_once=_UNLIMITED, per_minute=_UNLIMITED, migrate_at_once=_UNLIMITED
    )
    away, known = take_turns(state, survey, now), state.namespaces
    left = [Wait(mark.namespace, mark.code, mark.message) for mark in away.marks]
    waits = [wait for wait in away.waits if wait.code is not WaitCode.STAGE]
    migrated = Plan()
    if request.kind is EvacuationKind.DRAIN:
        migrated = _migrated(state, survey, now)
        moved = {start.namespace for start in migrated.starts}
        waits = [wait for wait in waits if wait.namespace not in moved]
        told = {wait.namespace for wait in waits}
        waits += [wait for wait in migrated.waits if wait.namespace not in told]
    moving = {start.namespace for start in (*away.starts, *migrated.starts)}
    state.policy = request.policy
    state.namespaces = {name: known[name] for name in sorted(moving)}
    ends = estimate(state, 0.5, now)
    return Preview(
        failovers=away.starts,
        migrations=migrated.starts,
        obstacles=(*left, *waits),
        takes=timedelta(0) if ends is None else ends - now,
    )


def _migrated(state: EvacuationState, survey: Survey, now: datetime) -> Plan:
    """Plan the migrations as if nothing were failed over: a replica leaves the cell either way."""
    state.phase = Phase.MIGRATING
    state.namespaces = {
        name: replace(progress, stage=Phase.MIGRATING)
        for name, progress in state.namespaces.items()
    }
    return take_turns(state, survey, now)
