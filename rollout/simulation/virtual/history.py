"""What a server would have written down of one run, so that the SDK can replay it."""

import zlib
from datetime import datetime

from google.protobuf.message import Message
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from controlplane.payloads import COMPRESSED_FROM

ENVELOPE = 25
"""Bytes of an event around its attributes."""
_FIELDS = {
    field.message_type.name: field.name  # type: ignore[union-attr]  # Each is a message.
    for field in HistoryEvent.DESCRIPTOR.oneofs_by_name["attributes"].fields
}
"""Where an event has its attributes, by what they are called."""


class History:
    """The events of one run: all of them when they are kept, else how many and how large."""

    def __init__(self, *, kept: bool) -> None:
        self.events: list[HistoryEvent] = []
        self.length = 0
        self.size = 0
        """Bytes, large payloads compressed as `controlplane.payloads` does."""
        self._kept = kept

    def add(self, at: datetime, attributes: Message) -> int:
        """Write an event down, and return its number."""
        self.length += 1
        self.size += _weight(attributes)
        if self._kept:
            self.events.append(_event(self.length, at, attributes))
        return self.length


def _weight(attributes: Message) -> int:
    size = attributes.ByteSize()
    if size >= COMPRESSED_FROM:
        size = len(zlib.compress(attributes.SerializeToString(), level=1))
    return size + ENVELOPE


def _event(number: int, at: datetime, attributes: Message) -> HistoryEvent:
    field = _FIELDS[type(attributes).__name__]
    kind = f"EVENT_TYPE_{field.removesuffix('_event_attributes').upper()}"
    event = HistoryEvent(event_id=number, event_type=EventType.Value(kind))
    event.event_time.FromDatetime(at)
    getattr(event, field).CopyFrom(attributes)
    return event
