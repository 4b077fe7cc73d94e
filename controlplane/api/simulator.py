"""Simulations in processes of their own: one would keep the API from answering anything else."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import TypeAdapter

from controlplane.errors import failed_precondition, throttled
from rollout.simulation.types import Forecast, Simulation

LONGEST_SECONDS = 300.0
AT_ONCE = 2

_A_WHILE = timedelta(seconds=10)
_SIMULATION = TypeAdapter(Simulation)
_FORECAST = TypeAdapter(Forecast)
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SimulatorProcess:
    """Runs `python -m rollout.simulation`: `controlplane.api.ports.Simulator`."""

    longest_seconds: float = LONGEST_SECONDS
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def forecast(self, simulation: Simulation) -> Forecast:
        if self._turns.locked():
            raise throttled(
                f"{AT_ONCE} simulations are running already: ask again when one has ended",
                _A_WHILE,
            )
        async with self._turns:
            return await self._run(simulation)

    async def _run(self, simulation: Simulation) -> Forecast:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "rollout.simulation"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # A group of its own: Ctrl-C at the terminal is for the API, which then ends it.
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(self.longest_seconds):
                out, errors = await process.communicate(_SIMULATION.dump_json(simulation))
        except TimeoutError:
            raise failed_precondition(
                f"the simulation of {len(simulation.fleet.cells)} cells and {simulation.runs} runs "
                f"took more than {self.longest_seconds:g} s: ask for fewer runs"
            ) from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        if process.returncode != 0:
            _logger.error("a simulation failed: %s", errors.decode(errors="replace"))
            raise RuntimeError(f"the simulation ended with {process.returncode}: see the API's log")
        return _FORECAST.validate_json(out)
