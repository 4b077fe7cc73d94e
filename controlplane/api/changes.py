"""What a call changes, as its handler tells: the audit log shows it beside the request."""

from contextvars import ContextVar
from dataclasses import dataclass

from pydantic import JsonValue


@dataclass(frozen=True)
class Change:
    before: JsonValue
    """None if there was nothing."""
    after: JsonValue
    """None if nothing is left."""


CHANGE: ContextVar[Change | None] = ContextVar("change", default=None)


def note_change(before: JsonValue, after: JsonValue) -> None:
    """Say, within a handler, what the call changed from what to what."""
    CHANGE.set(Change(before, after))
