"""What is assumed of a simulated fleet, and what came of it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rollout.types import CellFacts, Fleet, Outcome, StartRollout


@dataclass(frozen=True)
class Assumptions:
    """How visits go in a simulation."""

    visit_median: timedelta = timedelta(minutes=10)
    visit_spread: float = 0.4
    """The standard deviation of the logarithm of a visit's duration."""
    failure_share: float = 0.0
    """Of visits that fail and are undone."""
    sick_share: float = 0.0
    """Of cells that are not ready when the fleet is first looked at, and are a day later."""


@dataclass(frozen=True)
class Churn:
    """A change of the fleet while the rollout is under way."""

    after: timedelta
    """Since the start."""
    joins: CellFacts | None = None
    """A new cell, or a present one with other facts."""
    leaves: str = ""
    """The id of a cell that goes."""


@dataclass(frozen=True)
class Simulation:
    start: StartRollout
    fleet: Fleet
    runs: int = 5
    seed: int = 1
    assumptions: Assumptions = Assumptions()
    churn: tuple[Churn, ...] = ()
    at_most: timedelta = timedelta(days=180)
    """A run that takes longer does not end."""


@dataclass(frozen=True)
class Run:
    """One way in which it may go."""

    outcome: Outcome | None
    """None when it did not end."""
    ended_after: timedelta | None
    rings: dict[int, timedelta]
    """When the first cell of each ring was changed, since the start."""
    cells: int
    """How many were brought to the release."""
    violations: tuple[str, ...]
    """Constraints that were not kept; always empty, or there is a defect."""
    stuck: str = ""
    """Why it did not end: what every remaining cell waits for, the most frequent reason first."""
    looks: int = 0
    """How often the fleet was looked at."""
    histories: int = 1
    """How many runs of the workflow it took: each goes on where the one before had grown long."""
    longest_history: int = 0
    """Events of the longest of them, and below bytes of the largest."""
    largest_history: int = 0


@dataclass(frozen=True)
class Forecast:
    """What to expect of a rollout."""

    release: str
    cells: int
    began_at: datetime
    runs: tuple[Run, ...]
    ended_p50: timedelta | None
    ended_p90: timedelta | None
    rings_p50: dict[int, timedelta] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    """Why it cannot be carried through, each the least that is in conflict; empty when it can."""
