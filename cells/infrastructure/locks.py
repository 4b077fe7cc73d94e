"""The lock on a state: who has it, and whether it is a lock of ours that nobody holds any more."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cells.infrastructure.messages import Diagnostic
from cells.infrastructure.runs import Run

_FIELD = re.compile(r"^\s*(ID|Operation|Who|Created):[ \t]+(.+?)\s*$", re.M)
_REFUSED = "Error acquiring the state lock"


@dataclass(frozen=True)
class StateLock:
    id: str
    operation: str
    """As Terraform calls it, such as OperationTypeApply."""
    who: str
    """user@host."""
    created: datetime | None

    @property
    def text(self) -> str:
        """Whose it is, for people."""
        doing = self.operation.removeprefix("OperationType").lower() or "something"
        since = f" since {self.created:%Y-%m-%d %H:%M:%S} UTC" if self.created else ""
        return f"{self.who or 'somebody'} ({doing}{since}, lock {self.id})"


def refused_by(errors: Sequence[Diagnostic]) -> StateLock | None:
    """Return the lock for which Terraform did not start, if that is why."""
    for error in errors:
        if _REFUSED in error.summary:
            fields = dict(_FIELD.findall(error.detail))
            return StateLock(
                id=fields.get("ID", ""),
                operation=fields.get("Operation", ""),
                who=fields.get("Who", ""),
                created=_time(fields.get("Created", "")),
            )
    return None


def is_left_by(lock: StateLock, run: Run) -> bool:
    """Say whether a lock is for certain what a dead run of ours has left.

    Same person, same host, same operation, and taken while that run was still giving signs of life:
    had somebody else had the lock then, the run would have been refused and have ended. The caller
    has seen that nothing of the run is alive.
    """
    return (
        bool(lock.id)
        and lock.who == run.who
        and lock.operation == run.lock_operation
        and lock.created is not None
        and run.last_sign is not None
        and run.begun_at <= lock.created <= run.last_sign
    )


def _time(text: str) -> datetime | None:
    """Read a time as Go writes it: 2026-11-22 12:34:56.123456789 +0000 UTC."""
    found = re.match(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(\.\d{1,6})?\d* \+0000 UTC", text)
    if found is None:
        return None
    return datetime.fromisoformat(f"{found[1]}{found[2] or ''}").replace(tzinfo=UTC)
