"""How a cell goes: in the reverse order of its building, until nothing of it is left."""

from dataclasses import replace

import pytest
from temporalio.exceptions import ApplicationError

from cells.life.types import Layer, LifeCommandKind, LifeView, Phase
from cells.providers.memory import Moment
from controlplane.errors import ErrorType
from tests.cells.life.living import (
    ACCOUNT,
    BLUEPRINT,
    CALLS,
    CELL,
    TAKING_DOWN,
    WHOLE,
    Lives,
    problem_of,
)

RETRY, ABANDON = LifeCommandKind.RETRY, LifeCommandKind.ABANDON
DECOMMISSION, KEEP = LifeCommandKind.DECOMMISSION, LifeCommandKind.KEEP


async def test_a_cell_is_taken_down_in_reverse_and_leaves_a_tombstone(
    rolling_lives: Lives,
) -> None:
    lives = rolling_lives
    await a_ready_cell(lives)

    asked = await lives.command(DECOMMISSION)

    assert asked.phase is Phase.DRAINING
    tombstone = await lives.client.handle(CELL).result()
    assert lives.there == []
    assert lives.calls == ["residents", "cordon", "residents", *TAKING_DOWN]
    assert lives.view == tombstone, "the last that is published"
    assert lives.phases[0] is Phase.BUILDING
    assert lives.phases[-1] is Phase.GONE
    assert (tombstone.account, tombstone.leftovers) == (ACCOUNT, ())
    gone = [known.dismantled_at for known in tombstone.layers if known.dismantled_at]
    assert len(gone) == len(Layer)
    assert gone == sorted(gone, reverse=True), "the exact reverse"


async def test_a_name_is_never_used_again(rolling_lives: Lives) -> None:
    lives = rolling_lives
    lives.cloud.against.append("no quota")
    await lives.create()
    await lives.until_in(Phase.WAITING)
    await lives.command(ABANDON)
    await lives.client.handle(CELL).result()

    with pytest.raises(ApplicationError, match=r"there was a cell .* choose another name") as used:
        await lives.create(replace(BLUEPRINT, uid="another1"))
    assert used.value.type == ErrorType.ALREADY_EXISTS
    for kind in LifeCommandKind:
        with pytest.raises(ApplicationError, match="was not built here, or is gone") as gone:
            await lives.command(kind)
        assert gone.value.type == ErrorType.NOT_FOUND
    assert lives.there == []


async def test_a_cell_in_which_namespaces_live_is_taken_down_only_if_they_are_to_move(
    lives: Lives,
) -> None:
    await a_ready_cell(lives)
    lives.registry.living[CELL] = [f"n{number:02}.acme1" for number in range(12)]

    with pytest.raises(ApplicationError, match="12 namespaces live there") as refused:
        await lives.command(DECOMMISSION, operation="d-1")

    assert refused.value.type == ErrorType.FAILED_PRECONDITION
    assert "n00.acme1, n01.acme1, n02.acme1" in str(refused.value)
    assert "and 4 more" in str(refused.value)
    assert lives.calls == ["residents"]
    assert lives.there == WHOLE, "nothing was touched"
    assert (await lives.client.describe(CELL)).phase is Phase.READY
    await lives.command(DECOMMISSION, drain=True, operation="d-2")
    view = await lives.until(lambda view: "12 namespaces live there" in view.message)
    assert (view.phase, view.retry_at is None) == (Phase.DRAINING, False)
    assert lives.registry.cordons == {CELL: "decommission: it was asked for, ann"}
    assert lives.there == WHOLE[:-1], "only nothing more is placed there"
    lives.registry.living.clear()
    await lives.command(RETRY)
    await lives.client.handle(CELL).result()
    assert lives.there == []


async def test_a_cell_that_drains_may_be_kept(lives: Lives) -> None:
    await a_ready_cell(lives)
    lives.registry.living[CELL] = ["n1.acme1"]
    await lives.command(DECOMMISSION, drain=True)
    await lives.until(lambda view: "1 namespace lives there: n1.acme1" in view.message)

    await lives.command(KEEP)

    await lives.until_in(Phase.READY)
    assert (lives.there, lives.registry.cordons) == (WHOLE, {})
    lives.registry.living.clear()
    await lives.command(DECOMMISSION)
    await lives.client.handle(CELL).result()
    assert lives.there == []


