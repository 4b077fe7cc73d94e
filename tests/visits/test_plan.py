"""What a visit decides: whether it may, what it does, and when a cell counts as well."""

from dataclasses import replace
from datetime import timedelta

import pytest

from cells.release import ConfigValue, Release, SchemaStep, Software
from cells.visits.plan import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    Hop,
    Judgement,
    hops,
    judge,
    next_pause,
    one_way_steps,
    refusal,
)
from cells.visits.types import Before, VisitRules
from tests.visits.visiting import NEW, NEXT, OLD, a_visit, release

RULES = VisitRules(
    settle=timedelta(0), verify_for=timedelta(seconds=60), healthy_within=timedelta(seconds=300)
)
SET: dict[str, ConfigValue] = {"limit": 7}


@pytest.mark.parametrize(
    ("running", "stops", "what"),
    [
        (OLD, (NEXT,), "one minor version on"),
        (OLD, (NEXT, NEW), "two, one at a time"),
        (NEXT, (NEXT, NEW), "the first hop was made before"),
        (NEW, (NEXT, NEW), "it is there already"),
        (NEW, (NEXT,), "one back"),
        ("1.31.0", (NEXT,), "a patch"),
        (NEXT, ("1.31.0",), "a patch back"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_legal_way_may_be_gone(running: str, stops: tuple[str, ...], what: str) -> None:
    assert refusal(a_visit(*stops), Software(running), [], []) == "", what


@pytest.mark.parametrize(
    ("running", "stops", "of", "why"),
    [
        (OLD, (NEW,), None, "one minor version at a time"),
        (NEW, (OLD,), None, "one minor version at a time"),
        (OLD, (NEXT, "1.33.0"), None, "one minor version at a time"),
        ("2.0.0", ("1.32.0",), None, "one minor version at a time"),
        (OLD, (), release(NEXT), "was to come to 1.30.2, but r-1.31.2 has 1.31.2"),
        (OLD, (NEXT,), release(NEW), "was to come to 1.31.2, but r-1.32.0 has 1.32.0"),
        (OLD, (NEXT,), Release("c", configuration=SET), "but c has no server of its own"),
    ],
    ids=["two minors", "two back", "a gap", "major", "no hops", "too few", "not the server's"],
)
def test_an_illegal_way_is_refused(
    running: str, stops: tuple[str, ...], of: Release | None, why: str
) -> None:
    assert why in refusal(a_visit(*stops, of=of), Software(running), [], [])


def test_everything_that_is_in_the_way_is_told_at_once() -> None:
    told = refusal(a_visit(NEW), Software(OLD), ["no room"], ["no canary", "no answer"])

    assert told.startswith("aws-us-east-1-c1 is sick already: no canary; no answer; ")
    assert "is no legal way" in told
    assert told.endswith("; no room")


def test_each_hop_is_undone_to_the_one_before_it_and_only_the_last_changes_more() -> None:
    running = Software(OLD, "1", {"kept": 1})
    wanted = replace(release(NEW), ingress_version="2", configuration=SET)

    assert hops(a_visit(NEXT, NEW, of=wanted), running) == (
        Hop(running, Software(NEXT, "1", {"kept": 1})),
        Hop(Software(NEXT, "1", {"kept": 1}), Software(NEW, "2", SET)),
    )


def test_what_is_there_already_is_deployed_once_more() -> None:
    there = release(NEW).software(Software(NEW))

    assert hops(a_visit(NEXT, NEW), there) == (Hop(there, there),)


def test_only_one_way_steps_bar_the_way_back() -> None:
    steps = (SchemaStep("main", "1.19"), SchemaStep("visibility", "1.14", one_way=True))

    assert one_way_steps(Release("r", NEW, schema_steps=steps)) == "visibility 1.14"
    assert one_way_steps(Release("r", NEW, schema_steps=steps[:1])) == ""


@pytest.mark.parametrize(
    ("elapsed", "well_for", "expected"),
    [
        (0, None, Judgement.UNDECIDED),
        (299, None, Judgement.UNDECIDED),
        (300, None, Judgement.SICK),
        (0, 0, Judgement.UNDECIDED),
        (60, 60, Judgement.WELL),
        (300, 59, Judgement.UNDECIDED),
        (340, 60, Judgement.WELL),
        (301, None, Judgement.SICK),
    ],
)
def test_a_cell_is_well_once_it_was_so_for_long_and_sick_when_its_time_is_over(
    elapsed: int, well_for: int | None, expected: Judgement
) -> None:
    well = None if well_for is None else timedelta(seconds=well_for)

    assert judge(RULES, timedelta(seconds=elapsed), well) == expected


def test_pauses_grow_to_a_limit_and_end_when_the_decision_is_due() -> None:
    pauses, pause, well = [], FIRST_PAUSE, timedelta(0)
    while judge(RULES, well, well) == Judgement.UNDECIDED:
        pause = next_pause(RULES, pause, well)
        pauses.append(pause)
        well += pause

    assert pauses == sorted(pauses[:-1]) + pauses[-1:]
    assert max(pauses) == LONGEST_PAUSE
    assert well == RULES.verify_for
    assert next_pause(RULES, LONGEST_PAUSE, None) == LONGEST_PAUSE


def test_what_goes_back_has_exactly_what_it_had_configuration_it_did_not_have_is_gone() -> None:
    had = Software(OLD)
    back = replace(a_visit(OLD, of=release(OLD)), back_to=Before(had, "digest"))

    assert hops(back, Software(NEXT, configuration=SET)) == (
        Hop(Software(NEXT, configuration=SET), had),
    )


def test_a_sick_cell_may_go_back_and_not_forward() -> None:
    forward = a_visit(NEXT)
    back = replace(a_visit(OLD, of=release(OLD)), back_to=Before(Software(OLD), ""))

    assert "sick already" in refusal(forward, Software(OLD), [], ["no canary came back"])
    assert refusal(back, Software(NEXT), [], ["no canary came back"]) == ""
