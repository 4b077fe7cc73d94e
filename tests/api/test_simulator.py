"""Simulations in a process of their own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace

import psutil
import pytest
from temporalio.exceptions import ApplicationError

from controlplane.api.simulator import AT_ONCE, SimulatorProcess
from controlplane.errors import ErrorType
from controlplane.store.inventory import cell_facts
from rollout.simulation.types import Simulation
from rollout.types import Fleet, Outcome
from tests.eventually import eventually
from tests.store.rollout_views import start_rollout
from tests.store.views import NOW, cell_view

SMALL = Simulation(
    start_rollout(),
    Fleet(
        seen_at=NOW,
        cells=(cell_facts(cell_view("c0", ring=0)), cell_facts(cell_view("c1"))),
        servers=("1.30.1", "1.31.2"),
    ),
    runs=1,
)


def simulations() -> list[psutil.Process]:
    """Return the simulations that this process has started."""
    started = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if "rollout.simulation" in child.cmdline():
                started.append(child)
    return started


@asynccontextmanager
async def long_simulation(simulator: SimulatorProcess) -> AsyncIterator[None]:
    before = len(simulations())
    running = asyncio.create_task(simulator.forecast(replace(SMALL, runs=1000)))

    async def has_begun() -> bool:
        return len(simulations()) > before

    try:
        await eventually(has_begun, within=60)
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_a_forecast_comes_back_from_the_process() -> None:
    forecast = await SimulatorProcess().forecast(SMALL)

    assert (forecast.release, forecast.cells, forecast.problems) == ("server-1.31.2", 2, ())
    (run,) = forecast.runs
    assert (run.outcome, run.cells, run.violations) == (Outcome.SUCCEEDED, 2, ())
    assert simulations() == []


async def test_while_some_run_others_have_to_wait_and_what_nobody_waits_for_ends() -> None:
    simulator = SimulatorProcess()
    async with AsyncExitStack() as running:
        for _ in range(AT_ONCE):
            await running.enter_async_context(long_simulation(simulator))
        with pytest.raises(ApplicationError) as refusal:
            await simulator.forecast(SMALL)

    assert refusal.value.type == ErrorType.THROTTLED

    async def all_gone() -> bool:
        return simulations() == []

    await eventually(all_gone, within=20)


async def test_a_simulation_that_takes_too_long_is_given_up() -> None:
    simulator = SimulatorProcess(longest_seconds=0.2)

    with pytest.raises(ApplicationError, match=r"1000 runs took more than 0\.2 s"):
        await simulator.forecast(replace(SMALL, runs=1000))

    assert simulations() == []
