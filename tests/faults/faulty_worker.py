"""A fleet whose worker is replaced by one with planned faults, begun again whenever it dies."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from controlplane.local.control_plane import WORKER, service_environment
from controlplane.local.home import Home
from tests.faults.deadly import Faults
from tests.fleet import RunningFleet


@dataclass
class FaultyWorker:
    faults: Faults
    deaths: int = 0


@contextlib.asynccontextmanager
async def faulty_worker(fleet: RunningFleet, folder: Path) -> AsyncIterator[FaultyWorker]:
    """Take the fleet's worker away for a while, and let a faulty one do its work."""
    worker = FaultyWorker(Faults(folder))
    await fleet.stop(WORKER)
    try:
        keeping = asyncio.create_task(_keep_running(fleet, folder, worker))
        try:
            yield worker
        finally:
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping
    finally:
        await fleet.start(WORKER)


async def _keep_running(fleet: RunningFleet, folder: Path, worker: FaultyWorker) -> None:
    environment = {**os.environ, **service_environment(Home(fleet.home), fleet.record)}
    while True:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.faults.worker", str(folder)), env=environment
        )
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            process.terminate()
            await process.wait()
            raise
        assert code == -signal.SIGKILL, f"the worker ended by itself with {code}"
        worker.deaths += 1
