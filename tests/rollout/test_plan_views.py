"""What is told of a rollout: problems before it starts, evidence, views, estimates. And at what
cost."""

import random
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from cells.ledger.types import Conflict, ConflictKind
from cells.release import Release
from cells.visits.types import VisitOutcome
from rollout.calendar import Blocker, Calendar, ChangeWindow, Freeze
from rollout.gates import Evidence, Gate, GateKind, Reading, Verdict
from rollout.plan import lease_refused, note, plan, problems, view
from rollout.planning import watching
from rollout.policy import default_policy
from rollout.types import CellFacts, CellStatus, Phase, Replicas, WaitCode
from tests.rollout.rollouts import (
    HOUR,
    MIDNIGHT,
    NOW,
    OLD,
    QUICK,
    RELEASE,
    World,
    cell,
    fleet,
    ring_of,
    rollout,
    starts,
    wait,
    world,
)

# Before it starts.


def test_nothing_stands_against_a_rollout_that_can_be_carried_through() -> None:
    pairs = (Replicas("n", "a0", ("b0",)),)
    assert (
        problems(default_policy(), fleet(cell("a0"), cell("b0", 1), replicas=pairs), RELEASE) == ()
    )


def torn() -> dict[str, object]:
    return {
        "replicas": (Replicas("n", "a0", ("b0",)), Replicas("m", "b0", ("a0",))),
        "servers": ("1.29.1", OLD, "1.31.2"),
    }