async def test_an_account_is_not_closed_as_long_as_a_sweep_finds_something(lives: Lives) -> None:
    await a_ready_cell(lives)
    stray = f"{ACCOUNT.id}/volume of somebody"
    lives.land.things.make(stray)
    await lives.command(DECOMMISSION)

    view = await lives.until(lambda view: bool(view.leftovers))

    assert (view.phase, view.leftovers) == (Phase.DISMANTLING, (stray,))
    assert f"the account still has what belongs to the cell: {stray}" in view.message
    assert view.retry_at is not None, "it is looked at again by itself"
    assert lives.there == [f"account {ACCOUNT.id}", stray]
    with pytest.raises(ApplicationError, match="too late to keep it"):
        await lives.command(KEEP)
    lives.land.things.unmake(stray)
    await lives.command(RETRY)
    assert (await lives.client.handle(CELL).result()).leftovers == ()
    assert lives.there == []


async def test_what_cannot_be_taken_down_is_said_and_nothing_below_it_is(lives: Lives) -> None:
    await a_ready_cell(lives)
    lives.reject("services.remove")
    await lives.command(DECOMMISSION)

    view = await lives.until(lambda view: bool(problem_of(view, Layer.SERVICES)))

    assert view.phase is Phase.DISMANTLING
    assert "layer Services is not gone yet: services.remove is not allowed" in view.message
    assert lives.there == WHOLE[:7]
    lives.land.faults.clear()
    await lives.command(RETRY)
    await lives.client.handle(CELL).result()
    assert lives.there == []


async def test_abandoned_while_it_is_built_a_cell_is_left_halfway_and_taken_down(
    lives: Lives,
) -> None:
    lives.land.held.add("infrastructure.build")
    await lives.create()
    await lives.until_called("infrastructure.build")

    await lives.command(ABANDON)

    tombstone = await lives.client.handle(CELL).result()
    assert tombstone.foundation is None
    assert f"{ACCOUNT.id}/database" not in lives.made, "it was cut short"
    assert lives.calls[-3:] == ["infrastructure.dismantle", "leftovers", "close_account"]
    assert "services.remove" not in lives.calls, "they were not begun"
    assert lives.there == []


async def test_whatever_failed_an_abandoned_cell_leaves_nothing(lives: Lives) -> None:
    failures = [(call, Moment.AFTER) for call in CALLS.values()]
    failures += [(call, Moment.HALFWAY) for call in ("infrastructure.build", "services.install")]
    cells = {f"{CELL}-{n}": failure for n, failure in enumerate(failures)}
    for n, (cell, (call, moment)) in enumerate(cells.items()):
        lives.reject(call, moment, cell)
        await lives.create(replace(BLUEPRINT, cell=cell, uid=f"uid{n}"))

    for cell in cells:
        await lives.until_in(Phase.FAILED, cell=cell)
        await lives.command(ABANDON, cell=cell)

    for cell in cells:
        assert (await lives.client.handle(cell).result()).phase is Phase.GONE
    assert lives.there == []


async def test_a_cell_that_may_have_been_opened_is_not_torn_from_under_a_namespace(
    lives: Lives,
) -> None:
    lives.reject("open", Moment.AFTER)
    await lives.create()
    await lives.until_in(Phase.FAILED)
    lives.registry.living[CELL] = ["n1.acme1"]

    await lives.command(ABANDON)

    view = await lives.until(lambda view: "1 namespace lives there" in view.message)
    assert view.phase is Phase.DRAINING
    assert lives.there == WHOLE[:-1]
    with pytest.raises(ApplicationError, match="was never Ready"):
        await lives.command(KEEP)
    lives.registry.living.clear()
    await lives.command(RETRY)
    await lives.client.handle(CELL).result()
    assert lives.there == []


async def test_a_command_is_taken_once(lives: Lives) -> None:
    await a_ready_cell(lives)
    lives.registry.living[CELL] = ["n1.acme1"]
    await lives.command(DECOMMISSION, drain=True, operation="d-1")
    await lives.until_in(Phase.DRAINING)
    await lives.command(KEEP, operation="k-1")
    await lives.until_in(Phase.READY)

    again: LifeView = await lives.command(DECOMMISSION, drain=True, operation="d-1")

    assert again.phase is Phase.READY, "what was called off is not begun again by a late repeat"
    with pytest.raises(ApplicationError, match="operation d-1 was to decommission") as reused:
        await lives.command(RETRY, operation="d-1")
    assert reused.value.type == ErrorType.ALREADY_EXISTS


async def a_ready_cell(lives: Lives) -> None:
    await lives.create()
    await lives.until_in(Phase.READY)
    lives.land.calls.clear()
