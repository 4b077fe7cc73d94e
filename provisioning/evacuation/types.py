"""What the emptying of a cell is: what is asked, how far it is, what it shows."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from provisioning.evacuation.policy import EvacuationKind, EvacuationPolicy
from provisioning.tiers import Tier
from provisioning.types import FailoverMode


class Phase(StrEnum):
    BEGINNING = "beginning"
    """The cell is cordoned, and its lease asked for."""
    FAILING_OVER = "failing over"
    MIGRATING = "migrating"
    """Of a drain: what could not be failed over, and passive replicas, move to other cells."""
    SOAKING = "soaking"
    """Of a drill: the namespaces stay away for a while."""
    RETURNING = "returning"
    """Of a drill: they come back."""
    STOPPING = "stopping"
    """Aborted: what is under way comes to its end, or is undone."""
    ENDED = "ended"


class Outcome(StrEnum):
    SUCCEEDED = "succeeded"
    """Everything was moved; of a drill: everything moved and came back, gracefully."""
    INCOMPLETE = "incomplete"
    """Something was left in the cell; each has its reason."""
    FAILED = "failed"
    """Of a drill: something did not go as planned."""
    ABORTED = "aborted"


class Status(StrEnum):
    """Where one namespace is in this evacuation."""

    WAITING = "waiting"
    MOVING = "moving"
    MOVED = "moved"
    """It is not active in the cell any more; of a drain: it has nothing there."""
    RETURNING = "returning"
    RETURNED = "returned"
    LEFT = "left"
    """It stays where it is, for the reason that is given."""
    GONE = "gone"
    """It was deleted."""


class MoveKind(StrEnum):
    FAILOVER = "failover"
    MIGRATION = "migration"
    RETURN = "return"


class MoveOutcome(StrEnum):
    DONE = "done"
    FAILED = "failed"
    """Everything is as it was before."""


class Wish(StrEnum):
    CONFIRM = "confirm"
    """It may pass its point of no return."""
    UNDO = "undo"
    """It is to be undone, unless it is too late for that."""


@dataclass(frozen=True)
class Move:
    """One failover or migration of a namespace."""

    operation: str
    """Its id; the same however often it is asked for."""
    kind: MoveKind
    source: str
    target: str
    mode: FailoverMode
    began_at: datetime
    soak: timedelta = timedelta(0)
    """How long at least a migration keeps the former cell as a replica."""
    revision: int = 0
    """Of the namespace when it agreed: views from before say nothing of this move. 0 while its
    answer is not known."""
    change: str = ""
    """The id of the change of replicas by which it is carried out, once that is under way."""
    phase: str = ""
    """Of that change, for people."""
    waits_for: str = ""
    """What a person has to do for it to go on; empty when nothing."""
    wish: Wish | None = None
    """What a person decided about it since it began."""
    wish_told: bool = False
    """Whether the namespace knows."""
    outcome: MoveOutcome | None = None
    ended_at: datetime | None = None
    forced: bool = False
    took: timedelta = timedelta(0)
    """As the namespace's record of the failover says: less than until we heard of it."""
    message: str = ""


class WaitCode(StrEnum):
    """Why a namespace does not move: stable names, for people and for tests."""

    RATE = "rate"
    """As many are under way, or were begun in the last minute, as may be."""
    STAGE = "stage"
    """What can be failed over is failed over before anything is migrated."""
    BEGINNING = "beginning"
    """The cell is not cordoned yet."""
    PAUSED = "paused"
    LEASE = "lease"
    """The disruption ledger refused: another replica of it, or the cell, is disturbed."""
    CHANGING = "changing"
    """Something else is done to its replicas."""
    NOT_ACTIVE = "not active"
    """It is being created or deleted."""
    SINGLE_REPLICA = "single replica"
    OPTED_OUT = "opted out"
    TARGET_SICK = "target sick"
    TARGET_DISTURBED = "target disturbed"
    TARGET_CORDONED = "target cordoned"
    NOT_OPEN = "not open"
    """The ingress of the other replica does not let its clients in yet."""
    BEHIND = "behind"
    """The other replica does not have everything."""
    NO_HEADROOM = "no headroom"
    NO_CELL = "no cell"
    """No cell can take what has to be migrated."""
    REFUSED = "refused"
    """The namespace did not agree, and is asked again soon."""
    RETRY = "retry"
    """It failed, and is tried again later."""
    FAILED = "failed"
    """It failed as often as it is tried."""
    CONFIRMATION = "confirmation"
    """A person has to say that it may pass the point of no return."""
    SKIPPED = "skipped"
    SOAK = "soak"
    MOVED_ON = "moved on"
    """Of a drill: somebody else moved it meanwhile; it is not brought back."""
    SOURCE_SICK = "source sick"
    """Of a drill: the cell cannot take it back."""
    UNSEEN = "unseen"
    """What is known of it is older than what was done to it last."""
    STOPPED = "stopped"
    """The evacuation was aborted before its turn."""


