"""How fast namespaces may be moved. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from provisioning.evacuation.types import EvacuationState, MoveKind

MINUTE = timedelta(minutes=1)


@dataclass
class Pace:
    """What is left of two limits: moves under way, and moves begun in the last minute."""

    slots: int
    this_minute: int
    at_once: int
    per_minute: int
    again_at: datetime | None
    """When one more may begin, should the minute be what holds it back."""

    @property
    def may_begin(self) -> bool:
        return self.slots > 0 and self.this_minute > 0

    @property
    def why(self) -> str:
        if self.slots <= 0:
            return f"{self.at_once} at a time are under way"
        return f"{self.per_minute} were begun within a minute"

    def begin(self) -> None:
        self.slots -= 1
        self.this_minute -= 1


def pace(state: EvacuationState, kind: MoveKind, now: datetime) -> Pace:
    policy = state.policy
    at_once = policy.migrate_at_once if kind is MoveKind.MIGRATION else policy.at_once
    under_way = sum(each.move is not None for each in state.namespaces.values())
    recent = [at for at in state.begun if now - at < MINUTE]
    full = len(recent) >= policy.per_minute
    return Pace(
        slots=at_once - under_way,
        this_minute=policy.per_minute - len(recent),
        at_once=at_once,
        per_minute=policy.per_minute,
        again_at=recent[-policy.per_minute] + MINUTE if full else None,
    )
