"""Record what rollouts, visits and the ledger did: `python -m tests.histories.record_rollouts`."""

import asyncio
import json
from functools import partial
from pathlib import Path
from uuid import uuid4

from cells.ledger.types import LEDGER_ID
from cells.visits.memory import Sickness
from controlplane.ids import rollout_workflow_id
from rollout.policy import RollbackScope
from rollout.types import CellStatus, Control, ControlKind, Phase
from tests.engine import fresh_namespace, running_engine
from tests.eventually import eventually
from tests.histories.record import HERE, today
from tests.rollout.small_fleet import NEW, SmallFleet, small_fleet


async def main() -> None:
    # This engine makes entities roll over early: some runs end by continue-as-new.
    async with running_engine() as environment:
        for scenario in (succeeded, halted_and_rolled_back, paused_and_aborted):
            client = await fresh_namespace(environment.client)
            async with small_fleet(client) as fleet:
                visit = await scenario(fleet)
                rollout = rollout_workflow_id("r1")
                await _write(fleet, rollout, f"rollout_{scenario.__name__}")
                await _write(fleet, f"visit/{visit}", f"visit_{scenario.__name__}")
                if scenario is succeeded:
                    await _write(fleet, LEDGER_ID, "ledger_of_a_rollout")
                    await _write_state(fleet, rollout, "rollout")


async def succeeded(fleet: SmallFleet) -> str:
    await fleet.join(0, 1, 1, 2)
    await fleet.start()
    view = await fleet.until("r1", Phase.ENDED)
    return next(iter(view.cells.values())).visit


async def halted_and_rolled_back(fleet: SmallFleet) -> str:
    cells = await fleet.join(0, 1, 1)
    fleet.examiner.sicknesses.append(Sickness("it loses canaries", cells[2], NEW))
    await fleet.start()
    await fleet.until("r1", Phase.HALTED, Phase.ROLLING_BACK)
    await _control(fleet, ControlKind.ROLL_BACK, RollbackScope.ALL)
    view = await fleet.until("r1", Phase.ENDED)
    return view.cells[cells[2]].visit


async def paused_and_aborted(fleet: SmallFleet) -> str:
    cells = await fleet.join(0, 1)
    await fleet.start()

    async def first_has(*statuses: CellStatus) -> bool:
        view = fleet.published.views.get("r1")
        return (
            view is not None and cells[0] in view.cells and view.cells[cells[0]].status in statuses
        )

    await eventually(partial(first_has, CellStatus.VISITING, CellStatus.DONE), within=30)
    await _control(fleet, ControlKind.PAUSE)
    await eventually(partial(first_has, CellStatus.DONE), within=30)
    await _control(fleet, ControlKind.ABORT)
    view = await fleet.until("r1", Phase.ENDED)
    return view.cells[cells[0]].visit


async def _control(
    fleet: SmallFleet, kind: ControlKind, scope: RollbackScope = RollbackScope.NONE
) -> None:
    wanted = Control(str(uuid4()), kind, "ann", "for the record", scope=scope)
    await fleet.rollouts.control("r1", wanted)


async def _write(fleet: SmallFleet, workflow_id: str, scenario: str) -> None:
    handle = fleet.client.get_workflow_handle(workflow_id)
    first = (await handle.describe()).raw_description.workflow_execution_info.first_run_id
    history = await fleet.client.get_workflow_handle(workflow_id, run_id=first).fetch_history()
    (HERE / f"{scenario}_{today()}.json").write_text(history.to_json())


async def _write_state(fleet: SmallFleet, workflow_id: str, kind: str) -> None:
    history = await fleet.client.get_workflow_handle(workflow_id).fetch_history()
    started = history.events[0].workflow_execution_started_event_attributes
    [decoded] = await fleet.client.data_converter.decode(started.input.payloads)
    golden = Path(HERE.parent / "golden" / f"{kind}_state_{today()}.json")
    golden.write_text(json.dumps(decoded, indent=2) + "\n")  # noqa: ASYNC240 - a script.


if __name__ == "__main__":
    asyncio.run(main())
