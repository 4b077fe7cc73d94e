"""A worker that dies on purpose: `python -m tests.provisioning.evacuation.worker FOLDER ENGINE NS`.

Everything about evacuations is as in production but the world, which is in files (`world.py`).
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
from tests.faults.deadly import Faults
from tests.provisioning.evacuation.emptying import MOMENT, evacuation_worker
from tests.provisioning.evacuation.world import FileCells, FileEvacuations, FileNamespaces


@dataclass(frozen=True)
class Deadly(Interceptor):
    """Kills this process before or after the activities for which it is planned."""

    faults: Faults

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Deadly(next, self.faults)


class _Deadly(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, faults: Faults) -> None:
        super().__init__(next)
        self._faults = faults

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        cell = (activity.info().workflow_id or "").partition("/")[2]
        fault = cell and self._faults.take(cell, self._call(cell))
        if not fault:
            return await super().execute_activity(input)
        if fault[1] == "after":
            await super().execute_activity(input)
        os.kill(os.getpid(), signal.SIGKILL)
        return None

    def _call(self, cell: str) -> str:
        """Return the activity's type and which of its kind it is: `begin_move.2`."""
        info = activity.info()
        # Ids begin anew with each run.
        this = f"{info.workflow_run_id}/{info.activity_id}"
        seen = self._faults.folder.with_name("seen") / f"{cell}.{info.activity_type}"
        known = seen.read_text().split() if seen.exists() else []
        if this not in known:
            known.append(this)
            seen.parent.mkdir(exist_ok=True)
            seen.write_text(" ".join(known))
        return f"{info.activity_type}.{known.index(this) + 1}"


async def main(folder: Path, engine: str, namespace: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    client = await Client.connect(engine, namespace=namespace, data_converter=data_converter)
    cells = FileCells(folder)
    regions = {view.id: view.spec.region for view in await cells.cells()}
    worker = evacuation_worker(
        client,
        FileNamespaces(regions, takes=MOMENT, folder=folder),
        cells,
        FileEvacuations(folder),
        interceptors=[Deadly(Faults(folder / "faults"))],
        sandboxed=False,
    )
    async with worker:
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
