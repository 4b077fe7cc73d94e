"""Evacuations, drains and drills through their client: a real engine, real workers."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError

from cells.ledger.types import Acquire, GiveBack, Purpose
from cells.types import CellView, Cordon
from provisioning.evacuation.policy import Confirm, EvacuationKind
from provisioning.evacuation.types import (
    ControlKind,
    EvacuationView,
    MoveKind,
    Outcome,
    Status,
    WaitCode,
)
from provisioning.tiers import Tier
from provisioning.types import FailoverCause, FailoverMode
from tests.eventually import eventually
from tests.provisioning.evacuation.emptying import (
    BESIDE,
    HERE,
    LONG_AGO,
    THERE,
    Emptying,
    namespace,
    quick,
)

EVACUATE, DRAIN, DRILL = EvacuationKind.EVACUATE, EvacuationKind.DRAIN, EvacuationKind.DRILL
LONG = timedelta(minutes=5)


async def test_an_evacuation_fails_over_what_is_active_in_the_cell_and_leaves_it_cordoned(
    world: Emptying,
) -> None:
    world.put(namespace("a"), namespace("b"), namespace("c", THERE, (HERE,)))
    world.put(namespace("single", passive=()), namespace("no", opted_out=True))

    await world.start(EVACUATE)
    view = await world.ended()

    assert await world.where() == {
        **dict.fromkeys(("a", "b", "c"), (THERE, HERE)),
        "single": (HERE,),
        "no": (HERE, THERE),
    }
    assert view.outcome is Outcome.INCOMPLETE
    assert view.counts == {Status.MOVED: 2, Status.LEFT: 2}
    assert view.namespaces["single.acme1"].code is WaitCode.SINGLE_REPLICA
    assert view.namespaces["no.acme1"].code is WaitCode.OPTED_OUT
    cordon = world.cells.views[HERE].cordon
    assert cordon is not None
    assert cordon.by == "evacuation e1"
    assert await world.ledger.leases() == {}
    moved = (await world.namespaces.named(["a.acme1"]))[0].failovers[-1]
    assert (moved.cause, moved.forced) == (FailoverCause.EVACUATION, False)
    assert moved.reason == f"evacuate of {HERE} (e1), ann: a test"


async def test_namespaces_move_in_the_order_of_their_tiers(world: Emptying) -> None:
    world.put(
        namespace("a", tier=Tier.BRONZE),
        namespace("b"),
        namespace("c", tier=Tier.GOLD),
        namespace("d", tier=Tier.SILVER),
    )

    await world.start(EVACUATE, replace(quick(EVACUATE), at_once=1))
    view = await world.ended()

    moved = [event.namespace for event in view.events if event.what == "moved"]
    assert moved == ["c.acme1", "d.acme1", "a.acme1", "b.acme1"]


async def test_a_drill_brings_back_what_it_moved_and_reports_how_long_it_took(
    world: Emptying,
) -> None:
    world.put(namespace("a"), namespace("b"), namespace("single", passive=()))

    await world.start(DRILL)
    view = await world.ended()

    assert await world.where() == {"a": (HERE, THERE), "b": (HERE, THERE), "single": (HERE,)}
    assert view.outcome is Outcome.SUCCEEDED
    assert view.report.verdict == "passed: 2 namespaces went and came back, none by force"
    assert view.report.away is not None
    assert view.report.away.p50 == world.namespaces.takes
    assert view.report.back is not None
    assert view.report.back.count == 2
    assert world.cells.views[HERE].cordon is None


async def test_a_drill_that_meets_trouble_comes_back_at_once_and_has_failed(
    world: Emptying,
) -> None:
    world.put(namespace("a"), namespace("b"), namespace("c"))
    world.namespaces.faults["b.acme1"] = ["no handover within 10 s"]

    await world.start(DRILL, replace(quick(DRILL), drill_soak=LONG, at_once=1))
    view = await world.ended()

    assert view.outcome is Outcome.FAILED
    assert "b.acme1 the last: no handover within 10 s" in view.report.verdict
    assert await world.where() == dict.fromkeys("abc", (HERE, THERE))
    assert view.namespaces["c.acme1"].moves == ()
    assert world.cells.views[HERE].cordon is None


async def test_a_drain_leaves_nothing_in_the_cell(world: Emptying) -> None:
    world.put(namespace("a"), namespace("p", THERE, (HERE,)), namespace("single", passive=()))

    await world.start(DRAIN, replace(quick(DRAIN), confirm=Confirm.AUTO))
    view = await world.ended()

    assert view.outcome is Outcome.SUCCEEDED, view.message
    assert await world.where() == {
        "a": (THERE, BESIDE),
        "p": (THERE, BESIDE),
        "single": (BESIDE,),
    }
    assert [move.kind for move in view.namespaces["a.acme1"].moves] == [
        MoveKind.FAILOVER,
        MoveKind.MIGRATION,
    ]


async def test_a_drain_asks_before_a_namespace_gives_up_the_cell(world: Emptying) -> None:
    world.put(namespace("a", THERE, (HERE,)), namespace("b", THERE, (HERE,)))

    await world.start(DRAIN)
    await _until(world, lambda view: len(_waiting(view, WaitCode.CONFIRMATION)) == 2)

    assert await world.where() == dict.fromkeys("ab", (THERE, HERE))
    asked = world.published.views["e1"].waits_for
    assert asked == f"confirm that a.acme1 and 1 more may give up {HERE}: there is no way back"
    await world.control(ControlKind.CONFIRM, "a.acme1", id="k1")
    await _until(world, lambda view: view.namespaces["a.acme1"].status is Status.MOVED)
    assert (await world.where())["b"] == (THERE, HERE)
    await world.control(ControlKind.CONFIRM, id="k2")
    assert (await world.ended()).outcome is Outcome.SUCCEEDED


async def test_an_aborted_drain_undoes_what_is_under_way_and_takes_its_cordon_away(
    world: Emptying,
) -> None:
    world.put(namespace("a"), namespace("b", THERE, (HERE,)))

    await world.start(DRAIN)
    await _until(world, lambda view: len(_waiting(view, WaitCode.CONFIRMATION)) == 2)
    await world.control(ControlKind.ABORT)
    view = await world.ended()

    assert view.outcome is Outcome.ABORTED
    assert view.message == "stopped by bob: because"
    assert await world.where() == dict.fromkeys("ab", (THERE, HERE))  # What failed over stays.
    assert {each.code for each in view.namespaces.values()} == {WaitCode.STOPPED}
    assert world.cells.views[HERE].cordon is None
    assert await world.ledger.leases() == {}


async def test_a_cordon_that_was_there_before_outlives_an_aborted_evacuation(
    world: Emptying,
) -> None:
    kept = Cordon("broken fan", "cyd", LONG_AGO)
    world.cells.put(replace(world.cells.views[HERE], cordon=kept))
    world.put(namespace("a", THERE, (HERE,)))

    await world.start(DRAIN)
    await _until(world, lambda view: bool(_waiting(view, WaitCode.CONFIRMATION)))
    await world.control(ControlKind.ABORT)
    await world.ended()

    assert world.cells.views[HERE].cordon == kept


async def test_nothing_begins_while_it_is_paused(world: Emptying) -> None:
    world.put(namespace("a"), namespace("b"))
    world.cells.put(_sick(world, THERE))

    await world.start(EVACUATE)
    await _until(world, lambda view: len(_waiting(view, WaitCode.TARGET_SICK)) == 2)
    await world.control(ControlKind.PAUSE)
    world.cells.put(replace(world.cells.views[THERE], quarantine=None))
    await _until(world, lambda view: len(_waiting(view, WaitCode.PAUSED)) == 2)

    assert await world.where() == dict.fromkeys("ab", (HERE, THERE))
    assert (await world.client.describe(HERE)).eta_p50 is None
    await world.control(ControlKind.RESUME)
    assert (await world.ended()).outcome is Outcome.SUCCEEDED


async def test_a_namespace_of_which_another_replica_is_disturbed_waits_and_the_others_do_not(
    world: Emptying,
) -> None:
    world.put(namespace("a"), namespace("b", passive=(BESIDE,)))
    rollout = Acquire(THERE, "rollout/r1", Purpose.ROLLOUT, ("a.acme1",))
    lease = (await world.ledger.acquire(rollout)).lease

    await world.start(EVACUATE)
    await _until(world, lambda view: view.namespaces["b.acme1"].status is Status.MOVED)

    assert (await world.where())["a"] == (HERE, THERE)
    (wait,) = (await world.client.describe(HERE)).waits
    assert (wait.code, wait.message) == (
        WaitCode.LEASE,
        f"{THERE} has a replica of it and is disturbed by rollout/r1",
    )
    await world.ledger.give_back(GiveBack(THERE, "rollout/r1", lease))
    assert (await world.ended()).outcome is Outcome.SUCCEEDED


async def test_nothing_moves_while_somebody_else_is_at_the_cell(world: Emptying) -> None:
    world.put(namespace("a"))
    rollout = Acquire(HERE, "rollout/r1", Purpose.ROLLOUT)
    lease = (await world.ledger.acquire(rollout)).lease

    await world.start(EVACUATE)
    await _until(world, lambda view: f"rollout/r1 is at {HERE}" in view.blocked)

    assert await world.where() == {"a": (HERE, THERE)}
    await world.ledger.give_back(GiveBack(HERE, "rollout/r1", lease))
    assert (await world.ended()).outcome is Outcome.SUCCEEDED


async def test_from_a_lost_cell_everything_is_forced(world: Emptying) -> None:
    world.put(namespace("a", opted_out=False))
    world.cells.put(_sick(world, HERE))

    await world.start(EVACUATE, source_lost=True)
    view = await world.ended()

    (move,) = view.namespaces["a.acme1"].moves
    assert (move.mode, move.forced) == (FailoverMode.FORCED, True)
    assert view.report.forced == 1


async def test_a_namespace_that_fails_is_left_and_tried_again_when_a_person_says_so(
    world: Emptying,
) -> None:
    world.put(namespace("a"), namespace("b"))
    world.namespaces.faults["a.acme1"] = ["the peer is slow"]

    await world.start(EVACUATE, replace(quick(EVACUATE), attempts=1, tolerance=0))
    await _until(world, lambda view: bool(view.paused_by))

    failed = (await world.client.describe(HERE)).namespaces["a.acme1"]
    assert (failed.status, failed.code) == (Status.LEFT, WaitCode.FAILED)
    assert failed.message == "it failed once: the peer is slow"
    await world.control(ControlKind.RETRY, "a.acme1")
    await world.control(ControlKind.RESUME)
    view = await world.ended()
    assert view.outcome is Outcome.SUCCEEDED
    operations = [move.operation for move in view.namespaces["a.acme1"].moves]
    assert operations == ["e1-a.acme1-1", "e1-a.acme1-2"]


async def test_it_is_begun_once_however_often_it_is_asked_for(world: Emptying) -> None:
    world.put(namespace("a", THERE, (HERE,)))

    first = await world.start(DRAIN)
    again = await world.start(DRAIN)

    assert (first.id, again.id) == ("e1", "e1")
    with pytest.raises(ApplicationError, match=r"is being emptied by evacuation e1 \(drain") as no:
        await world.start(EVACUATE, id="e2")
    assert no.value.type == "AlreadyExists"
    with pytest.raises(ApplicationError, match="under way by other rules"):
        await world.start(DRAIN, replace(quick(DRAIN), at_once=1))
    with pytest.raises(ApplicationError, match="e0 has ended: e1 empties"):
        await world.control(ControlKind.PAUSE, evacuation="e0")
    await world.control(ControlKind.ABORT)
    await world.ended()
    with pytest.raises(ApplicationError, match="e1 of aws-us-east-1-c1 has been, and has ended"):
        await world.start(DRAIN)
    with pytest.raises(ApplicationError, match="has ended, or never was"):
        await world.control(ControlKind.PAUSE)


async def test_a_cell_that_there_is_not_is_not_emptied(world: Emptying) -> None:
    await world.start(EVACUATE, cell="nowhere")
    await world.client.handle("nowhere").result()

    view = world.published.views["e1"]
    assert (view.outcome, view.message) == (Outcome.FAILED, "there is no cell nowhere")


def _waiting(view: EvacuationView, code: WaitCode) -> list[str]:
    return [wait.namespace for wait in view.waits if wait.code is code]


def _sick(world: Emptying, cell: str) -> CellView:
    return replace(world.cells.views[cell], quarantine=Cordon("broken", "cyd", LONG_AGO))


async def _until(world: Emptying, probe: Callable[[EvacuationView], bool]) -> None:
    """Return once the evacuation was published as such."""

    async def so() -> bool:
        view = world.published.views.get("e1")
        return view is not None and probe(view)

    await eventually(so)
