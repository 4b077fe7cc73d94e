"""Simulations: what is expected of a rollout, and why one cannot be carried through."""

from dataclasses import replace
from datetime import timedelta

from rollout.policy import RingPolicy, RollbackScope, RolloutPolicy
from rollout.simulation.run import forecast
from rollout.simulation.types import Assumptions, Churn, Simulation
from rollout.types import Outcome, Replicas, StartRollout
from tests.rollout.rollouts import NEW, OLD, RELEASE, cell, fleet, ring_of

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
POLICY = RolloutPolicy(
    rings=(
        RingPolicy(0, ("1", "all"), HOUR, DAY),
        RingPolicy(1, ("1", "50%", "all"), 4 * HOUR, DAY, tolerance="1", approvals=2),
    ),
    rollback=RollbackScope.NONE,
)
CELLS = (*ring_of(2, 0, "a"), *ring_of(6, 1, "b"))
BAKES = HOUR + DAY + 4 * HOUR + 4 * HOUR + DAY


def simulation(policy: RolloutPolicy = POLICY, **rest: object) -> Simulation:
    start = StartRollout("s1", RELEASE, policy, "ann", "what if")
    simulated = Simulation(start, fleet(*CELLS), runs=3)
    return replace(simulated, **rest)  # type: ignore[arg-type]


def test_a_rollout_that_can_be_carried_through_is_foretold_without_violations() -> None:
    foretold = forecast(simulation())

    assert not foretold.problems
    assert [run.outcome for run in foretold.runs] == [Outcome.SUCCEEDED] * 3
    assert [run.cells for run in foretold.runs] == [len(CELLS)] * 3
    assert [run.violations for run in foretold.runs] == [()] * 3
    # Approvals are played: ring 1 needs two people.
    assert foretold.ended_p50 is not None
    assert foretold.ended_p90 is not None
    assert BAKES < foretold.ended_p50 <= foretold.ended_p90 < BAKES + 8 * HOUR
    assert foretold.rings_p50[0] < HOUR
    assert HOUR + DAY < foretold.rings_p50[1] < 2 * DAY


def test_what_can_never_end_is_refused_with_the_least_that_is_in_conflict() -> None:
    torn = (Replicas("n", "b0", ("b1",)),)
    behind = [cell(name, 1, server_version="1.29.1") for name in ("b0", "b1")]
    others = [each for each in CELLS if each.id not in ("b0", "b1")]

    foretold = forecast(
        simulation(fleet=fleet(*others, *behind, replicas=torn, servers=("1.29.1", OLD, NEW)))
    )

    assert foretold.problems
    (problem,) = foretold.problems
    assert "b0 (1.29.1), b1 (1.29.1) share n" in problem
    assert foretold.runs == ()


def test_a_run_that_does_not_end_in_time_says_what_it_is_stuck_on() -> None:
    sick = Churn(MINUTE, joins=cell("b0", 1, ready=False, why_not_ready="its disk is full"))

    foretold = forecast(
        simulation(
            replace(POLICY, deferral_patience=60 * DAY), runs=1, churn=(sick,), at_most=6 * DAY
        )
    )

    (run,) = foretold.runs
    assert (run.outcome, run.ended_after) == (None, None)
    assert run.cells == len(CELLS) - 1
    assert "its disk is full" in run.stuck
    assert foretold.problems == (run.stuck,)


def test_failures_are_foretold_with_what_goes_back() -> None:
    always = Assumptions(failure_share=1.0)

    foretold = forecast(
        simulation(
            replace(POLICY, rollback=RollbackScope.ALL), runs=1, assumptions=always, at_most=3 * DAY
        )
    )

    (run,) = foretold.runs
    assert run.outcome is not Outcome.SUCCEEDED
    assert run.violations == ()
    assert run.cells == 0
