"""What a run begins with."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure

NAMESPACE = TASK_QUEUE = "virtual"
IDENTITY = "the engine in virtual time"
TASK_TIMEOUT = timedelta(seconds=10)

Told = Callable[[Payload | Failure], None]
"""Hears the result of a workflow, or why there is none."""


@dataclass(frozen=True)
class Beginning:
    workflow_type: str
    workflow_id: str
    run_id: str
    at: datetime
    arguments: tuple[Payload, ...]
    first_run_id: str
    continued_from: str = ""
    """The id of the run before, if this one continues it as new."""
    parent: tuple[str, str] | None = None
    """The ids of workflow and run."""
    told: Told | None = None
