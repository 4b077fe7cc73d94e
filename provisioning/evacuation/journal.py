"""What an evacuation decided, written down for people and for the audit log."""

from datetime import datetime

from provisioning.evacuation.types import EvacuationState, Event

MOST_EVENTS = 200


def note(
    state: EvacuationState,
    what: str,
    message: str,
    now: datetime,
    *,
    actor: str = "",
    namespace: str = "",
) -> None:
    """Write down something that was decided.

    The latest are kept, and all that nobody can read yet: each is recorded in the audit log.
    """
    state.events_made += 1
    state.events.append(Event(state.events_made, now, what, message, actor, namespace))
    unread = state.events_made - state.events_published
    del state.events[: -max(MOST_EVENTS, unread)]
