"""What the Fleet API is asked, and answers, about releases and rollouts."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AwareDatetime, Field

from cells.release import ConfigValue, Release, SchemaStep
from controlplane.api.policy_types import PolicyOverrides, Ring
from controlplane.api.strict_body import Name, Reason, StrictBody
from rollout.bake import Bake, PatchCredit
from rollout.people import Approval, Hold
from rollout.policy import Lane, RollbackScope
from rollout.simulation.types import Assumptions
from rollout.types import CellProgress, CellStatus, ControlKind, Event, Outcome, Phase, Wait

_ASSUMED = Assumptions()

_VERSION = Field(max_length=100)


class NewRelease(StrictBody):
    """A release that is to be. Its name is its own for ever, whatever becomes of it."""

    name: Name
    server_version: Annotated[str, _VERSION] = ""
    """Such as 1.31.2; empty to leave the servers as they are."""
    ingress_version: Annotated[str, _VERSION] = ""
    configuration: Annotated[dict[str, ConfigValue], Field(max_length=1000)] = Field(
        default_factory=dict
    )
    """Dynamic configuration beyond the cell's own, by key."""
    schema_steps: Annotated[tuple[SchemaStep, ...], Field(max_length=100)] = ()
    minimum_from: Annotated[str, _VERSION] = ""
    """The oldest server version a cell may come from; empty for one minor version below."""
    patch_of: Name = ""
    """The name of the release that this one corrects."""
    finalizes: Name = ""
    """The name of the release whose one-way steps this one takes."""
    artifacts: Annotated[dict[str, str], Field(max_length=1000)] = Field(default_factory=dict)
    """SHA-256 (hex) of each file of the release."""
    description: Annotated[str, Field(max_length=10_000)] = ""

    def release(self) -> Release:
        return Release(**{name: getattr(self, name) for name in type(self).model_fields})


@dataclass(frozen=True)
class ReleaseDetails:
    """A release as it was created; nothing of it changes."""

    release: Release
    digest: str
    """SHA-256 (hex) of what it holds, name and description aside."""
    created_at: datetime
    created_by: str


@dataclass(frozen=True)
class ReleasePage:
    """Releases, newest first."""

    releases: tuple[ReleaseDetails, ...]
    next_page_token: str
    """"" on the last page."""


class NewRollout(StrictBody):
    """A rollout that is to begin, or that is only thought through (`:plan`, `:simulate`)."""

    release: Name
    """The name of the release."""
    id: Name = ""
    """The same for the same wish: repeated, it is begun once. When it is empty, the name of the
    release, or that with -2, -3, … once the one before has ended."""
    policy: PolicyOverrides = PolicyOverrides()
    lane: Lane = Lane.NORMAL
    reason: Annotated[str, Field(max_length=1000)] = ""
    """Needed to begin it."""


@dataclass(frozen=True)
class RolloutSummary:
    """A rollout as lists show it."""

    id: str
    release: str
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
    """The ring that is at work."""
    cells: dict[CellStatus, int]
    """How many cells have each status."""
    eta_p50: datetime | None
    eta_p90: datetime | None
    blocked: str


@dataclass(frozen=True)
class RolloutPage:
    """Rollouts, newest first."""

    rollouts: tuple[RolloutSummary, ...]
    next_page_token: str
    """"" on the last page."""


@dataclass(frozen=True)
class RecordedEvent:
    """Something that was decided, as the audit log of the operators' account has it."""

    rollout: str
    event: Event


@dataclass(frozen=True)
class EventPage:
    """Events, oldest first. The last page's token leads to those that are still to come."""

    events: tuple[RecordedEvent, ...]
    next_page_token: str
    """Never empty once there is an event: with it, ask again for what came since."""
    more: bool
    """Whether there are some on the next page already."""


@dataclass(frozen=True)
class CellExplanation:
    """Why a cell is where it is in a rollout, and what comes next."""

    rollout: str
    cell: str
    status: CellStatus
    words: tuple[str, ...]
    """The answer to "why not yet?", a sentence each, the most important first."""
    progress: CellProgress
    ring: int
    in_batch: bool
    """Whether it is in the present batch of its ring."""
    batch: int
    """How many batches of its ring have begun."""
    waits: tuple[Wait, ...]
    budget: str
    """What is left of its ring's tolerance, such as `1 of 2 left, 1 under way`."""
    bake: Bake | None
    """What its ring's present bake has been credited."""
    approvals: tuple[Approval, ...]
    """For its ring to begin."""
    hold: Hold | None
    calendar: str
    """What the calendar says of it now; empty when it may be changed."""
    history: tuple[Event, ...]
    """What was decided about it in this rollout, oldest first."""


