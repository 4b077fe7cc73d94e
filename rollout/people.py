"""What people have said to a rollout: who answers for what, in view of what, and until when."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from rollout.gates import Verdict


@dataclass(frozen=True)
class EvidenceSeen:
    """What speaks against a release so far: what an approval is given in view of."""

    verdict: Verdict | None = None
    """The worst of all bakes' latest, if it is one that earns nothing; else None."""
    failures: int = 0
    """Visits that failed."""
    reverted: int = 0
    """Cells that went back."""
    answered: tuple[str, ...] = ()
    """Gates that somebody answers for, so that they pass whatever they see."""

    @property
    def digest(self) -> str:
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Approval:
    actor: str
    plan: str
    """The hash of the plan that was approved: of another plan this says nothing."""
    at: datetime
    evidence: EvidenceSeen | None = None
    """What was seen when it was given: it does not count once that has turned worse."""


@dataclass(frozen=True)
class Emergency:
    """The emergency lane, as somebody opened it."""

    actor: str
    reason: str
    since: datetime
    until: datetime
    closed: str = ""
    """Why it is closed; empty while it is open."""


@dataclass(frozen=True)
class Hold:
    """A cell that a person keeps out of this rollout until then."""

    actor: str
    reason: str
    until: datetime | None


@dataclass(frozen=True)
class GateOverride:
    """A gate that a person answers for until then: it passes."""

    actor: str
    reason: str
    until: datetime