@dataclass(frozen=True)
class Wait:
    """Why a namespace does not move now, and until when if that is known."""

    namespace: str
    code: WaitCode
    message: str
    until: datetime | None = None


@dataclass(frozen=True)
class Progress:
    """How far one namespace is."""

    status: Status = Status.WAITING
    tier: Tier = Tier.BRONZE
    uid: str = ""
    stage: Phase = Phase.FAILING_OVER
    """The phase in which its turn comes."""
    code: WaitCode | None = None
    """Why it was left."""
    message: str = ""
    since: datetime | None = None
    move: Move | None = None
    """What is under way."""
    moves: tuple[Move, ...] = ()
    """What has ended, in order."""
    failures: int = 0
    """Of the present stage: those in a row."""
    not_before: datetime | None = None
    """When it may be tried again."""
    refused: bool = False
    """Whether that is because it did not agree, which is no failure."""

    @property
    def last_done(self) -> Move | None:
        """The latest of its moves that went well."""
        done = (move for move in reversed(self.moves) if move.outcome is MoveOutcome.DONE)
        return next(done, None)

    @property
    def was_moved(self) -> bool:
        """Whether it is away by what was done here, not by itself."""
        return self.status is Status.MOVED and self.last_done is not None


@dataclass(frozen=True)
class Event:
    """Something that was decided, for people and for the audit log."""

    number: int
    at: datetime
    what: str
    """Such as `started`, `paused`, `moved`."""
    message: str
    actor: str = ""
    """Who asked for it; empty for the evacuation itself."""
    namespace: str = ""


# What people ask.


@dataclass(frozen=True)
class StartEvacuation:
    """Empty a cell."""

    id: str
    """Unique; asked again, it is the same request."""
    cell: str
    kind: EvacuationKind
    policy: EvacuationPolicy
    actor: str
    reason: str
    source_lost: bool = False
    """The operator answers for it: the cell is dead. Everything is forced, and what had not been
    replicated is lost, or merged when the cell comes back."""


class ControlKind(StrEnum):
    PAUSE = "pause"
    """Nothing more begins; what is under way comes to its end."""
    RESUME = "resume"
    ABORT = "abort"
    """Stop: what was moved stays where it is, but a drill comes back; the cell is uncordoned if
    this evacuation cordoned it."""
    RETRY = "retry"
    """Try a namespace that was left (or all that failed) again."""
    SKIP = "skip"
    """Leave a namespace where it is."""
    CONFIRM = "confirm"
    """Let a migrated namespace (or all) give up the cell: there is no way back."""
    RETURN = "return"
    """Of a drill: do not soak any longer."""


@dataclass(frozen=True)
class Control:
    """What a person wants of a running evacuation."""

    id: str
    """The same for the same wish: repeated, it is answered and done once."""
    evacuation: str
    """Which one is meant: a late wish is not the next one's."""
    kind: ControlKind
    actor: str
    reason: str
    namespace: str = ""
    """For retry, skip and confirm; empty for all that it can be done to."""


@dataclass(frozen=True)
class Stop:
    """Why an evacuation is not carried on."""

    why: str
    by: str = ""
    """The person who asked for it; empty when a drill gave itself up."""


