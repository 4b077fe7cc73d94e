"""Scenario 9: four weeks in which cells come, go and change rings, and workers are replaced."""

from datetime import timedelta

from rollout.policy import RingPolicy, RolloutPolicy
from rollout.simulation.virtual.run import SUGGEST_NEW_RUN_FROM
from rollout.types import CellStatus, ControlKind, Outcome, Phase
from tests.rollout.rollouts import RELEASE, cell, fleet, ring_of
from tests.rollout.scenarios.stage import DAY, HOUR, playing

WEEK = 7 * DAY
FOUR_WEEKS = RolloutPolicy(
    rings=(
        RingPolicy(0, ("1", "all"), 12 * HOUR, WEEK, tolerance="2"),
        RingPolicy(1, ("1", "50%", "all"), 12 * HOUR, WEEK, tolerance="2"),
        RingPolicy(2, ("1", "50%", "all"), 12 * HOUR, WEEK, tolerance="2"),
    ),
    alert_without_data_after=HOUR,
)
CELLS = (*ring_of(6, 0, "a"), *ring_of(6, 1, "b"), *ring_of(6, 2, "c"))
LEAVE = (("a5", "c5"), ("a4", "c4"), ("a3",))
MOVE = ("b5", "c1", "c2")
"""The cell of each week that goes to another ring."""


def test_weeks_of_churn_need_no_repair_and_every_cell_ends_where_it_should() -> None:
    with playing(fleet(*CELLS)) as play:
        stage = play.stage
        play.start(policy=FOUR_WEEKS)

        # Each week five cells join, some leave, one changes its ring, and a new version of the
        # control plane is deployed while somebody pauses the rollout.
        for week in range(3):
            play.pass_time(4 * DAY)
            for number in range(5):
                ring = number % 3
                joins = cell(f"{'abc'[ring]}-new-{week}-{number}", ring)
                stage.cells[joins.id] = joins
            for leaves in LEAVE[week]:
                del stage.cells[leaves]
            stage.change(MOVE[week], ring=1)
            play.control(ControlKind.PAUSE, id=f"pause-{week}")
            play.engine.deploy()
            play.pass_time(6 * HOUR)
            play.control(ControlKind.RESUME, id=f"resume-{week}")
            play.replace_workers()
            play.pass_time(3 * DAY)
        play.until(lambda: play.view().phase is Phase.ENDED, within=6 * WEEK)

        # Then whoever is there has the release, and the report has the path of each cell,
        view = play.view()
        assert view.outcome is Outcome.SUCCEEDED
        assert {found.release for found in stage.cells.values()} == {RELEASE.digest}
        gone = {name for name, p in view.cells.items() if p.status is CellStatus.GONE}
        assert gone == set(view.cells) - set(stage.cells)
        assert all(view.cells[name].visit for name in stage.cells)
        assert view.started_at is not None
        assert view.ended_at is not None
        assert view.ended_at - view.started_at > timedelta(weeks=3)

        # each version got a run of its own, and none was long.
        lengths = play.lengths()
        assert len(lengths) > 3
        assert max(lengths) < SUGGEST_NEW_RUN_FROM + 100
