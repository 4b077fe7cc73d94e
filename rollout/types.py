"""What a rollout is: what it was asked for, what it knows, what it shows."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from cells.release import Release, Software
from cells.visits.types import VisitReport
from rollout.bake import Bake, PatchCredit
from rollout.calendar import Calendar
from rollout.people import Approval, Emergency, EvidenceSeen, GateOverride, Hold
from rollout.policy import Lane, RollbackScope, RolloutPolicy


class Phase(StrEnum):
    QUEUED = "queued"
    """Another rollout writes the same component."""
    FORWARD = "forward"
    HALTED = "halted"
    """Nothing starts until a person says how to go on: retry, skip, roll back, abort."""
    ROLLING_BACK = "rolling back"
    STOPPING = "stopping"
    """Cells under way come to a safe point, then it ends."""
    ENDED = "ended"


class Outcome(StrEnum):
    SUCCEEDED = "succeeded"
    SUCCEEDED_WITH_DEFERRALS = "succeeded with deferrals"
    FAILED = "failed"
    ABORTED = "aborted"
    SUPERSEDED = "superseded"


class CellStatus(StrEnum):
    WAITING = "waiting"
    VISITING = "visiting"
    DONE = "done"
    FAILED = "failed"
    """Its visit was undone: the cell is well, without the release."""
    BROKEN = "broken"
    """It is quarantined, neither here nor there."""
    DEFERRED = "deferred"
    """Sick, unreachable or held before its turn; it spends no budget and comes when it can."""
    SKIPPED = "skipped"
    REVERTING = "reverting"
    REVERTED = "reverted"
    GONE = "gone"
    """It left the fleet."""


FINISHED_STATUSES = frozenset(
    {CellStatus.DONE, CellStatus.SKIPPED, CellStatus.REVERTED, CellStatus.GONE}
)


@dataclass(frozen=True)
class CellFacts:
    """A cell as a rollout has to know it."""

    id: str
    provider: str
    region: str
    ring: int
    server_version: str
    release: str
    """The digest of the release it has; empty when unknown."""
    ready: bool
    why_not_ready: str = ""
    visit: str = ""
    """The id of the visit that is under way there, whoever's."""
    quarantine: str = ""
    """Why automation stays away; empty when it need not."""
    namespaces: int = 0
    software: Software | None = None
    """What its last visit left; None when it never had one."""
    drift: str = ""
    """How it differs from what was brought to it, because somebody changed it by hand."""


@dataclass(frozen=True)
class Replicas:
    """A namespace with replicas in several cells: never two of them are disturbed together."""

    namespace: str
    active: str
    passive: tuple[str, ...]
    caught_up: bool = True
    """Whether the passive replicas lag less than the policy allows."""


@dataclass(frozen=True)
class Fleet:
    """What the world looks like now."""

    seen_at: datetime
    cells: tuple[CellFacts, ...]
    replicas: tuple[Replicas, ...] = ()
    servers: tuple[str, ...] = ()
    """The server versions there are releases of: what a way may lead through."""
    calendar: Calendar = field(default_factory=Calendar)


@dataclass(frozen=True)
class CellProgress:
    """Where one cell is in this rollout."""

    status: CellStatus = CellStatus.WAITING
    ring: int = 0
    """The stricter, that is the higher, of all rings it has been in while this rollout ran."""
    before: str = ""
    """The server version it had before."""
    before_release: str = ""
    before_software: Software | None = None
    """All that it ran; None when it never had a visit, and so its server alone."""
    visit: str = ""
    visits: int = 0
    """How many visits it has had in this rollout: each has its own id."""
    since: datetime | None = None
    message: str = ""
    gap: timedelta = timedelta(0)
    changed_at: datetime | None = None
    """When the visit began that left it as it is."""
    not_before: datetime | None = None
    """When it may be tried again, after a visit or a lease was refused."""
    failures: int = 0
    """How many visits failed here: one that is skipped then is not forgotten."""


@dataclass
class RingProgress:
    """Where a ring is. Its batches are made one at a time, of whoever is there then."""

    batches: int = 0
    """How many have begun."""
    members: tuple[str, ...] = ()
    """The cells of the present batch."""
    bake: Bake | None = None
    """Of the present batch, or of the ring after its last. It begins with the first cell that is
    done, and anew with each that follows, so that somebody watches at all times."""
    baked: bool = False
    """The ring bake is complete."""
    began_at: datetime | None = None
    approvals: list[Approval] = field(default_factory=list)
    bakes_ring: bool = False
    """The bake is the ring's: its batches are over."""
    late: str = ""
    """The cell that came after the last batch: those go one at a time."""
    late_bake: Bake | None = None
    """Of that cell, as long as a batch's."""


