"""A rollout in words: how it is, what it needs, what was decided."""

from datetime import datetime, timedelta

from controlplane.cli.output import moment
from rollout.types import CellStatus, Event, Outcome, Phase, RolloutView

SUCCEEDED = frozenset({Outcome.SUCCEEDED, Outcome.SUCCEEDED_WITH_DEFERRALS})
UNDER_WAY = frozenset({CellStatus.VISITING, CellStatus.REVERTING})


def how_it_is(rollout: RolloutView) -> str:
    """Return the rollout's state in a few words."""
    if rollout.outcome is not None:
        return str(rollout.outcome)
    if rollout.paused_by:
        return f"{rollout.phase}, paused"
    return str(rollout.phase)


def needs_a_person(rollout: RolloutView) -> str:
    """Return why it cannot go on by itself, and what to do; empty when it can."""
    if rollout.phase is Phase.ENDED:
        return ""
    if rollout.phase is Phase.HALTED:
        if any(progress.status in UNDER_WAY for progress in rollout.cells.values()):
            return "Nothing starts any more; what is under way comes to its end first"
        return "It waits for a person: controlplane rollout resume, retry, skip, rollback or abort"
    if rollout.blocked:
        return f"It cannot go on by itself: {rollout.blocked}"
    if rollout.paused_by:
        return f"Paused by {rollout.paused_by}. Go on with: controlplane rollout resume"
    return ""


def event_line(event: Event) -> str:
    """Return what was decided, with who asked for it, as a line."""
    about = f" {event.cell}" if event.cell else ""
    said = f": {event.message}" if event.message else ""
    by = f" ({event.actor})" if event.actor else ""
    return f"{moment(event.at)}  {event.what}{about}{said}{by}"


def when(at: datetime, now: datetime) -> str:
    """Return a time of today by the clock alone."""
    near = at.astimezone().date() == now.astimezone().date() and at - now < timedelta(days=1)
    return moment(at)[11:16] if near else moment(at)[:16]
