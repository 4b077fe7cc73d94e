"""Scenario 2: both replicas of a namespace are in one batch."""

from temporalio.testing import WorkflowEnvironment

from cells.ledger.types import Acquire, ConflictKind, GiveBack, Purpose
from rollout.policy import RingPolicy, RolloutPolicy
from rollout.types import CellStatus, Outcome, Phase, Replicas, WaitCode
from tests.rollout.rollouts import fleet, ring_of
from tests.rollout.scenarios.stage import HOUR, playing

HALF = RolloutPolicy(rings=(RingPolicy(0, ("1", "50%", "all"), HOUR, HOUR, tolerance="3"),))
FIRST, PASSIVE, ACTIVE, OTHER = (cell.id for cell in ring_of(4))
MIGRATION = Acquire(
    PASSIVE, "migration/m", Purpose.MIGRATION, namespaces=("n", "another"), scopes=("region/a",)
)


def a_shared_namespace(*, caught_up: bool) -> tuple[Replicas, ...]:
    return (Replicas("n", ACTIVE, (PASSIVE,), caught_up),)


async def test_the_passive_side_goes_first_and_the_active_one_once_it_has_caught_up(
    engine_in_skipped_time: WorkflowEnvironment,
) -> None:
    namespace = a_shared_namespace(caught_up=False)
    async with playing(engine_in_skipped_time, fleet(*ring_of(4), replicas=namespace)) as play:
        # Given two cells that share a namespace, in one batch that may go all at once,
        await play.start(policy=HALF)

        # When the passive side is under way,
        await play.until(lambda: PASSIVE in play.visited(), every=HOUR / 12)
        await play.at_once(lambda: play.waits().get(ACTIVE) is WaitCode.PAIR)

        # Then the active one waits for it, and then until its replica lags no more.
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
        await play.start(policy=HALF)
        await play.until(lambda: play.view().cells[PASSIVE].status is CellStatus.VISITING)

        # When another namespace is to be moved away from the cell that is under way,
        refused = await play.stage.acquire(MIGRATION)

        # Then it is told who is there; and it gets its turn.
        assert [(c.kind, c.holder) for c in refused.conflicts] == [
            (ConflictKind.CELL, "rollout/r1"),
        ]
        await play.until(lambda: play.status(PASSIVE) is CellStatus.DONE)
        while not (await play.stage.acquire(MIGRATION)).granted:
            await play.pass_time(HOUR / 60)

        # And the rollout waits while the migration disturbs the pair, and goes on by itself.
        await play.pass_time(12 * HOUR)
        seen = play.status(ACTIVE)
        await play.stage.give_back(GiveBack(PASSIVE, "migration/m"))
        await play.until(lambda: play.view().phase is Phase.ENDED)
        if seen is not CellStatus.DONE:
            assert any("pair:n" in told for told in play.told("lease refused"))
        assert play.view().outcome is Outcome.SUCCEEDED