@dataclass(frozen=True)
class Event:
    """Something that was decided, for people and for the audit log."""

    number: int
    at: datetime
    what: str
    """Such as `started`, `halted`, `cell done`."""
    message: str
    actor: str = ""
    """Who asked for it; empty for the rollout itself."""
    cell: str = ""


@dataclass(frozen=True)
class StartRollout:
    id: str
    release: Release
    policy: RolloutPolicy
    actor: str
    reason: str
    lane: Lane = Lane.NORMAL
    patch_credit: PatchCredit | None = None


class ControlKind(StrEnum):
    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"
    """Stop, and leave what is done; with a scope, roll it back."""
    ROLL_BACK = "roll back"
    SKIP = "skip"
    RETRY = "retry"
    """Try the failed cell (or all that failed) again, with the same release and configuration."""
    APPROVE = "approve"
    HOLD = "hold"
    UNHOLD = "unhold"
    COMPLETE_GATE = "complete gate"
    SUPERSEDE = "supersede"


@dataclass(frozen=True)
class Control:
    """What a person wants of a running rollout."""

    id: str
    """The same for the same wish: repeated, it is answered and done once."""
    kind: ControlKind
    actor: str
    reason: str
    cell: str = ""
    ring: int | None = None
    plan: str = ""
    """For an approval: the hash of the plan that is approved."""
    evidence: str = ""
    """For an approval: the digest of the evidence that was looked at; empty for the present."""
    gate: str = ""
    until: datetime | None = None
    scope: RollbackScope = RollbackScope.NONE


@dataclass
class RolloutState:
    """Everything that survives continue-as-new. Add fields only with defaults."""

    id: str
    release: Release
    policy: RolloutPolicy
    lane: Lane
    actor: str
    reason: str
    phase: Phase = Phase.QUEUED
    outcome: Outcome | None = None
    outcome_wanted: Outcome | None = None
    """How it ends once nothing is under way any more."""
    message: str = ""
    """Why it is in its phase."""
    paused_by: str = ""
    """Who paused it, and why; empty when it is not paused."""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    cells: dict[str, CellProgress] = field(default_factory=dict)
    rings: dict[int, RingProgress] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    overrides: dict[str, GateOverride] = field(default_factory=dict)
    """By gate."""
    controls: list[str] = field(default_factory=list)
    """The ids of the latest controls."""
    rolling_back: RollbackScope = RollbackScope.NONE
    durations: list[float] = field(default_factory=list)
    """How long the latest visits took, seconds."""
    confounded: dict[str, str] = field(default_factory=dict)
    """Regions where nothing starts, and why."""
    events: list[Event] = field(default_factory=list)
    """The latest; all of them are in the audit log."""
    events_made: int = 0
    revision: int = 0
    plan_hash: str = ""
    """Of the latest plan."""
    reports: list[VisitReport] = field(default_factory=list)
    """Of visits that have ended and were not taken in yet."""
    held_leases: dict[str, int] = field(default_factory=dict)
    """What this rollout may disturb, by the ledger: the number of each lease, 0 while the ledger's
    answer is not known."""
    holds_components: bool = False
    """Nobody else writes the release's components."""
    to_revert: list[str] = field(default_factory=list)
    """The cells that are to go back and have not yet."""
    deferrals_since: datetime | None = None
    """Since when only deferred cells are missing."""
    blocked: str = ""
    """What the latest plan said people have to see to."""
    emergency: Emergency | None = None
    patch_credit: PatchCredit | None = None
    drifted: dict[str, str] = field(default_factory=dict)
    """Cells that somebody changed by hand, and how."""


