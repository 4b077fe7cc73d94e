"""Running a simulation: an engine in virtual time, and a rollout on it, per run."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from controlplane.ids import rollout_workflow_id
from rollout.activities import RolloutActivities
from rollout.plan import problems
from rollout.simulation.rollouts import SimulatedRollouts
from rollout.simulation.types import Forecast, Run, Simulation
from rollout.simulation.virtual.activities import Activity
from rollout.simulation.virtual.engine import Engine
from rollout.simulation.visit import SimulatedVisit, SimulatedVisits
from rollout.simulation.world import SimulatedFleet
from rollout.workflow import RolloutWorkflow

WORKFLOWS = (RolloutWorkflow, SimulatedVisit)


def forecast(simulation: Simulation) -> Forecast:
    """Return what to expect: every run ends, or says what it is stuck on.

    A plan that cannot finish is rejected with the least that is in conflict.
    """
    start, fleet = simulation.start, simulation.fleet
    found = list(problems(start.policy, fleet, start.release))
    runs = [] if found else [_run(simulation, number) for number in range(simulation.runs)]
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


def _run(simulation: Simulation, number: int) -> Run:
    start = replace(simulation.start, id=f"{simulation.start.id}-{number}")
    chance = random.Random(simulation.seed * 1000 + number)  # noqa: S311 - no secret comes of it.
    seed = chance.getrandbits(32)
    with Engine(WORKFLOWS, began_at=simulation.fleet.seen_at, seed=seed) as engine:
        fleet = SimulatedFleet(simulation, start, engine, chance)
        engine.offer(activities(fleet, {rollout_workflow_id(start.id): fleet}))
        SimulatedRollouts(engine).start(start)
        engine.go_on(fleet.began_at + simulation.at_most, stop=lambda: fleet.has_ended)
        histories = [run.history for run in engine.runs[rollout_workflow_id(start.id)]]
        return replace(
            fleet.run(),
            histories=len(histories),
            longest_history=max(history.length for history in histories),
            largest_history=max(history.size for history in histories),
        )


def activities(fleet: SimulatedFleet, fleets: dict[str, SimulatedFleet]) -> list[Activity]:
    """Return what workers do for rollouts over `fleet`, and for the visits of `fleets`, which are
    known by the workflow ids of their rollouts."""
    visits = SimulatedVisits(fleets)
    doing = RolloutActivities(
        inventory=fleet, evidence=fleet, ledger=fleet, rollouts=fleet, projection=fleet
    )
    return [
        doing.take_inventory,
        doing.gather_evidence,
        doing.acquire_lease,
        doing.give_back_lease,
        doing.supersede_rollout,
        doing.publish_rollout,
        visits.begin_simulated_visit,
        visits.end_simulated_visit,
    ]


def _quantile(ascending: Sequence[timedelta], share: float) -> timedelta | None:
    """Return the value below or at which this share of the values lies; None of nothing."""
    if not ascending:
        return None
    return ascending[min(int(len(ascending) * share), len(ascending) - 1)]
