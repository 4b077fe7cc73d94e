"""Whose a state's lock is, and when it is ours to release."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cells.infrastructure.locks import StateLock, is_left_by, refused_by
from cells.infrastructure.messages import Diagnostic
from cells.infrastructure.runs import Run

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DEAD = Run(
    id="0011223344556677",
    operation="apply",
    who="root@worker-1",
    begun_at=NOW,
    folder=Path("/nowhere"),
    last_sign=NOW + timedelta(minutes=2),
)
LEFT = StateLock("8d9f5a52", "OperationTypeApply", DEAD.who, NOW + timedelta(seconds=3))


def test_the_lock_is_read_from_what_terraform_says() -> None:
    detail = (
        "Error message: HTTP remote state already locked: ID=8d9f5a52\nLock Info:\n"
        "  ID:        8d9f5a52\n  Path:      \n  Operation: OperationTypeApply\n"
        "  Who:       root@worker-1\n  Version:   1.15.5\n"
        "  Created:   2026-11-22 12:00:03.000000001 +0000 UTC\n  Info:      \n\n\n"
        "Terraform acquires a state lock to protect the state"
    )

    assert refused_by([Diagnostic("Error acquiring the state lock", detail)]) == LEFT
    assert refused_by([Diagnostic("Error: something else", detail)]) is None


def test_a_lock_that_our_dead_run_took_is_ours_to_release() -> None:
    assert is_left_by(LEFT, DEAD)


@pytest.mark.parametrize(
    ("lock", "run"),
    [
        (replace(LEFT, who="root@worker-2"), DEAD),
        (replace(LEFT, who="ada@worker-1"), DEAD),
        (replace(LEFT, operation="OperationTypePlan"), DEAD),
        (replace(LEFT, created=NOW - timedelta(seconds=1)), DEAD),
        (replace(LEFT, created=NOW + timedelta(minutes=3)), DEAD),
        (replace(LEFT, created=None), DEAD),
        (replace(LEFT, id=""), DEAD),
        (LEFT, replace(DEAD, last_sign=None)),
    ],
    ids=["host", "user", "operation", "before", "after-death", "undated", "nameless", "not-dead"],
)
def test_any_doubt_leaves_a_lock_alone(lock: StateLock, run: Run) -> None:
    assert not is_left_by(lock, run)
