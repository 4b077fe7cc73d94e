"""Laws that hold for whatever happens to an evacuation."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from provisioning.evacuation.facts import CellFacts, NamespaceFacts
from provisioning.evacuation.policy import (
    Confirm,
    EvacuationKind,
    EvacuationPolicy,
    TierOrder,
    default_policy,
)
from provisioning.evacuation.types import (
    Control,
    ControlKind,
    MoveKind,
    MoveOutcome,
    Outcome,
    Phase,
    Status,
    WaitCode,
)
from provisioning.tiers import Tier
from tests.provisioning.evacuation.pretended import (
    HERE,
    MINUTE,
    NOW,
    OTHER,
    REGION,
    SECOND,
    Pretended,
    a_cell,
    a_namespace,
    evacuation,
)

OVER = (Status.MOVED, Status.RETURNED, Status.LEFT, Status.GONE)
TARGETS = ("t0", "t1", "t2")
REGIONS = {HERE: REGION, "t0": REGION, "t1": OTHER, "t2": OTHER}


@dataclass(frozen=True)
class Case:
    kind: EvacuationKind
    policy: EvacuationPolicy
    cells: tuple[CellFacts, ...]
    namespaces: tuple[NamespaceFacts, ...]
    seed: int
    failing: float
    hindered: float
    controls: tuple[tuple[int, ControlKind, int], ...]


kinds = st.sampled_from(EvacuationKind)
troubles = st.sampled_from(("", "", "", "", "sick", "disturbed", "cordon"))
cells = st.tuples(*(st.tuples(troubles, st.integers(0, 8)) for _ in TARGETS)).map(
    lambda drawn: (
        a_cell(HERE, room=1000, used=20),
        *(
            _troubled(a_cell(name, region=REGIONS[name], room=8, used=used), trouble)
            for name, (trouble, used) in zip(TARGETS, drawn, strict=True)
        ),
    )
)
namespaces = st.lists(
    st.builds(
        lambda passive, is_here, tier, flags: (passive, is_here, tier, flags),
        st.sampled_from(((), ("t0",), ("t0",), ("t1",), ("t2",), ("t0", "t1"))),
        st.sampled_from((True, True, True, False)),
        st.sampled_from(Tier),
        st.sets(st.sampled_from(("opted_out", "behind", "change", "dead")), max_size=1),
    ),
    max_size=14,
).map(lambda many: tuple(_namespace(n, *each) for n, each in enumerate(many)))


def _troubled(cell: CellFacts, trouble: str) -> CellFacts:
    why = f"{cell.id} has its reason"
    match trouble:
        case "sick":
            return replace(cell, sick=why)
        case "disturbed":
            return replace(cell, disturbed=why)
        case "cordon":
            return replace(cell, cordon=why)
        case _:
            return cell


def _namespace(
    number: int, passive: tuple[str, ...], is_here: bool, tier: Tier, flags: set[str]
) -> NamespaceFacts:
    active, others = HERE, passive
    if not is_here and passive:
        active, others = passive[0], (HERE, *passive[1:])
    facts = a_namespace(f"n{number:02}", active, others, tier=tier, regions=REGIONS)
    return replace(
        facts,
        opted_out="opted_out" in flags,
        behind="it lacks 3" if "behind" in flags else "",
        change="c1" if "change" in flags else "",
        is_active="dead" not in flags,
        life="DELETING" if "dead" in flags else "ACTIVE",
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    kind = draw(kinds)
    policy = replace(
        default_policy(kind),
        at_once=draw(st.integers(1, 4)),
        per_minute=draw(st.sampled_from((1, 3, 1000))),
        order=draw(st.sampled_from(TierOrder)),
        keep_free=draw(st.sampled_from((0, 0, 30))),
        move_opted_out=draw(st.booleans()),
        patience=draw(st.sampled_from((MINUTE, 5 * MINUTE))),
        attempts=draw(st.integers(1, 3)),
        tolerance=draw(st.sampled_from((0, 2, 1000))),
        migrate_at_once=draw(st.integers(1, 3)),
        confirm=draw(st.sampled_from(Confirm)),
        drill_soak=MINUTE,
    )
    if kind is EvacuationKind.DRAIN:
        policy = replace(policy, other_regions=draw(st.sampled_from(((), (OTHER,)))))
    return Case(
        kind=kind,
        policy=policy,
        cells=draw(cells),
        namespaces=draw(namespaces),
        seed=draw(st.integers(0, 1 << 16)),
        failing=draw(st.sampled_from((0.0, 0.0, 0.3, 1.0))),
        hindered=draw(st.sampled_from((0.0, 0.0, 0.3))),
        controls=tuple(
            draw(
                st.lists(
                    st.tuples(
                        st.integers(0, 300), st.sampled_from(ControlKind), st.integers(0, 13)
                    ),
                    max_size=4,
                )
            )
        ),
    )


def carried_out(case: Case) -> Pretended:
    """Return what came of it; at last a person sees to everything that waits for one."""
    random = Random(case.seed)  # noqa: S311 - chance, not a secret
    fails = {
        each.id: [random.random() < case.failing for _ in range(50)] for each in case.namespaces
    }
    unlucky = {each.id for each in case.namespaces if random.random() < case.hindered}
    hindered_until = NOW + timedelta(seconds=random.randrange(1, 600))
    world = Pretended(
        evacuation(case.kind, case.policy),
        {cell.id: cell for cell in case.cells},
        {each.id: each for each in case.namespaces},
        takes=lambda _, __: timedelta(seconds=random.randrange(1, 40)),
        fails=lambda name, attempt: fails[name][attempt % 50],
        refused=lambda now: dict.fromkeys(unlucky, "x is at it") if now < hindered_until else {},
    )
    for number, (after, kind, which) in enumerate(case.controls):
        name = f"n{which:02}" if kind in _OF_ONE else ""
        request = Control(f"k{number}", "e1", kind, "bob", "because", name)
        world.later(after * SECOND, partial(_ask, world, request))
    for number in range(30):
        world.run()
        if world.state.phase is Phase.ENDED:
            break
        for kind in (ControlKind.RESUME, ControlKind.CONFIRM):
            _ask(world, Control(f"last-{kind}-{number}", "e1", kind, "bob", "because"))
        world.turn()
    return world


_OF_ONE = (ControlKind.RETRY, ControlKind.SKIP)


def _ask(world: Pretended, request: Control) -> None:
    world.control(request)


@settings(max_examples=100)
@given(cases())
def test_it_ends_and_everything_that_was_not_moved_has_a_reason(case: Case) -> None:
    world = carried_out(case)

    assert world.state.phase is Phase.ENDED
    assert world.state.outcome is not None
    for name, progress in world.state.namespaces.items():
        assert progress.status in OVER, (name, progress)
        assert progress.move is None
        if progress.status is Status.LEFT:
            assert progress.code is not None
            assert progress.message
    if world.state.outcome is Outcome.SUCCEEDED and case.kind is not EvacuationKind.DRILL:
        left = [each.id for each in world.namespaces.values() if _is_in_the_way(case, each)]
        assert left == []


@settings(max_examples=100)
@given(cases())
def test_no_more_move_at_once_nor_in_a_minute_than_the_policy_says(case: Case) -> None:
    world = carried_out(case)

    policy, most = case.policy, world.most_under_way
    assert most[MoveKind.FAILOVER] <= policy.at_once
    assert most[MoveKind.RETURN] <= policy.at_once
    assert most[MoveKind.MIGRATION] <= policy.migrate_at_once
    times = [at for at, _ in world.begun]
    for at in times:
        assert sum(at - MINUTE < other <= at for other in times) <= policy.per_minute


@settings(max_examples=100)
@given(cases())
def test_nothing_moves_before_what_could_move_and_matters_more(case: Case) -> None:
    world = carried_out(case)

    direction = 1 if case.policy.order is TierOrder.HIGHEST_FIRST else -1
    ranks = {each.id: direction * each.tier.rank for each in case.namespaces}
    for _, plan in world.plans:
        started = [ranks[start.namespace] for start in plan.starts]
        held = [ranks[wait.namespace] for wait in plan.waits if wait.code is WaitCode.RATE]
        assert started == sorted(started)
        assert not started or not held or max(started) <= min(held)


@settings(max_examples=100)
@given(cases())
def test_nobody_is_moved_to_where_there_is_no_room_or_who_cannot_be_relied_on(case: Case) -> None:
    world = carried_out(case)

    assert world.unleased == []
    cells = {cell.id: cell for cell in case.cells}
    for _, start in world.begun:
        target = cells[start.target]
        assert not target.sick
        assert start.target == HERE or not (target.disturbed or target.cordon)
    for name, least in world.least_free.items():
        kept = cells[name].capacity.actions_per_second * case.policy.keep_free / 100
        if any(start.target == name for _, start in world.begun):
            assert least.actions_per_second >= min(kept, cells[name].free.actions_per_second)
            assert least.namespaces >= 0


@settings(max_examples=100)
@given(cases())
def test_no_namespace_is_moved_twice_the_same_way(case: Case) -> None:
    world = carried_out(case)

    for progress in world.state.namespaces.values():
        done = Counter(move.kind for move in progress.moves if move.outcome is MoveOutcome.DONE)
        assert all(count == 1 for count in done.values())
        operations = [move.operation for move in progress.moves]
        assert len(set(operations)) == len(operations)


@settings(max_examples=100)
@given(cases())
def test_everything_that_waits_says_why_in_every_plan(case: Case) -> None:
    world = carried_out(case)

    for _, plan in world.plans:
        names = [wait.namespace for wait in plan.waits]
        assert len(set(names)) == len(names)
        assert all(wait.message for wait in plan.waits)
        assert not {start.namespace for start in plan.starts} & set(names)


@settings(max_examples=100)
@given(cases())
def test_a_drill_leaves_nothing_away_that_it_could_bring_back(case: Case) -> None:
    case = replace(
        case,
        kind=EvacuationKind.DRILL,
        policy=replace(default_policy(EvacuationKind.DRILL), per_minute=1000, move_opted_out=True),
    )
    world = carried_out(case)

    before = {each.id: each for each in case.namespaces}
    for name, progress in world.state.namespaces.items():
        active, was = world.namespaces[name].active, before[name].active
        if progress.code is not WaitCode.FAILED:
            assert active == was, (name, progress)
    if case.failing == 0 and world.state.stop is None:
        assert world.state.outcome is not Outcome.FAILED, world.state.message


def _is_in_the_way(case: Case, namespace: NamespaceFacts) -> bool:
    if case.kind is EvacuationKind.DRAIN:
        return HERE in namespace.cells
    return namespace.active is not None and namespace.active.cell == HERE
