"""What an evacuation does next, case by case: no engine, no clock."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from provisioning.evacuation.facts import NamespaceFacts
from provisioning.evacuation.policy import (
    Confirm,
    EvacuationKind,
    check_policy,
    default_policy,
)
from provisioning.evacuation.preview import preview
from provisioning.evacuation.types import (
    Control,
    ControlKind,
    MoveKind,
    Outcome,
    Phase,
    Start,
    StartEvacuation,
    Status,
    WaitCode,
)
from provisioning.evacuation.view import view
from provisioning.tiers import Tier, tier_of
from provisioning.types import FailoverMode
from tests.provisioning.evacuation.pretended import (
    HERE,
    HOUR,
    MINUTE,
    NOW,
    OTHER,
    SECOND,
    Pretended,
    a_cell,
    a_namespace,
    evacuation,
    reasons,
)

EVACUATE, DRAIN, DRILL = EvacuationKind.EVACUATE, EvacuationKind.DRAIN, EvacuationKind.DRILL


def world(
    *namespaces: NamespaceFacts, kind: EvacuationKind = EVACUATE, source_lost: bool = False
) -> Pretended:
    """Return a cell with these namespaces, a second one in its region, and one in another."""
    cells = [a_cell(HERE), a_cell("there"), a_cell("far", region=OTHER)]
    policy = replace(default_policy(kind), confirm=Confirm.AUTO)
    return Pretended(
        evacuation(kind, policy, source_lost=source_lost),
        {cell.id: cell for cell in cells},
        {each.id: each for each in namespaces},
    )


def begun(world: Pretended) -> Pretended:
    """Return it cordoned and leased."""
    world.turn()
    return world


Hurt = Callable[[Pretended], None]


def _cell(name: str, **changes: str) -> Hurt:
    def hurt(world: Pretended) -> None:
        world.cells[name] = replace(world.cells[name], **changes)  # type: ignore[arg-type] # texts

    return hurt


def _namespace(**changes: object) -> Hurt:
    def hurt(world: Pretended) -> None:
        world.namespaces["n"] = replace(world.namespaces["n"], **changes)  # type: ignore[arg-type]

    return hurt


def _unknown(cell: str) -> Hurt:
    def hurt(world: Pretended) -> None:
        del world.cells[cell]

    return hurt


OBSTACLES: dict[str, tuple[Hurt, WaitCode, str]] = {
    "target sick": (
        _cell("there", sick="no parts"),
        WaitCode.TARGET_SICK,
        "there is sick: no parts",
    ),
    "target unknown": (
        _unknown("there"),
        WaitCode.TARGET_SICK,
        "nothing is known of there",
    ),
    "target disturbed": (
        _cell("there", disturbed="rollout/r1 is at it"),
        WaitCode.TARGET_DISTURBED,
        "there is disturbed: rollout/r1 is at it",
    ),
    "target cordoned": (
        _cell("there", cordon="cordoned by cyd: fan"),
        WaitCode.TARGET_CORDONED,
        "there is cordoned by cyd: fan",
    ),
    "target overfull": (
        lambda world: world.cells.update(there=a_cell("there", room=5, used=6)),
        WaitCode.NO_HEADROOM,
        "there has no headroom: more of it is given out than there is",
    ),
    "behind": (
        _namespace(behind="there lacks 3 workflow executions"),
        WaitCode.BEHIND,
        "its replicas are behind: there lacks 3 workflow executions",
    ),
    "changing": (
        _namespace(change="c1", change_says="add (copy)"),
        WaitCode.CHANGING,
        "its replicas are changed: add (copy)",
    ),
    "being created": (
        _namespace(is_active=False, life="ACTIVATING"),
        WaitCode.NOT_ACTIVE,
        "it is ACTIVATING",
    ),
    "not open": (
        _namespace(passive=(replace(a_namespace("x").passive[0], is_open=False),)),
        WaitCode.NOT_OPEN,
        "its clients are not let in at there yet",
    ),
}


@pytest.mark.parametrize(("hurt", "code", "message"), OBSTACLES.values(), ids=OBSTACLES.keys())
def test_what_may_pass_is_waited_for_and_then_left_with_its_reason(
    hurt: Hurt, code: WaitCode, message: str
) -> None:
    pretended = world(a_namespace("n"))
    hurt(pretended)

    (wait,) = begun(pretended).turn().waits
    assert (wait.code, wait.message) == (code, message)
    state = pretended.run()

    assert pretended.begun == []
    assert pretended.now - NOW >= state.policy.patience
    assert (state.outcome, state.namespaces["n"].code) == (Outcome.INCOMPLETE, code)
    assert state.namespaces["n"].message.startswith(message)


@pytest.mark.parametrize(("hurt", "code", "message"), OBSTACLES.values(), ids=OBSTACLES.keys())
def test_what_has_passed_is_moved(hurt: Hurt, code: WaitCode, message: str) -> None:  # noqa: ARG001
    pretended = world(a_namespace("n"))
    whole = (dict(pretended.cells), dict(pretended.namespaces))
    hurt(pretended)

    def mend() -> None:
        pretended.cells, pretended.namespaces = whole

    pretended.later(20 * MINUTE, mend)

    assert pretended.run().outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize(
    ("namespace", "code"),
    [
        (a_namespace("n", passive=()), WaitCode.SINGLE_REPLICA),
        (replace(a_namespace("n"), opted_out=True), WaitCode.OPTED_OUT),
    ],
    ids=["single replica", "opted out"],
)
def test_what_does_not_pass_is_left_at_once(namespace: NamespaceFacts, code: WaitCode) -> None:
    pretended = world(namespace)

    state = pretended.run()

    assert state.namespaces["n"].code is code
    assert pretended.now - NOW < MINUTE


def test_a_namespace_with_two_other_replicas_takes_the_one_its_owner_prefers_if_it_is_well() -> (
    None
):
    pretended = begun(world(a_namespace("n", passive=("there", "far"))))
    assert [start.target for start in pretended.turn().starts] == ["there"]

    pretended = world(a_namespace("n", passive=("there", "far")))
    pretended.cells["there"] = replace(pretended.cells["there"], sick="no parts")
    assert [start.target for start in begun(pretended).turn().starts] == ["far"]


def test_from_a_lost_cell_a_cordoned_target_and_one_that_is_behind_are_better_than_nothing() -> (
    None
):
    pretended = world(replace(a_namespace("n"), behind="it lacks 3"), source_lost=True)
    pretended.cells["there"] = replace(pretended.cells["there"], cordon="cordoned by cyd: fan")

    (start,) = begun(pretended).turn().starts

    assert start == Start("n", MoveKind.FAILOVER, HERE, "there", FailoverMode.FORCED)


def test_headroom_that_the_policy_keeps_free_is_kept() -> None:
    pretended = world(a_namespace("n"))
    pretended.state.policy = replace(pretended.state.policy, keep_free=20)
    pretended.cells["there"] = a_cell("there", room=10, used=9)

    assert reasons(begun(pretended).turn()) == {"n": WaitCode.NO_HEADROOM}
    pretended.cells["there"] = a_cell("there", room=10, used=8)
    assert len(pretended.turn().starts) == 1


def test_a_drain_migrates_to_the_emptiest_cell_of_the_region_and_then_elsewhere_by_policy() -> None:
    pretended = world(a_namespace("n", passive=()), kind=DRAIN)
    pretended.cells["near"] = a_cell("near", used=50)
    assert pretended.run().namespaces["n"].moves[0].target == "there"

    pretended = world(a_namespace("n", passive=()), kind=DRAIN)
    pretended.cells["there"] = a_cell("there", room=3, used=3)
    state = pretended.run()
    assert state.namespaces["n"].code is WaitCode.NO_CELL
    assert "there: namespaces: 1 needed, 0 free" in state.namespaces["n"].message

    pretended = world(a_namespace("n", passive=()), kind=DRAIN)
    pretended.cells["there"] = a_cell("there", room=3, used=3)
    pretended.state.policy = replace(pretended.state.policy, other_regions=(OTHER,))
    assert pretended.run().namespaces["n"].moves[0].target == "far"


def test_two_replicas_never_come_to_fail_together() -> None:
    pretended = world(a_namespace("n", "far", (HERE,)), kind=DRAIN)
    for name in ("there", "far"):
        pretended.cells[name] = replace(pretended.cells[name], failure_domain="rack-1")

    state = pretended.run()

    assert state.namespaces["n"].code is WaitCode.NO_CELL
    assert "fails together with another replica, as part of rack-1" in state.namespaces["n"].message


def test_what_cannot_be_failed_over_is_migrated_by_a_drain() -> None:
    pretended = world(a_namespace("n", passive=("far",)), kind=DRAIN)
    pretended.cells["far"] = replace(pretended.cells["far"], sick="no parts")

    state = pretended.run()

    assert [move.kind for move in state.namespaces["n"].moves] == [MoveKind.MIGRATION]
    assert state.outcome is Outcome.SUCCEEDED


def test_a_failed_namespace_is_tried_again_later_by_another_operation() -> None:
    pretended = world(a_namespace("n"))
    pretended.fails = lambda _, attempt: attempt < 3

    state = pretended.run()

    moves = state.namespaces["n"].moves
    assert [move.operation for move in moves] == ["e1-n-1", "e1-n-2", "e1-n-3"]
    assert state.outcome is Outcome.SUCCEEDED
    first, second, third = (at for at, _ in pretended.begun)
    assert second - first >= 30 * SECOND
    assert third - second >= MINUTE


def test_too_many_failures_pause_an_evacuation_until_a_person_says_to_go_on() -> None:
    many = [a_namespace(f"n{number}") for number in range(6)]
    pretended = world(*many)
    pretended.state.policy = replace(pretended.state.policy, attempts=1, at_once=1)
    pretended.fails = lambda name, _: name < "n4"

    state = pretended.run()

    assert state.phase is Phase.FAILING_OVER
    assert state.paused_by == "the evacuation itself: 4 failed, n3 the last: it failed on purpose"
    assert view(state, pretended.now).waits_for.startswith("to be resumed or aborted")
    assert pretended.control(_control(ControlKind.RESUME)) is None
    state = pretended.run()
    assert state.outcome is Outcome.INCOMPLETE
    assert {n for n, each in state.namespaces.items() if each.status is Status.MOVED} == {
        "n4",
        "n5",
    }


def test_a_drill_whose_target_falls_sick_comes_back_before_its_time() -> None:
    pretended = world(a_namespace("n"), kind=DRILL)
    pretended.state.policy = replace(pretended.state.policy, drill_soak=HOUR)

    def sicken() -> None:
        pretended.cells["there"] = replace(pretended.cells["there"], sick="no parts")

    pretended.later(MINUTE, sicken)
    state = pretended.run()

    assert pretended.now - NOW < HOUR
    assert state.message == "given up: there is sick: no parts"
    assert (state.outcome, state.namespaces["n"].status) == (Outcome.FAILED, Status.RETURNED)


def test_a_drill_does_not_bring_back_what_somebody_else_has_moved_on() -> None:
    pretended = world(a_namespace("n", passive=("there", "far")), a_namespace("m"), kind=DRILL)

    def move_on() -> None:
        moved = a_namespace("n", "far", ("there", HERE))
        pretended.namespaces["n"] = replace(moved, revision=9)

    pretended.later(MINUTE, move_on)
    state = pretended.run()

    assert state.namespaces["n"].code is WaitCode.MOVED_ON
    assert state.namespaces["m"].status is Status.RETURNED
    assert pretended.namespaces["n"].active == replace(
        pretended.namespaces["n"].passive[0], cell="far"
    )


def test_what_an_evacuation_moved_and_somebody_brought_back_is_not_moved_again() -> None:
    pretended = world(a_namespace("n"), a_namespace("slow", passive=("far",)))
    pretended.takes = lambda name, _: HOUR if name == "slow" else SECOND

    def bring_back() -> None:
        pretended.namespaces["n"] = replace(a_namespace("n"), revision=9)

    pretended.later(MINUTE, bring_back)
    state = pretended.run()

    assert pretended.attempts["n"] == 1
    assert state.namespaces["n"].code is WaitCode.MOVED_ON


def test_a_namespace_that_comes_to_the_cell_meanwhile_is_moved_too() -> None:
    pretended = world(a_namespace("n"))

    def arrive() -> None:
        pretended.namespaces["late"] = a_namespace("late")

    pretended.later(SECOND, arrive)

    assert pretended.run().namespaces["late"].status is Status.MOVED


def test_a_namespace_deleted_and_created_again_is_another_one() -> None:
    pretended = world(replace(a_namespace("n"), behind="it lacks 3"))

    def recreate() -> None:
        pretended.namespaces["n"] = replace(a_namespace("n"), uid="another")

    pretended.later(MINUTE, recreate)
    state = pretended.run()

    assert state.namespaces["n"].uid == "another"
    assert state.namespaces["n"].status is Status.MOVED


def test_no_more_begin_within_a_minute_than_the_policy_lets() -> None:
    pretended = world(*(a_namespace(f"n{number}") for number in range(5)))
    pretended.state.policy = replace(pretended.state.policy, per_minute=2)

    begun(pretended)
    decided = pretended.turn()

    assert [start.namespace for start in decided.starts] == ["n0", "n1"]
    assert reasons(decided) == dict.fromkeys(("n2", "n3", "n4"), WaitCode.RATE)
    later = pretended.turn()
    assert (later.starts, later.wake_at) == ((), NOW + MINUTE)


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (EVACUATE, {"at_once": 0}, "at_once is 0: choose 1 to 100"),
        (EVACUATE, {"keep_free": 100}, "keep_free is 100: choose 0 to 99"),
        (EVACUATE, {"patience": timedelta(days=31)}, "choose a time of at most 30 days"),
        (EVACUATE, {"other_regions": (OTHER,)}, "other_regions is for drains"),
        (DRILL, {"mode": FailoverMode.FORCED}, "a drill loses nothing, and mode forced may"),
        (DRAIN, {"migration_takes": timedelta(0)}, "choose more than nothing"),
    ],
    ids=["nobody at once", "all free", "too patient", "not a drain", "forced drill", "no time"],
)
def test_rules_that_make_no_sense_are_refused_with_the_remedy(
    kind: EvacuationKind, changes: dict[str, object], message: str
) -> None:
    policy = replace(default_policy(kind), **changes)  # type: ignore[arg-type] # any field

    with pytest.raises(ValueError, match=message):
        check_policy(kind, policy)


@pytest.mark.parametrize("kind", EvacuationKind)
def test_the_default_rules_make_sense(kind: EvacuationKind) -> None:
    check_policy(kind, default_policy(kind))


def test_the_tier_of_a_namespace_is_its_tag_and_bronze_without_one() -> None:
    assert tier_of({"tier": "gold"}) is Tier.GOLD
    assert tier_of({"tier": "Silver"}) is Tier.SILVER
    assert tier_of({"tier": "platinum"}) is Tier.BRONZE
    assert tier_of({}) is Tier.BRONZE


def test_the_end_is_estimated_by_what_moves_took_so_far() -> None:
    pretended = world(*(a_namespace(f"n{number:02}") for number in range(20)))
    pretended.state.policy = replace(pretended.state.policy, per_minute=1000)
    pretended.takes = lambda name, _: MINUTE if name == "n00" else 6 * SECOND

    begun(pretended)
    shown = view(pretended.state, NOW)
    # 20 namespaces, 5 at a time, 15 seconds each by guess: nothing was seen yet.
    assert shown.eta_p50 == shown.eta_p90 == NOW + 4 * 15 * SECOND
    pretended.later(13 * SECOND, lambda: None)
    while pretended.now < NOW + 13 * SECOND:
        pretended.turn()
        pretended.jump()
    shown = view(pretended.state, pretended.now)
    # 4 have taken 6 seconds each; n00 is under way for a minute, which nobody knows yet.
    assert shown.counts == {Status.MOVING: 5, Status.MOVED: 8, Status.WAITING: 7}
    assert shown.eta_p50 == shown.eta_p90 == pretended.now + 3 * 6 * SECOND


def _control(kind: ControlKind, namespace: str = "", **changes: str) -> Control:
    request = Control(f"{kind.value} {namespace}", "e1", kind, "bob", "because", namespace)
    return replace(request, **changes)  # type: ignore[arg-type] # texts


@pytest.mark.parametrize(
    ("control", "message"),
    [
        (_control(ControlKind.PAUSE, actor=""), "a control needs an actor: say who asks for it"),
        (
            _control(ControlKind.PAUSE, reason=""),
            "pause needs a reason: say why, for those who read the audit log",
        ),
        (_control(ControlKind.RESUME), "it is not paused"),
        (_control(ControlKind.RETURN), "only a drill that soaks returns; this is failing over"),
        (_control(ControlKind.SKIP), "skip needs a namespace: to leave all where they are, abort"),
        (_control(ControlKind.SKIP, "other"), "other is not moved by this evacuation"),
        (_control(ControlKind.SKIP, "a"), "a is moving: only what waits is skipped"),
        (_control(ControlKind.RETRY, "a"), "a is moving, not left"),
        (_control(ControlKind.RETRY), "nothing was left where it is"),
        (_control(ControlKind.CONFIRM, "a"), "a does not wait for a confirmation"),
        (_control(ControlKind.CONFIRM), "nothing waits for a confirmation"),
        (
            _control(ControlKind.PAUSE, evacuation="e0"),
            "e0 has ended: e1 empties here now",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_asked_now_is_refused_with_what_can(control: Control, message: str) -> None:
    pretended = begun(world(a_namespace("a")))
    pretended.turn()

    assert pretended.control(control) == message


def test_a_skipped_namespace_stays_and_the_others_move() -> None:
    pretended = world(replace(a_namespace("a"), behind="it lacks 3"), a_namespace("b"))
    begun(pretended).turn()

    assert pretended.control(_control(ControlKind.SKIP, "a")) is None
    state = pretended.run()

    assert state.namespaces["a"].code is WaitCode.SKIPPED
    assert state.namespaces["a"].message == "skipped by bob: because"
    assert state.namespaces["b"].status is Status.MOVED
    assert pretended.now - NOW < MINUTE


def test_a_preview_says_what_would_be_moved_where_and_what_would_not() -> None:
    pretended = world(
        a_namespace("gold", tier=Tier.GOLD),
        a_namespace("bronze", passive=("far",)),
        a_namespace("single", passive=()),
        replace(a_namespace("behind"), behind="there lacks 3"),
    )
    request = StartEvacuation("e1", HERE, EVACUATE, default_policy(EVACUATE), "ann", "a test")

    seen = preview(request, pretended.survey(), NOW)

    assert [(each.namespace, each.target) for each in seen.failovers] == [
        ("gold", "there"),
        ("bronze", "far"),
    ]
    assert {each.namespace: each.code for each in seen.obstacles} == {
        "single": WaitCode.SINGLE_REPLICA,
        "behind": WaitCode.BEHIND,
    }
    assert seen.migrations == ()
    assert seen.takes == 17 * SECOND, "the second begins two seconds after the first"
    assert pretended.state.namespaces == {}, "nothing has begun"


def test_a_preview_of_a_drain_says_where_each_replica_would_go() -> None:
    pretended = world(
        a_namespace("pair", passive=("far",)),
        a_namespace("passive", "far", (HERE,)),
        a_namespace("single", passive=()),
    )
    request = StartEvacuation("e1", HERE, DRAIN, default_policy(DRAIN), "ann", "a test")

    seen = preview(request, pretended.survey(), NOW)

    assert [start.namespace for start in seen.failovers] == ["pair"]
    assert {start.namespace: start.target for start in seen.migrations} == dict.fromkeys(
        ("pair", "passive", "single"), "there"
    )
    assert seen.obstacles == ()
