"""What can go wrong between a caller and Google, on demand, call by call."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum


class Kind(StrEnum):
    THROTTLE = "throttle"
    ERROR = "error"
    """Google answers UNAVAILABLE, and has done nothing."""
    RESET = "reset"
    """The connection ends before anything was done."""
    LOST = "lost"
    """It was done, and then the connection ends."""
    SLOW = "slow"
    DENIED = "denied"
    QUOTA = "quota"


RETRY_AFTER = timedelta(seconds=7)
SLOW_SECONDS = 0.3


@dataclass
class Faults:
    """The faults that are still to happen, and how many of each did."""

    pending: dict[tuple[str, Kind], int] = field(default_factory=dict)
    fired: Counter[tuple[str, Kind]] = field(default_factory=Counter)

    def add(self, call: str, kind: Kind, times: int = 1) -> None:
        self.pending[call, kind] = times

    def next(self, call: str) -> Kind | None:
        """Return what goes wrong with this call, if anything does."""
        for (each, kind), times in self.pending.items():
            if each == call and times:
                self.pending[call, kind] -= 1
                self.fired[call, kind] += 1
                return kind
        return None