@pytest.mark.parametrize(
    ("cells", "rest", "told"),
    [
        ((), {}, "the fleet has no cells"),
        ((cell("a0", -1),), {}, "cell a0 is in ring -1"),
        ((cell("a0"), cell("a0")), {}, "cell a0 is in the fleet 2 times"),
        ((cell("a0", server_version="1.28.0"), cell("b0", 1)), {}, "no cell of ring 0"),
        (
            (cell("a0", server_version="1.29.1"), cell("b0", server_version="1.29.1")),
            torn(),
            "a0 (1.29.1), b0 (1.29.1) share n",
        ),
        ((cell("a0"),), {"replicas": (Replicas("n", "a0", ("a0",)),)}, "a0 has both"),
        (
            (cell("a0"), cell("b0", 1)),
            {
                "calendar": Calendar(
                    freezes=(Freeze("f", "no", NOW, NOW + timedelta(days=999), "ring/1"),)
                )
            },
            "ring 1 is never open",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_stands_against_a_rollout_is_told_once_with_the_least_in_conflict(
    cells: tuple[CellFacts, ...], rest: dict[str, object], told: str
) -> None:
    (problem,) = problems(QUICK, fleet(*cells, **rest), RELEASE)

    assert told in problem


def test_an_incident_is_no_reason_not_to_begin() -> None:
    incident = Blocker("outage", "network", "ann", NOW - HOUR)
    here = fleet(cell("a0"), calendar=Calendar(blockers=(incident,)))

    assert problems(QUICK, here, RELEASE) == ()


def test_a_release_that_finalizes_too_early_is_a_problem() -> None:
    release = Release("contract", server_version="1.31.2", finalizes="r-1.31")

    (problem,) = problems(QUICK, fleet(cell("a0", server_version="1.31.2"), cell("b0")), release)

    assert "b0 (1.30.2)" in problem


def test_bakes_without_a_gate_are_a_problem() -> None:
    policy = replace(QUICK, gates=(Gate("canary", GateKind.CANARY, rings=(0,)),))

    (problem,) = problems(policy, fleet(cell("a0"), cell("b0", 1)), RELEASE)

    assert "no gate applies to ring 1" in problem


# The ledger.


def test_a_cell_that_the_ledger_refuses_lets_others_go_and_asks_again() -> None:
    made = world(cell("a0"), cell("a1"))
    made.plan()
    conflict = Conflict(ConflictKind.PAIR, "n", "c9", "migration/m1")
    lease_refused(made.state, "a0", [conflict], made.now)

    refused = wait(made.plan(), "a0")

    assert refused.code is WaitCode.LEASE
    assert refused.message == "the ledger refused: pair:n: c9 is disturbed by migration/m1"
    assert refused.until == NOW + timedelta(minutes=1)
    assert starts(made.latest) == ["a1"]
    assert made.latest.begin_batch == ("a1",)


def test_a_lease_that_is_refused_again_and_again_is_told_once() -> None:
    made = world(cell("a0"))
    conflict = Conflict(ConflictKind.CELL, "a0", "a0", "migration/m1")
    made.plan()
    for _ in range(5):
        lease_refused(made.state, "a0", [conflict], made.now)
        made.plan()
        made.now += timedelta(minutes=1)
        assert starts(made.plan()) == ["a0"]

    told = [event.what for event in made.state.events if event.cell == "a0"]
    assert told == ["lease refused"]


# Evidence.


def baking() -> World:
    made = world(cell("a0"), cell("a1"), cell("b0", 1))
    made.turn()
    made.end("a0")
    made.turn()
    return made


def test_evidence_is_asked_of_what_was_done_next_to_what_was_not() -> None:
    made = baking()
    made.now += HOUR / 2

    (watch,) = watching.due(made.state, made.latest, made.fleet, made.now)

    assert (watch.ring, watch.late) == (0, False)
    assert watch.cells.cells == ("a0",)
    assert watch.cells.siblings == ("a1",)
    assert (watch.cells.since, watch.cells.until) == (NOW, NOW + HOUR / 2)
    assert watching.next_look(made.state, made.latest, NOW) == NOW + HOUR / 60


def test_people_are_told_once_that_there_is_no_evidence_and_again_when_it_is_back() -> None:
    made = baking()

    def see(verdict: Verdict) -> None:
        made.now += HOUR / 6
        (watch,) = watching.due(made.state, made.latest, made.fleet, made.now)
        reading = Reading("health", "a0", verdict, HOUR / 6)
        seen = Evidence(watch.cells.since, watch.cells.until, (reading,))
        watching.credit(made.state, watch, seen, made.now)

    for verdict in (*[Verdict.NO_DATA] * 6, Verdict.PASS, Verdict.PASS):
        see(verdict)

    told = [event.what for event in made.state.events]
    assert told.count("no data") == 1
    assert told.count("evidence is green again") == 1
    assert told.index("no data") < told.index("evidence is green again")


# The view.


def test_a_view_tells_budgets_waits_and_when_it_may_end() -> None:
    made = world(*ring_of(2), *ring_of(4, 1, "b"))
    made.turn()

    seen = view(made.state, made.latest, made.fleet, made.now)

    assert seen.budgets == {0: "0 of 0 left, 1 under way", 1: "1 of 1 left, 0 under way"}
    assert len(seen.waits) == 5
    assert seen.eta_p50 is not None
    assert seen.eta_p90 is not None
    # Ring 0: two visits and a bake of one hour between them, then two hours; ring 1 likewise, in
    # batches of one, two and one.
    assert seen.eta_p90 == NOW + (3 + 4) * HOUR + 5 * QUICK.visit_takes


def test_an_estimate_goes_by_the_visits_that_were_seen() -> None:
    made = world(cell("a0"), cell("a1"))
    made.plan()
    made.state.durations = [60.0] * 8 + [600.0] * 2

    seen = view(made.state, made.latest, made.fleet, made.now)

    assert seen.eta_p50 == NOW + 3 * HOUR + timedelta(minutes=2)
    assert seen.eta_p90 == NOW + 3 * HOUR + timedelta(minutes=20)


def test_an_estimate_knows_that_the_calendar_is_closed() -> None:
    closed = {"calendar": Calendar(freezes=(Freeze("f", "sale", NOW, NOW + 50 * HOUR),))}
    made = world(cell("a0"), rest=closed)
    made.turn()

    seen = view(made.state, made.latest, made.fleet, made.now)

    assert seen.eta_p50 == NOW + 52 * HOUR + QUICK.visit_takes


def test_what_waits_for_a_person_has_no_end_in_sight() -> None:
    made = world(cell("a0"))
    made.turn()
    made.end("a0", VisitOutcome.UNDONE)
    made.turn()

    assert view(made.state, made.latest, made.fleet, made.now).eta_p50 is None


def test_the_latest_events_are_kept_and_numbered() -> None:
    state = rollout()
    for n in range(250):
        note(state, "what", str(n), NOW)

    assert [event.number for event in state.events] == list(range(51, 251))


# Its cost.


def test_a_pass_over_ten_thousand_cells_is_a_matter_of_a_moment() -> None:
    chance = random.Random(1)  # noqa: S311 - nothing is to be kept secret.
    cells = [
        CellFacts(
            f"c{n}",
            chance.choice(("aws", "gcp")),
            f"region-{n % 40}",
            chance.choices((0, 1, 2, 3), (1, 20, 60, 19))[0],
            OLD,
            "",
            ready=chance.random() > 0.01,
        )
        for n in range(10_000)
    ]
    pairs = [chance.sample(cells, 2) for _ in range(10_000)]
    windows = (ChangeWindow("w", "FREQ=DAILY", MIDNIGHT, 20 * HOUR, "Europe/Berlin"),)
    made = World(
        {each.id: each for each in cells},
        rollout(replace(default_policy(), confounded_cells=99, deferral_cap="100%")),
        tuple(Replicas(f"n{n}", a.id, (b.id,)) for n, (a, b) in enumerate(pairs)),
        rest={"calendar": Calendar(windows)},
    )
    made.turn()
    for ring in (0, 1):
        made.state.rings.setdefault(ring, replace(made.state.rings[0])).baked = True
    for name, progress in made.state.cells.items():
        if progress.ring < 2:
            made.state.cells[name] = replace(progress, status=CellStatus.DONE, visits=1)
    here = made.fleet

    took = []
    for _ in range(3):
        began = time.perf_counter()
        planned = plan(made.state, here, made.now)
        took.append(time.perf_counter() - began)

    assert planned.ring == 2
    assert len(planned.starts) == 1
    assert made.state.phase is Phase.FORWARD
    # A tenth of a second on a quiet machine; this one may be anything but quiet.
    assert min(took) < 5