class WaitCode(StrEnum):
    """Why a cell has not started: stable names, for people and for tests."""

    RING = "ring"
    """An earlier ring is not through."""
    BATCH = "batch"
    BAKE = "bake"
    BUDGET = "budget"
    PAIR = "pair"
    PASSIVE_FIRST = "passive first"
    LAG = "lag"
    REGION_CAP = "region cap"
    PROVIDER_CAP = "provider cap"
    CALENDAR = "calendar"
    PAUSED = "paused"
    HALTED = "halted"
    APPROVAL = "approval"
    HELD = "held"
    SICK = "sick"
    QUARANTINED = "quarantined"
    BUSY = "busy"
    """Somebody else's visit is under way there."""
    LEASE = "lease"
    """The disruption ledger refused."""
    CONFOUNDED = "confounded"
    DEFERRALS = "deferrals"
    NO_WAY = "no way"
    QUEUED = "queued"
    STOPPING = "stopping"
    FINALIZE = "finalize"
    """Some cell does not have what this release finalizes."""
    FAILED = "failed"
    """Its visit failed: a person retries it, or skips it."""
    DRIFTED = "drifted"
    """Somebody changed it by hand."""
    SKEW = "skew"
    """A cell that is held would stay too far behind."""


@dataclass(frozen=True)
class Wait:
    """Why a cell does not start now, and until when if that is known."""

    cell: str
    code: WaitCode
    message: str
    until: datetime | None = None


@dataclass(frozen=True)
class Start:
    """A visit to begin now."""

    cell: str
    hops: tuple[str, ...]
    back: bool = False
    """To what the cell had before."""
    before: str = ""
    """The server version that it has now."""
    before_release: str = ""
    before_software: Software | None = None


@dataclass(frozen=True)
class Mark:
    """A cell's status changes without a visit."""

    cell: str
    status: CellStatus
    message: str = ""
    ring: int = 0


@dataclass(frozen=True)
class Plan:
    """The legal next actions, and a reason for everything that is not done."""

    starts: tuple[Start, ...] = ()
    waits: tuple[Wait, ...] = ()
    """One for each unfinished cell that neither starts nor is under way."""
    marks: tuple[Mark, ...] = ()
    ring: int | None = None
    """The ring that is at work."""
    begin_batch: tuple[str, ...] = ()
    """The cells of the batch to begin now in `ring`."""
    begin_bake: timedelta | None = None
    """The credit needed by the bake to begin now in `ring`."""
    bakes_ring: bool = False
    """That bake, or the one under way, is the ring's."""
    complete_ring: bool = False
    """The ring bake has its credit: the ring is through."""
    watch: tuple[str, ...] = ()
    """The cells of which evidence is needed now, for the bake of `ring`."""
    late: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """The cells of which evidence is needed for a ring's `late_bake`, by ring."""
    confounded: dict[str, str] = field(default_factory=dict)
    """Regions where nothing starts, and why."""
    drifted: dict[str, str] = field(default_factory=dict)
    """Cells that somebody changed by hand, and how."""
    only_deferred: bool = False
    """Everything is done but the cells that are deferred."""
    halt: str = ""
    """Why the rollout has to halt; empty when it need not."""
    roll_back: RollbackScope | None = None
    finish: Outcome | None = None
    blocked: str = ""
    """Why nothing can ever go on by itself; people are called."""
    wake_at: datetime | None = None
    """When to plan anew though nothing has happened; None for no such time."""


@dataclass(frozen=True)
class RolloutView:
    """A rollout as others see it: in projections, in the Fleet API, in the command."""

    id: str
    revision: int
    release: str
    """The release's name."""
    release_digest: str
    server_version: str
    lane: Lane
    phase: Phase
    outcome: Outcome | None
    message: str
    paused_by: str
    actor: str
    reason: str
    started_at: datetime | None
    ended_at: datetime | None
    ring: int | None
    rings: dict[int, RingProgress]
    cells: dict[str, CellProgress]
    waits: tuple[Wait, ...]
    budgets: dict[int, str]
    """What is left of each ring's tolerance, such as `1 of 2 left, 1 under way`."""
    plan_hash: str
    """What an approval given now is bound to."""
    holds: dict[str, Hold]
    overrides: dict[str, GateOverride]
    confounded: dict[str, str]
    events: tuple[Event, ...]
    eta_p50: datetime | None = None
    eta_p90: datetime | None = None
    blocked: str = ""
    emergency: Emergency | None = None
    """The emergency lane, if it was ever open: by whom, until when."""
    evidence: EvidenceSeen = field(default_factory=EvidenceSeen)
    """What an approval given now is given in view of."""
    evidence_digest: str = ""
    patch_credit: PatchCredit | None = None
    drifted: dict[str, str] = field(default_factory=dict)
    """Cells that somebody changed by hand, and how."""
