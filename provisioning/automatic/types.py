"""Which cells are lost, by whose word, and what is done about their namespaces."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from provisioning.types import FailoverCause, FailoverMode

AVAILABILITY_ID = "availability"
"""The id of the one workflow that decides."""


class VantageKind(StrEnum):
    """How a cell is looked at."""

    WORKERS = "workers"
    """The workers of a region knock at its frontend and its ingress."""
    PEER = "peer"
    """A cell that replicates from it still gets what happens there."""
    ENTITY = "entity"
    """Its own entity says whether it is ready."""


class Ballot(StrEnum):
    LOST = "lost"
    WELL = "well"
    ABSTAINS = "abstains"
    """Silent, slow, stale, or not to be trusted. Never counts as either."""


@dataclass(frozen=True)
class Vote:
    """What one vantage point says of one cell."""

    vantage: str
    """`workers/<region>`, `peer/<cell>` or `entity/<cell>`."""
    kind: VantageKind
    region: str
    """From where it looks."""
    ballot: Ballot
    at: datetime | None = None
    """When it was asked, or when what it says was said; None where it never said anything."""
    why: str = ""
    frontend_answers: bool = False
    """Whether the cell's Temporal service answered: then a handover may be tried first."""


class Tally(StrEnum):
    """What all vantage points together say of a cell, in one round."""

    LOST = "lost"
    WELL = "well"
    UNCLEAR = "unclear"


class Verdict(StrEnum):
    """What is believed of a cell, after several rounds."""

    UNKNOWN = "unknown"
    """Too few could tell so far."""
    WELL = "well"
    SUSPECTED = "suspected"
    """Some say it is lost: not enough of them, or not for long enough."""
    LOST = "lost"
    RECOVERING = "recovering"
    """It was lost, and answers again: not for long enough to rely on it."""
    HELD = "held"
    """It comes and goes: nothing is done with it until it stays well, or a person lifts that."""


@dataclass(frozen=True)
class AvailabilityPolicy:
    """When a cell counts as lost, and how much may be moved at once."""

    lost_rounds: int = 3
    lost_for: timedelta = timedelta(seconds=30)
    """A cell has to be lost in so many rounds in a row, and for that long."""
    planned_patience: timedelta = timedelta(minutes=15)
    """The same for one that somebody disturbs on purpose: longer than a visit lets it take to come
    back."""
    suspicious_every: timedelta = timedelta(seconds=10)
    calm_every: timedelta = timedelta(seconds=30)
    """How often all vantage points are asked: while some cell is not well, and else."""
    stale_after: timedelta = timedelta(seconds=20)
    """A vantage point that takes longer to tell abstains."""
    flaps: int = 3
    flap_window: timedelta = timedelta(minutes=30)
    """A cell that is lost so many times within that long is held."""
    hold_for: timedelta = timedelta(hours=1)
    """How long a held cell has to stay well to be let go."""
    most_cells: int = 1
    cells_window: timedelta = timedelta(hours=1)
    """How many cells may be left within that long."""
    whole_region: bool = True
    """Whether more may be left if all of them are of one region, and nobody says they are well."""
    most_per_minute: int = 60
    """Namespaces that are moved, of all cells together."""
    most_at_once: int = 20
    """Namespaces that are being moved."""
    retry_after: timedelta = timedelta(minutes=1)
    """How long after a failover that failed it is tried again; each time twice as long."""
    attempts: int = 5
    failback: bool = True
    """Whether what was failed over returns."""
    failback_after: timedelta = timedelta(minutes=10)
    """How long a cell has to be well before anything returns to it."""
    witnesses: tuple[str, ...] = ()
    """Regions without cells whose workers look, too: with them, two regions can tell an outage of
    one from an isolation of the other."""


# What is carried from run to run.


@dataclass(frozen=True)
class Asked:
    """A failover that was asked for and is not known to be over."""

    namespace: str
    operation: str
    cell: str
    """Whose loss or return it is about."""
    target: str
    cause: FailoverCause
    at: datetime
    """When it was asked for last, or when it was known to have failed."""
    attempt: int = 1
    """Part of the operation's id: one that failed is followed by another."""
    tries: int = 1
    refused: str = ""
    """Why the namespace did not agree, or the failover failed; empty while it is under way."""


@dataclass
class CellRecord:
    """What is remembered of a cell."""

    verdict: Verdict = Verdict.UNKNOWN
    since: datetime | None = None
    """Since when it is believed."""
    lost_since: datetime | None = None
    """Since when every round found it lost; None when the latest did not."""
    lost_rounds: int = 0
    well_since: datetime | None = None
    """Since when every round found it well; None when the latest did not."""
    last_tally: Tally = Tally.UNCLEAR
    """The latest that was clear."""
    losses: list[datetime] = field(default_factory=list)
    """When it was lost after it had been well, the latest ones."""
    episode: int = 0
    """Which loss this is: part of the ids of the failovers asked for because of it."""
    left_at: datetime | None = None
    """When the first namespace was told to leave it, in its latest loss."""
    unanimous: bool = False
    """Whether in the latest round nobody said that it is well, and enough that it is lost."""
    to_return: bool = True
    """Whether there may be namespaces that were failed over from here: looked at once it is well.
    True to begin with, for what was remembered of it may have been given up."""


