"""A worker that dies on purpose: `python -m tests.visits.worker FOLDER ENGINE NAMESPACE REGION`.

Everything about visits is as in production but the world, which is in files (`tests.visits.world`).
"""

import asyncio
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from controlplane.payloads import data_converter
from tests.faults.deadly import MID_CALL_SECONDS, Faults
from tests.visits.working import visit_worker
from tests.visits.world import FileExaminer, FileRuntime


@dataclass(frozen=True)
class Deadly(Interceptor):
    """Kills this process in or beside the activities for which it is planned."""

    faults: Faults

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Deadly(next, self.faults)


class _Deadly(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, faults: Faults) -> None:
        super().__init__(next)
        self._faults = faults

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        cell = getattr(input.args[0], "cell", "")
        fault = cell and self._faults.take(cell, self._call(cell))
        if not fault:
            return await super().execute_activity(input)
        if fault[1] == "before":
            _die()
        under_way = asyncio.ensure_future(super().execute_activity(input))
        if fault[1] == "during":
            await asyncio.sleep(MID_CALL_SECONDS)
            _die()
        await under_way
        return _die()

    def _call(self, cell: str) -> str:
        """Return the activity's type and which of its kind it is in its visit: `verify_cell.2`."""
        info = activity.info()
        seen = self._faults.folder.with_name("seen") / f"{cell}.{info.activity_type}"
        known = seen.read_text().split() if seen.exists() else []
        if info.activity_id not in known:
            known.append(info.activity_id)
            seen.parent.mkdir(exist_ok=True)
            seen.write_text(" ".join(known))
        return f"{info.activity_type}.{known.index(info.activity_id) + 1}"


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def main(folder: Path, engine: str, namespace: str, region: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    client = await Client.connect(engine, namespace=namespace, data_converter=data_converter)
    runtime = FileRuntime(folder / "cells")
    worker = visit_worker(
        client,
        region,
        runtime,
        FileExaminer(runtime),
        interceptors=[Deadly(Faults(folder / "faults"))],
        sandboxed=False,
    )
    async with worker:
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
