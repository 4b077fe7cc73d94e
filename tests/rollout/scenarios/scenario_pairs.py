"""Scenario 2: both replicas of a namespace are in one batch."""

from dataclasses import replace

from temporalio.testing import WorkflowEnvironment

from cells.ledger.types import Acquire, ConflictKind, GiveBack, Purpose
from cells.visits.types import VisitOutcome
from rollout.policy import RingPolicy, RolloutPolicy
from rollout.simulation.world import Course
from rollout.types import CellStatus, Outcome, Phase, Replicas, WaitCode
from tests.rollout.rollouts import fleet, ring_of
from tests.rollout.scenarios.stage import HOUR, MINUTE, playing

HALF = RolloutPolicy(rings=(RingPolicy(0, ("1", "50%", "all"), HOUR, HOUR, tolerance="3"),))
FIRST, PASSIVE, ACTIVE, _ = (cell.id for cell in ring_of(4))
AT_ANOTHER = Acquire("z9", "migration/m", Purpose.MIGRATION, namespaces=("n",))


def a_shared_namespace(*, caught_up: bool) -> tuple[Replicas, ...]:
    return (Replicas("n", ACTIVE, (PASSIVE,), caught_up),)


async def test_the_passive_side_goes_first_and_the_active_one_once_it_has_caught_up(
    engine_in_skipped_time: WorkflowEnvironment,
) -> None:
    namespace = a_shared_namespace(caught_up=True)
    async with playing(engine_in_skipped_time, fleet(*ring_of(4), replicas=namespace)) as play:
        # Given two cells that share a namespace, in one batch that may go all at once,
        play.stage.courses[PASSIVE] = Course(3 * HOUR, VisitOutcome.DONE)
        await play.start(policy=HALF)

        # When the passive side is under way,
        await play.until(lambda: PASSIVE in play.visited())
        await play.until(lambda: play.waits().get(ACTIVE) is WaitCode.PAIR)

        # Then the active one waits for it, and then until its replica lags no more.
        assert play.view().cells[PASSIVE].status is CellStatus.VISITING
        play.stage.arrange(replicas=a_shared_namespace(caught_up=False))
        assert play.why(ACTIVE).startswith("pair:n")
        await play.until(lambda: play.waits().get(ACTIVE) is WaitCode.LAG)
        await play.pass_time(12 * HOUR)
        assert ACTIVE not in play.visited()
        play.stage.arrange(replicas=a_shared_namespace(caught_up=True))
        await play.until(lambda: play.view().phase is Phase.ENDED)
        assert play.view().outcome is Outcome.SUCCEEDED


async def test_a_migration_and_the_rollout_wait_for_each_other_at_the_ledger(
    engine_in_skipped_time: WorkflowEnvironment,
) -> None:
    namespace = a_shared_namespace(caught_up=True)
    async with playing(engine_in_skipped_time, fleet(*ring_of(4), replicas=namespace)) as play:
        # Given a migration of the namespace at a cell that is none of the rollout's,
        assert (await play.stage.acquire(AT_ANOTHER)).granted
        await play.start(policy=HALF)

        # When the rollout comes to the two cells, then it waits and says why;
        await play.until(lambda: play.told("lease refused") != [])
        await play.pass_time(12 * HOUR)
        assert play.visited() == [FIRST]
        assert "pair:n: z9 is disturbed by migration/m" in play.told("lease refused")[0]

        # when the migration is over, the rollout goes on by itself,
        await play.stage.give_back(GiveBack("z9", "migration/m"))
        await play.until(
            lambda: play.view().cells[PASSIVE].status is CellStatus.VISITING, every=MINUTE
        )

        # and now it is the migration that is told who is in the way.
        refused = await play.stage.acquire(replace(AT_ANOTHER, cell=PASSIVE))
        assert [(c.kind, c.holder) for c in refused.conflicts] == [
            (ConflictKind.CELL, "rollout/r1")
        ]
        await play.until(lambda: play.view().phase is Phase.ENDED)
        assert play.view().outcome is Outcome.SUCCEEDED
