"""Scenario 2: both replicas of a namespace are in one batch."""

from dataclasses import replace

from cells.ledger.types import Acquire, ConflictKind, GiveBack, Purpose
from cells.visits.types import VisitOutcome
from rollout.policy import RingPolicy, RolloutPolicy
from rollout.simulation.world import Course
from rollout.types import CellStatus, Outcome, Phase, Replicas, WaitCode
from tests.rollout.rollouts import fleet, ring_of
from tests.rollout.scenarios.stage import HOUR, playing

HALF = RolloutPolicy(rings=(RingPolicy(0, ("1", "50%", "all"), HOUR, HOUR, tolerance="3"),))
FIRST, PASSIVE, ACTIVE, _ = (cell.id for cell in ring_of(4))
AT_ANOTHER = Acquire("z9", "migration/m", Purpose.MIGRATION, namespaces=("n",))


def a_shared_namespace(*, caught_up: bool) -> tuple[Replicas, ...]:
    return (Replicas("n", ACTIVE, (PASSIVE,), caught_up),)


def test_the_passive_side_goes_first_and_the_active_one_once_it_has_caught_up() -> None:
    namespace = a_shared_namespace(caught_up=True)
    with playing(fleet(*ring_of(4), replicas=namespace)) as play:
        # Given two cells that share a namespace, in one batch that may go all at once,
        play.stage.courses[PASSIVE] = Course(3 * HOUR, VisitOutcome.DONE)
        play.start(policy=HALF)

        # When the passive side is under way,
        play.until(lambda: PASSIVE in play.visited())
        play.until(lambda: play.waits().get(ACTIVE) is WaitCode.PAIR)

        # Then the active one waits for it, and then until its replica lags no more.
        assert play.view().cells[PASSIVE].status is CellStatus.VISITING
        play.stage.arrange(replicas=a_shared_namespace(caught_up=False))
        assert play.why(ACTIVE).startswith("pair:n")
        play.until(lambda: play.waits().get(ACTIVE) is WaitCode.LAG)
        play.pass_time(12 * HOUR)
        assert ACTIVE not in play.visited()
        play.stage.arrange(replicas=a_shared_namespace(caught_up=True))
        play.until(lambda: play.view().phase is Phase.ENDED)
        assert play.view().outcome is Outcome.SUCCEEDED


def test_a_migration_and_the_rollout_wait_for_each_other_at_the_ledger() -> None:
    namespace = a_shared_namespace(caught_up=True)
    with playing(fleet(*ring_of(4), replicas=namespace)) as play:
        # Given a migration of the namespace at a cell that is none of the rollout's,
        assert play.stage.lend(AT_ANOTHER).granted
        play.start(policy=HALF)

        # When the rollout comes to the two cells, then it waits and says why;
        play.until(lambda: play.told("lease refused") != [])
        play.pass_time(12 * HOUR)
        assert play.visited() == [FIRST]
        assert "pair:n: z9 is disturbed by migration/m" in play.told("lease refused")[0]

        # when the migration is over, the rollout goes on by itself,
        play.stage.take_back(GiveBack("z9", "migration/m"))
        play.until(lambda: play.view().cells[PASSIVE].status is CellStatus.VISITING)

        # and now it is the migration that is told who is in the way.
        refused = play.stage.lend(replace(AT_ANOTHER, cell=PASSIVE))
        assert [(c.kind, c.holder) for c in refused.conflicts] == [
            (ConflictKind.CELL, "rollout/r1")
        ]
        play.until(lambda: play.view().phase is Phase.ENDED)
        assert play.view().outcome is Outcome.SUCCEEDED
