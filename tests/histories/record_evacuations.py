"""Record what evacuations did: `python -m tests.histories.record_evacuations`."""

import asyncio
import json
from dataclasses import replace

from temporalio.client import WorkflowHistory
from temporalio.testing import WorkflowEnvironment

from controlplane.payloads import data_converter
from provisioning.evacuation.policy import Confirm, EvacuationKind
from provisioning.evacuation.types import ControlKind, WaitCode
from tests.engine import BIN, NO_ATTACHED_QUERIES, fresh_namespace, running_engine
from tests.eventually import eventually
from tests.histories.record import HERE, today
from tests.provisioning.evacuation.emptying import HERE as CELL
from tests.provisioning.evacuation.emptying import (
    THERE,
    Emptying,
    assert_evacuations_replay,
    emptying,
    namespace,
    quick,
)


async def main() -> None:
    # What each did is in one run of it; the state comes from those that rolled over.
    async with await WorkflowEnvironment.start_local(
        data_converter=data_converter,
        dev_server_existing_path=str(BIN / "temporal"),
        dev_server_extra_args=[*NO_ATTACHED_QUERIES],
    ) as environment:
        for scenario in (drill_came_back, drain_confirmed, drain_paused_and_aborted):
            async with emptying(await fresh_namespace(environment.client)) as world:
                await scenario(world)
                history = await _history(world)
                file = HERE / f"evacuation_{scenario.__name__}_{today()}.json"
                file.write_text(history.to_json())
    async with (
        running_engine() as environment,
        emptying(await fresh_namespace(environment.client)) as world,
    ):
        await drill_came_back(world)
        await _write_state(world)


async def drill_came_back(world: Emptying) -> None:
    world.put(namespace("a"), namespace("b"), namespace("single", passive=()))
    await world.start(EvacuationKind.DRILL)
    await world.ended()


async def drain_confirmed(world: Emptying) -> None:
    world.put(namespace("a"), namespace("b", THERE, (CELL,)))
    world.namespaces.faults["a.acme1"] = ["the peer is slow"]
    policy = replace(quick(EvacuationKind.DRAIN), attempts=1)
    await world.start(EvacuationKind.DRAIN, policy)
    await eventually(lambda: _asks(world, 2))
    await world.control(ControlKind.CONFIRM)
    await world.ended()


async def drain_paused_and_aborted(world: Emptying) -> None:
    world.put(namespace("a", THERE, (CELL,)))
    await world.start(
        EvacuationKind.DRAIN, replace(quick(EvacuationKind.DRAIN), confirm=Confirm.ASK)
    )
    await eventually(lambda: _asks(world, 1))
    await world.control(ControlKind.PAUSE)
    await world.control(ControlKind.RESUME)
    await world.control(ControlKind.ABORT)
    await world.ended()


async def _asks(world: Emptying, count: int) -> bool:
    view = world.published.views.get("e1")
    waits = () if view is None else view.waits
    return sum(wait.code is WaitCode.CONFIRMATION for wait in waits) == count


async def _history(world: Emptying) -> WorkflowHistory:
    await assert_evacuations_replay(world.temporal)
    return await world.client.handle(CELL).fetch_history()


async def _write_state(world: Emptying) -> None:
    history = await _history(world)
    started = history.events[0].workflow_execution_started_event_attributes
    [decoded] = await world.temporal.data_converter.decode(started.input.payloads)
    golden = HERE.parent / "golden" / f"evacuation_state_{today()}.json"
    golden.write_text(json.dumps(decoded, indent=2) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