@dataclass(frozen=True)
class Pause:
    by: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class AvailabilityEvent:
    """Something that was decided, for people and for the audit log."""

    number: int
    """Of two events the later one's is higher; each is recorded once."""
    at: datetime
    what: str
    """Such as `cell lost`, `failover asked`, `paused`."""
    message: str
    actor: str = ""
    """Who asked for it; empty for what is decided here."""
    cell: str = ""
    namespace: str = ""


@dataclass
class AvailabilityState:
    """Everything that survives continue-as-new. Add fields only with defaults."""

    policy: AvailabilityPolicy = field(default_factory=AvailabilityPolicy)
    revision: int = 0
    paused: Pause | None = None
    cells: dict[str, CellRecord] = field(default_factory=dict)
    asked: dict[str, Asked] = field(default_factory=dict)
    """By namespace."""
    asked_at: list[datetime] = field(default_factory=list)
    """When namespaces were told to move, within the last minute."""
    rounds: int = 0
    last_round: datetime | None = None
    """When the latest one began in which the fleet could be seen."""
    blind: str = ""
    """Why the fleet could not be seen in the latest round; empty when it could."""
    events: list[AvailabilityEvent] = field(default_factory=list)
    """The latest."""
    events_made: int = 0


# What others see.


@dataclass(frozen=True)
class VantageView:
    """The workers of one region, in the latest round."""

    region: str
    answers: bool
    trusted: bool
    message: str = ""
    """Why it says nothing, or why what it says does not count."""


@dataclass(frozen=True)
class CellAvailability:
    """What is believed of one cell, by whose word, and what comes of it."""

    cell: str
    region: str
    verdict: Verdict
    since: datetime | None
    votes: tuple[Vote, ...]
    quorum: str
    """Such as `4 of 5 say lost: enough`."""
    next: str = ""
    """What happens next, if nothing changes; empty for nothing."""
    next_at: datetime | None = None
    why_not: str = ""
    """What keeps it from happening now; empty when nothing does."""
    asks_person: bool = False
    """Whether it goes no further without a person."""


class Choice(StrEnum):
    """What becomes of a namespace of a cell that is lost, or that is back."""

    MOVES = "moves"
    """It is told to, now."""
    MOVING = "moving"
    WAITS = "waits"
    STAYS = "stays"
    """It does not move, whatever happens next."""


@dataclass(frozen=True)
class Move:
    """A failover to ask for."""

    namespace: str
    operation: str
    cell: str
    """Whose loss or return it is about."""
    target: str
    cause: FailoverCause
    mode: FailoverMode
    reason: str
    attempt: int = 1
    tries: int = 1


@dataclass(frozen=True)
class MoveAnswer:
    namespace: str
    refused: str = ""
    """Why it does not; empty when it was recorded."""


@dataclass(frozen=True)
class NamespaceDecision:
    namespace: str
    cell: str
    """Whose loss or return it is about."""
    choice: Choice
    reason: str
    target: str = ""
    cause: FailoverCause = FailoverCause.AUTOMATIC
    mode: FailoverMode = FailoverMode.FORCED
    asks_person: bool = False


@dataclass(frozen=True)
class AvailabilityView:
    """All that was decided in the latest round, and why: in projections, in the Fleet API."""

    revision: int
    """Rises with every change; an older revision never overwrites a newer one."""
    at: datetime
    policy: AvailabilityPolicy
    paused: Pause | None
    rounds: int
    next_round: datetime | None
    blind: str
    """Why nothing can be decided; empty when something can."""
    vantages: tuple[VantageView, ...] = ()
    cells: tuple[CellAvailability, ...] = ()
    """By id."""
    namespaces: tuple[NamespaceDecision, ...] = ()
    """Those of cells that are lost or come back."""
    events: tuple[AvailabilityEvent, ...] = ()
    """The latest, the last being the latest of all."""


# What it can be asked. Each may be repeated.


@dataclass(frozen=True)
class PauseAvailability:
    """Go on watching, and move nothing."""

    actor: str
    reason: str


@dataclass(frozen=True)
class ResumeAvailability:
    actor: str
    reason: str


@dataclass(frozen=True)
class SetAvailabilityPolicy:
    policy: AvailabilityPolicy
    actor: str
    reason: str


@dataclass(frozen=True)
class LiftCellHold:
    """Let a cell that came and went be failed over, or returned to, again."""

    cell: str
    actor: str
    reason: str
