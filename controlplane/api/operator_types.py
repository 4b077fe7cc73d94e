"""What the Fleet API is asked, and answers, about the fleet itself: calendar, ledger, cells."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, Field

from controlplane.api.strict_body import Name, Reason, StrictBody
from rollout.calendar import EVERYWHERE, MOST_ENTRIES, Calendar, ChangeWindow, Freeze


@dataclass(frozen=True)
class CalendarDetails:
    """The calendar as it is now."""

    revision: int
    """Rises with every change; 0 before the first. The answer's `ETag` is the same."""
    calendar: Calendar
    changed_at: datetime | None
    changed_by: str
    reason: str
    """Of the last change."""


class NewCalendar(StrictBody):
    """All change windows and freezes that are to be. Incidents stay as they are."""

    windows: Annotated[tuple[ChangeWindow, ...], Field(max_length=MOST_ENTRIES)] = ()
    freezes: Annotated[tuple[Freeze, ...], Field(max_length=MOST_ENTRIES)] = ()
    revision: Annotated[int, Field(ge=0, le=2**62)] | None = None
    """The one that this changes, unless the header If-Match says it: another is refused."""
    reason: Reason


class NewBlocker(StrictBody):
    """An incident during which nothing starts, from now on."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """The same for the same incident: repeated, it is there once."""
    reason: Reason
    until: AwareDatetime | None = None
    """None until somebody takes it away."""
    selector: Name = EVERYWHERE
    """Such as `all`, `ring/2`, `provider/aws`, `region/aws-us-east-1`, `cell/<id>`."""
    blocks_rollback: bool = False
    """Cells must be left alone altogether."""


class Fencing(StrictBody):
    """The caller vouches that the holder of a lease can do no more to the cell."""

    holder: Annotated[str, Field(min_length=1, max_length=200)]
    """Whose lease it is: somebody else's is left alone."""
    reason: Reason


class CellRequest(StrictBody):
    """Something that is wanted of a cell."""

    reason: Reason
