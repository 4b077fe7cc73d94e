"""How long a life tries, and how long it waits: in skipped time."""

from dataclasses import replace
from datetime import timedelta

from temporalio.testing import WorkflowEnvironment

from cells.life import steps
from cells.life.types import Layer, LifeCommandKind, Phase
from cells.providers.memory import Moment, PlannedFault
from controlplane.errors import throttled
from tests.cells.life.living import (
    BLUEPRINT,
    CALLS,
    CELL,
    TAKING_DOWN,
    WHOLE,
    Lives,
    problem_of,
)


async def test_what_fails_again_and_again_is_given_up_and_named(
    lives: Lives, engine_in_skipped_time: WorkflowEnvironment
) -> None:
    lives.fail("stores.prepare")
    await lives.create()

    await lives.in_time(engine_in_skipped_time, Phase.FAILED)

    assert lives.calls.count("stores.prepare") == steps.A_WHILE.attempts
    assert problem_of(lives.view, Layer.STORES) == "the connection was reset"


async def test_a_cloud_that_asks_for_time_is_given_it(
    lives: Lives, engine_in_skipped_time: WorkflowEnvironment
) -> None:
    hour = timedelta(hours=1)
    slow = PlannedFault(
        "ensure_account", Moment.BEFORE, error=lambda: throttled("slow down", hour), times=2
    )
    lives.land.faults.append(slow)
    await lives.create()

    await lives.in_time(engine_in_skipped_time, Phase.READY)

    account = next(known for known in lives.view.layers if known.layer is Layer.ACCOUNT)
    assert account.built_at is not None
    assert account.built_at - account.begun_at >= 2 * hour
    assert lives.calls.count("ensure_account") == 3


async def test_a_cell_that_could_not_be_built_yet_is_built_by_itself_later(
    lives: Lives, engine_in_skipped_time: WorkflowEnvironment
) -> None:
    lives.cloud.against.append("the quota of clusters is used up")
    await lives.create()
    await lives.in_time(engine_in_skipped_time, Phase.WAITING)
    await lives.pass_time(engine_in_skipped_time, timedelta(hours=2))
    looks = lives.calls.count("obstacles")
    assert 10 < looks < 60, "every few minutes"
    lives.cloud.against.clear()

    await lives.in_time(engine_in_skipped_time, Phase.READY)


async def test_a_cell_goes_by_itself_once_it_is_empty_and_its_account_is_swept(
    lives: Lives, engine_in_skipped_time: WorkflowEnvironment
) -> None:
    await lives.create()
    await lives.in_time(engine_in_skipped_time, Phase.READY)
    lives.registry.living[CELL] = ["n1.acme1"]
    stray = f"{lives.view.account.id}/volume" if lives.view.account else ""
    lives.land.things.make(stray)
    await lives.command(LifeCommandKind.DECOMMISSION, drain=True)
    await lives.pass_time(engine_in_skipped_time, timedelta(hours=1))
    assert lives.view.phase is Phase.DRAINING
    lives.registry.living.clear()
    await lives.in_time(engine_in_skipped_time, Phase.DISMANTLING)
    await lives.pass_time(engine_in_skipped_time, timedelta(hours=6))
    assert lives.view.leftovers == (stray,)
    assert lives.calls.count("leftovers") > 10
    assert "close_account" not in lives.calls
    lives.land.things.unmake(stray)

    await lives.in_time(engine_in_skipped_time, Phase.GONE)

    assert lives.there == []


async def test_whatever_fails_once_before_halfway_or_after_all_is_made_once_and_all_goes(
    lives: Lives, engine_in_skipped_time: WorkflowEnvironment
) -> None:
    cells = {f"{CELL}-{moment.value}": moment for moment in Moment}
    for cell, moment in cells.items():
        for call in (*CALLS.values(), "cordon", *TAKING_DOWN):
            lives.land.faults.append(PlannedFault(call, moment, cell, times=1))
        await lives.create(replace(BLUEPRINT, cell=cell, uid=f"uid{moment.value}"))

    for cell in cells:
        await lives.in_time(engine_in_skipped_time, Phase.READY, cell=cell)
    assert len(lives.there) == len(cells) * len(WHOLE)
    lives.assert_nothing_made_twice()
    for cell in cells:
        await lives.command(LifeCommandKind.DECOMMISSION, cell=cell)
    for cell in cells:
        await lives.in_time(engine_in_skipped_time, Phase.GONE, cell=cell)
    assert lives.there == []
    unstruck = [fault for fault in lives.land.faults if fault.times]
    assert {fault.moment for fault in unstruck} == {Moment.HALFWAY}, "few calls have a half"
