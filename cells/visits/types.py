"""What a visit is asked for, where it is, and how it ended."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cells.release import Release, Software


class VisitPhase(StrEnum):
    PREFLIGHT = "preflight"
    SCHEMA = "schema"
    SERVER = "server"
    VERIFY = "verify"
    UNDO = "undo"
    """What the visit had changed is being changed back."""
    DONE = "done"


class VisitOutcome(StrEnum):
    DONE = "done"
    REFUSED = "refused"
    """Preflight found the cell unfit; nothing was touched."""
    UNDONE = "undone"
    """The cell is healthy, at what it had before the hop that failed."""
    BROKEN = "broken"
    """It could be brought neither forward nor back: the cell is quarantined."""


@dataclass(frozen=True)
class VisitRules:
    """How patient a visit is, and when it believes a cell."""

    settle: timedelta = timedelta(minutes=10)
    """Between two hops: the history service rewrites the metadata of all shards ("allow about ten
    minutes per version", Temporal's documentation)."""
    verify_for: timedelta = timedelta(minutes=2)
    """How long a cell has to stay healthy, canaries included, to count as done."""
    healthy_within: timedelta = timedelta(minutes=10)
    """How long it may take to become healthy before the hop is undone."""


@dataclass(frozen=True)
class Before:
    """What a cell had before a release came to it."""

    software: Software
    release: str
    """The digest of the release that this was; empty when it was none's."""


@dataclass(frozen=True)
class VisitRequest:
    """Bring `cell` to `release`, through `hops`."""

    id: str
    """Unique, and the same whenever the same visit is asked for again."""
    cell: str
    region: str
    release: Release
    hops: tuple[str, ...]
    """Server versions, one minor version apart, the last being the release's. Empty when only
    configuration or ingress change."""
    rules: VisitRules
    report_to: str = ""
    """The id of the workflow that is told how it ended, by its signal `visit_ended`."""
    back_to: Before | None = None
    """Exactly what the cell has to have again, where it goes back. A cell that is sick goes, too:
    that may be what makes it well."""


@dataclass(frozen=True)
class VisitReport:
    """How a visit ended."""

    visit: str
    cell: str
    outcome: VisitOutcome
    generation: int
    """Of the cell, the last that the visit wrote with; 0 when it wrote nothing."""
    software: Software | None
    """What the cell runs now, as far as is known."""
    message: str
    began_at: datetime
    ended_at: datetime
    gap: timedelta
    """The longest time for which the cell's server did not answer."""


@dataclass(frozen=True)
class Visit:
    """A visit as its cell shows it."""

    id: str
    release: str
    """The release's name."""
    by: str
    """The id of the workflow that asked for it."""
    phase: VisitPhase
    message: str
    since: datetime
    """When the phase began."""
    generation: int = 0
    """The cell's, with which the visit writes now."""


@dataclass(frozen=True)
class EndedVisit:
    """What a cell remembers of a visit that is over."""

    id: str
    release: str
    """The release's name."""
    outcome: VisitOutcome
    message: str
    generation: int
    """The last that it could write with."""
    ended_at: datetime
    by: str = ""
    """The id of the workflow that asked for it."""


@dataclass(frozen=True)
class BeginVisit:
    visit: str
    release: str
    by: str


@dataclass(frozen=True)
class VisitMoved:
    """A phase begins."""

    visit: str
    phase: VisitPhase
    message: str = ""


@dataclass(frozen=True)
class EndVisit:
    visit: str
    outcome: VisitOutcome
    software: Software | None
    release: str
    """The digest of the release that the cell has now; empty when it is none's."""
    message: str
