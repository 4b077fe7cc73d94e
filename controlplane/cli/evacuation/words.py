"""An evacuation in words: how it is, what happened, what a person has to do."""

from datetime import datetime

from controlplane.cli.durations import rough
from controlplane.cli.output import moment
from provisioning.evacuation.policy import EvacuationKind
from provisioning.evacuation.types import (
    EvacuationView,
    Event,
    Outcome,
    Phase,
    Progress,
    Status,
)

SUCCEEDED = (Outcome.SUCCEEDED,)
_DOING = {
    EvacuationKind.EVACUATE: "Evacuating",
    EvacuationKind.DRAIN: "Draining",
    EvacuationKind.DRILL: "Drill in",
}


def title(view: EvacuationView) -> str:
    return f"{_DOING[view.kind]} {view.cell} ({view.id})"


def how_it_is(view: EvacuationView) -> str:
    """Return the phase, or how it ended."""
    if view.phase is Phase.ENDED:
        return str(view.outcome or view.phase)
    return f"{view.phase}, paused by {view.paused_by}" if view.paused_by else str(view.phase)


def counts_line(counts: dict[Status, int]) -> str:
    """Return how many namespaces have each status."""
    return ", ".join(f"{counts[status]} {status}" for status in Status if counts.get(status))


def needs_a_person(view: EvacuationView) -> str:
    """Return what somebody has to do for it to go on; empty for nothing."""
    if view.phase is Phase.ENDED:
        return ""
    said = view.waits_for or view.blocked
    if view.paused_by:
        return f"It is paused: go on with controlplane evacuation resume {view.cell}"
    return f"It waits for a person: {said}" if said else ""


def eta_line(view: EvacuationView, now: datetime) -> str:
    """Return when it may be through; empty when that is not known."""
    if view.phase is Phase.ENDED or view.eta_p50 is None:
        return ""
    left = rough(max(view.eta_p50 - now, now - now))
    late = "" if view.eta_p90 is None else f", by {moment(view.eta_p90)} nine times in ten"
    return f"about {left} left{late}"


def event_line(event: Event) -> str:
    about = f" {event.namespace}" if event.namespace else ""
    by = f" by {event.actor}" if event.actor else ""
    told = f": {event.message}" if event.message else ""
    return f"{moment(event.at)}  {event.what}{about}{by}{told}"


def doing(progress: Progress) -> str:
    """Return what is under way with a namespace, or why it stays."""
    move = progress.move
    if move is None:
        return progress.message
    asked = f", waits for: {move.waits_for}" if move.waits_for else ""
    return f"{move.kind} to {move.target}{f', {move.phase}' if move.phase else ''}{asked}"
