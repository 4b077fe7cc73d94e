"""What a fleet takes: memory by kind of program, and the length of its namespaces' histories."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from controlplane.ids import namespace_workflow_id
from controlplane.local.processes import marked_processes
from tests.fleet import RunningFleet
from tests.traces import engine_of

_ASKED_AT_ONCE = 32


def memory(fleet: RunningFleet) -> Counter[str]:
    """Return MiB by kind of program, all its processes together, a page they share counted once."""
    used: Counter[str] = Counter()
    for marked in marked_processes(fleet.home):
        try:
            info = marked.process.memory_full_info()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        # Linux tells a process's share of what it shares; elsewhere this is what it has alone.
        used[marked.program.rpartition(".")[2]] += getattr(info, "pss", info.uss) >> 20
    return used


@dataclass(frozen=True)
class History:
    """The current run of an entity."""

    events: int
    size: int
    """Bytes."""
    rolled_over: bool
    """Whether there was a run before it."""


async def histories(fleet: RunningFleet, namespaces: Sequence[str]) -> list[History]:
    """Return the namespaces' entities' histories as they are now."""
    engine = await engine_of(fleet)
    limit = asyncio.Semaphore(_ASKED_AT_ONCE)

    async def history(namespace: str) -> History:
        async with limit:
            run = await engine.get_workflow_handle(namespace_workflow_id(namespace)).describe()
        info = run.raw_description.workflow_execution_info
        return History(run.history_length, info.history_size_bytes, run.run_id != info.first_run_id)

    return await asyncio.gather(*map(history, namespaces))