@dataclass
class EvacuationState:
    """Everything that survives continue-as-new. Add fields only with defaults."""

    id: str
    cell: str
    kind: EvacuationKind
    policy: EvacuationPolicy
    actor: str
    reason: str
    source_lost: bool = False
    phase: Phase = Phase.BEGINNING
    outcome: Outcome | None = None
    message: str = ""
    """Why it is in its phase."""
    paused_by: str = ""
    """Who paused it, and why; empty when it is not paused."""
    stop: Stop | None = None
    """Why it is not carried on; None while it is."""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    cordoned: bool | None = None
    """Whether this evacuation cordoned the cell; None while that is not known."""
    cordon_refused: str = ""
    """Why that is not known yet, after it was tried."""
    lease: int = 0
    """The number of the lease; 0 while there is none, or its number is not known."""
    lease_asked: bool = False
    """Whether one was ever asked for: one whose answer was lost may be held."""
    leased: list[str] = field(default_factory=list)
    """The namespaces that the lease names."""
    lease_conflicts: dict[str, str] = field(default_factory=dict)
    """Namespaces that the ledger does not let us disturb, and why."""
    lease_refused: str = ""
    """Why the ledger does not let us disturb the cell at all."""
    lease_asked_at: datetime | None = None
    namespaces: dict[str, Progress] = field(default_factory=dict)
    begun: list[datetime] = field(default_factory=list)
    """When the latest moves began, for the rate."""
    failover_seconds: list[float] = field(default_factory=list)
    """How long the latest took, from the request to the news of its end."""
    migration_seconds: list[float] = field(default_factory=list)
    soak_until: datetime | None = None
    forgiven: int = 0
    """How many failures there were when a person last said to go on."""
    failed: int = 0
    """How often a namespace failed as often as it is tried."""
    controls: list[str] = field(default_factory=list)
    """The ids of the latest controls."""
    events: list[Event] = field(default_factory=list)
    """The latest, and all that were not published; those that were are in the audit log."""
    events_made: int = 0
    events_published: int = 0
    revision: int = 0
    moved_at: datetime | None = None
    """When something last went forward."""
    waits: list[Wait] = field(default_factory=list)
    """Those of the latest plan."""
    blocked: str = ""
    """What the latest plan said people have to see to."""


@dataclass(frozen=True)
class Start:
    """A move to begin now."""

    namespace: str
    kind: MoveKind
    source: str
    target: str
    mode: FailoverMode


@dataclass(frozen=True)
class Mark:
    """A namespace is left where it is; of a drain, it may be migrated later."""

    namespace: str
    code: WaitCode
    message: str
    stage: Phase | None = None
    """The later phase in which its turn comes again; None when it does not."""


@dataclass(frozen=True)
class Plan:
    """The legal next actions, and a reason for everything that is not done."""

    starts: tuple[Start, ...] = ()
    waits: tuple[Wait, ...] = ()
    """One for each namespace that waits, in the order in which they come."""
    marks: tuple[Mark, ...] = ()
    tell: tuple[str, ...] = ()
    """Namespaces whose move a person decided something about that they do not know yet."""
    phase: Phase | None = None
    """The phase that begins now."""
    stop: str = ""
    """Why a drill has to be given up; empty when it need not."""
    blocked: str = ""
    """Why nothing goes on until somebody sees to it."""
    wake_at: datetime | None = None
    """When to plan anew though nothing has happened; None for no such time."""


@dataclass(frozen=True)
class Durations:
    """How long failovers took, as the namespaces recorded it."""

    count: int
    p50: timedelta
    p90: timedelta
    longest: timedelta


@dataclass(frozen=True)
class Report:
    """What came of it so far: of a drill, what it was for."""

    verdict: str
    """In one sentence."""
    moved: int
    returned: int
    forced: int
    failed: int
    """Namespaces of which a move failed, also those that succeeded later."""
    left: int
    away: Durations | None
    """Of failovers away from the cell; None before the first."""
    back: Durations | None


@dataclass(frozen=True)
class EvacuationView:
    """An evacuation as others see it: in projections, in the Fleet API, in the command."""

    id: str
    cell: str
    kind: EvacuationKind
    revision: int
    policy: EvacuationPolicy
    actor: str
    reason: str
    source_lost: bool
    phase: Phase
    outcome: Outcome | None
    message: str
    paused_by: str
    started_at: datetime | None
    ended_at: datetime | None
    cordoned: bool
    lease: int
    soak_until: datetime | None
    namespaces: dict[str, Progress]
    counts: dict[Status, int]
    waits: tuple[Wait, ...]
    """One for each namespace that waits, in the order in which they come."""
    blocked: str
    """Why nothing goes on until somebody sees to it; empty otherwise."""
    waits_for: str
    """What a person has to do; empty for nothing."""
    eta_p50: datetime | None
    eta_p90: datetime | None
    report: Report
    events: tuple[Event, ...] = ()
    events_made: int = 0
