"""Rollouts whose visits die: they wait until a person has freed the cell, and go on then."""

from dataclasses import replace
from datetime import timedelta

from temporalio.testing import WorkflowEnvironment

from cells.visits.client import VisitClient
from cells.visits.memory import Sickness
from cells.visits.types import VisitPhase, VisitRules
from rollout.types import CellStatus, Control, ControlKind, Outcome, Phase
from tests.engine import fresh_namespace
from tests.eventually import eventually
from tests.rollout.small_fleet import MOMENT, NEW, QUICK, small_fleet


async def test_a_rollout_whose_visit_was_terminated_goes_on_once_the_cell_is_released(
    engine: WorkflowEnvironment,
) -> None:
    client = await fresh_namespace(engine.client)
    async with small_fleet(client) as fleet:
        (cell,) = await fleet.join(0)
        fleet.examiner.sicknesses.append(Sickness("it warms up", server_version=NEW))
        patient = VisitRules(MOMENT, verify_for=MOMENT, healthy_within=timedelta(hours=1))
        await fleet.start(policy=replace(QUICK, visit=patient))

        async def verifies() -> bool:
            visit = (await fleet.client_of_cells.describe(cell)).visit
            return visit is not None and visit.phase is VisitPhase.VERIFY

        await eventually(verifies)
        await client.get_workflow_handle(f"visit/r1/{cell}/1").terminate()

        await VisitClient(fleet.client_of_cells).release(cell, reason="it is dead", by="ann")

        view = await fleet.until("r1", Phase.HALTED)
        assert view.cells[cell].status is CellStatus.BROKEN
        assert "ann released the cell: it is dead" in view.message
        fleet.examiner.sicknesses.clear()
        await fleet.client_of_cells.lift_quarantine(cell, by="ann")

        async def lifted() -> bool:
            return fleet.cells.views[cell].quarantine is None

        await eventually(lifted)
        await fleet.rollouts.control(
            "r1", Control("c1", ControlKind.RETRY, "ann", "looked at it", cell=cell)
        )
        view = await fleet.until("r1", Phase.ENDED)
        assert view.outcome is Outcome.SUCCEEDED