@dataclass(frozen=True)
class PlannedCell:
    """What a rollout would do with a cell, or will."""

    cell: str
    region: str
    provider: str
    ring: int
    server_version: str
    """What it has."""
    hops: tuple[str, ...]
    """The server versions it goes through, the last being the release's; empty when its server
    stays."""
    difference: tuple[str, ...]
    """What changes in it, such as `server 1.30.2 → 1.31.2`; empty when nothing does."""
    starts_now: bool
    wait: Wait | None
    """Why it does not; None when it starts now, or has nothing to wait for."""


@dataclass(frozen=True)
class DryRun:
    """What a rollout would do now. Nothing was begun."""

    release: str
    release_digest: str
    server_version: str
    lane: Lane
    cells: tuple[PlannedCell, ...]
    """In the order in which they come: by ring, those that start now first."""
    unchanged: tuple[str, ...]
    """Cells that have the release already."""
    problems: tuple[str, ...]
    """Why it cannot be carried out as asked; empty when it can."""
    plan_hash: str
    writing: tuple[str, ...]
    """The rollouts that write the same component now, by id: it would queue behind them, or as
    its policy says."""
    warnings: tuple[str, ...] = ()
    """What people should know of first, though nothing of it stands against beginning."""
    patch_credit: PatchCredit | None = None
    """What the release has baked that this one is a patch of; None when it is none."""
    head_starts: dict[int, timedelta] = field(default_factory=dict)
    """How much of each ring's bake is credited for that before it begins."""


@dataclass(frozen=True)
class PresentPlan:
    """What a rollout means to do, and what an approval given now is bound to."""

    rollout: str
    revision: int
    plan_hash: str
    ring: int | None
    """The ring that is at work."""
    approvals: tuple[Approval, ...]
    """Those of the present plan, for that ring."""
    under_way: tuple[str, ...]
    waits: tuple[Wait, ...]
    """Every cell that is still to come, and why it has not started, in order."""
    done: int
    cells: int
    evidence_digest: str = ""
    """What an approval given now is given in view of."""
    evidence: str = ""
    """The same for people: what speaks against the release so far."""


class ControlRequest(StrictBody):
    """What the caller wants of a running rollout."""

    kind: ControlKind
    reason: Reason
    id: Annotated[str, Field(max_length=200)] = ""
    """The same for the same wish: repeated, it is done once; chosen for you when empty."""
    cell: Name = ""
    ring: Ring | None = None
    plan: Annotated[str, Field(max_length=200)] = ""
    """For an approval: the hash of the plan that is approved."""
    evidence: Annotated[str, Field(max_length=200)] = ""
    """For an approval: the digest of the evidence that was looked at. When it is another by now,
    the approval is refused; empty to approve in view of whatever it is."""
    gate: Name = ""
    until: AwareDatetime | None = None
    scope: RollbackScope = RollbackScope.NONE


Share = Annotated[float, Field(ge=0, le=1)]


class Assumed(StrictBody):
    """How visits go in a simulation."""

    visit_median: Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(days=7))] = (
        _ASSUMED.visit_median
    )
    visit_spread: Annotated[float, Field(ge=0, le=3)] = _ASSUMED.visit_spread
    """The standard deviation of the logarithm of a visit's duration."""
    failure_share: Share = _ASSUMED.failure_share
    """Of visits that fail and are undone."""
    sick_share: Share = _ASSUMED.sick_share
    """Of cells that are not ready when the fleet is first looked at, and are a day later."""


class NewSimulation(NewRollout):
    """A rollout that is to be simulated on the fleet as it is now. The answer is a `Forecast`."""

    runs: Annotated[int, Field(ge=1, le=20)] = 5
    seed: Annotated[int, Field(ge=0, le=2**31)] = 1
    assumptions: Assumed = Assumed()
