"""The product's own worker with faults planned into its ports: `python -m tests.faults.worker DIR`.

Everything else is as in production: settings from the environment, real adapters, real engine.
"""

import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from cells.runtime.absent import AbsentRuntime
from controlplane.adapters import adapters
from controlplane.settings import Settings
from controlplane.worker import build_workers, connect_engine
from tests.faults.deadly import Deadly, Faults


async def main(folder: Path) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settings = Settings.from_env()
    client = await connect_engine()
    async with (
        adapters(settings, client, AbsentRuntime()) as activities,
        AsyncExitStack() as running,
    ):
        provisioning = activities.provisioning
        ports = {f.name: getattr(provisioning, f.name) for f in fields(provisioning)}
        del ports["zone"]
        deadly: dict[str, Any] = {
            name: Deadly(port, name, settings.zone, Faults(folder)) for name, port in ports.items()
        }
        faulty = replace(activities, provisioning=replace(provisioning, **deadly))
        workers = build_workers(client, faulty, settings.regions)
        for worker in workers:
            await running.enter_async_context(worker)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
