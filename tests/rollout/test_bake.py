"""Bakes: what earns credit, what takes it away, and when the next look is due."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.bake import (
    LOOK_AT_LEAST_EVERY,
    LOOK_AT_MOST_EVERY,
    Bake,
    accrue,
    begin,
    next_look,
)
from rollout.gates import Evidence, Reading, Verdict

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ZERO = timedelta(0)
DAY_LONG = begin(timedelta(days=1), START)


def window(
    since: float, until: float, *verdicts: Verdict, missing: float = 0, message: str = ""
) -> Evidence:
    """Return what gates, one for each verdict, saw between two minutes after the start; each did
    not see `missing` minutes of it."""
    covers = max(until - since - missing, 0) * MINUTE
    readings = (
        Reading(f"gate {i}", "", verdict, covers, message) for i, verdict in enumerate(verdicts)
    )
    return Evidence(START + since * MINUTE, START + until * MINUTE, tuple(readings))


def after(*windows: Evidence, bake: Bake = DAY_LONG) -> Bake:
    for each in windows:
        bake = accrue(bake, each)
    return bake


PASS, FAIL, NO_DATA = Verdict.PASS, Verdict.FAIL, Verdict.NO_DATA
INCONCLUSIVE, CONFOUNDED = Verdict.INCONCLUSIVE, Verdict.CONFOUNDED


def test_a_green_window_is_credited_whole() -> None:
    assert after(window(0, 5, PASS, PASS)).credit == 5 * MINUTE


def test_a_bake_is_complete_with_all_the_credit_it_needs_and_not_before() -> None:
    bake = after(window(0, 24 * 60 - 1, PASS))

    assert not bake.is_complete
    assert accrue(bake, window(24 * 60 - 1, 24 * 60, PASS)).is_complete


def test_what_each_gate_could_not_see_is_taken_off() -> None:
    assert after(window(0, 30, PASS, PASS, missing=4)).credit == 22 * MINUTE


def test_gates_that_saw_little_never_take_credit_that_is_there_already() -> None:
    bake = after(window(0, 10, PASS), window(10, 20, PASS, PASS, PASS, missing=9))

    assert bake.credit == 10 * MINUTE


def test_overlapping_windows_count_once() -> None:
    assert after(window(0, 10, PASS), window(5, 15, PASS)).credit == 15 * MINUTE


def test_time_between_windows_does_not_count() -> None:
    assert after(window(0, 10, PASS), window(20, 30, PASS)).credit == 20 * MINUTE


def test_the_time_before_the_bake_does_not_count() -> None:
    assert after(window(-10, 10, PASS)).credit == 10 * MINUTE


def test_one_gate_that_fails_takes_all_credit() -> None:
    bake = after(window(0, 10, PASS, PASS), window(10, 20, PASS, FAIL))

    assert (bake.credit, bake.verdict) == (ZERO, FAIL)


def test_the_window_in_which_cells_recover_earns_nothing_and_the_next_one_does() -> None:
    recovering = after(window(0, 10, FAIL), window(10, 20, PASS))

    assert recovering.credit == ZERO
    assert accrue(recovering, window(20, 30, PASS)).credit == 10 * MINUTE


def test_what_everybody_suffers_from_keeps_the_credit_and_adds_none() -> None:
    bake = after(window(0, 10, PASS), window(10, 20, CONFOUNDED), window(20, 30, PASS))

    assert bake.credit == 10 * MINUTE


def test_without_data_the_clock_stands() -> None:
    bake = after(window(0, 10, PASS), window(10, 370, NO_DATA, PASS))

    assert (bake.credit, bake.verdict) == (10 * MINUTE, NO_DATA)
    assert bake.without_data_since == START + 10 * MINUTE


def test_without_data_the_time_of_the_first_lack_is_kept_until_there_is_some() -> None:
    lacking = after(window(0, 10, NO_DATA), window(0, 20, NO_DATA))

    assert lacking.without_data_since == START
    assert accrue(lacking, window(0, 25, PASS)).without_data_since is None


def test_evidence_that_comes_late_still_counts_for_the_time_it_speaks_of() -> None:
    bake = after(window(0, 10, NO_DATA), window(0, 20, PASS, missing=3))

    assert bake.credit == 17 * MINUTE


def test_no_reading_at_all_is_no_data() -> None:
    bake = accrue(DAY_LONG, window(0, 10))

    assert (bake.verdict, bake.message) == (NO_DATA, "no gate was asked")


def test_what_is_undecided_is_held_until_it_passes() -> None:
    held = after(window(0, 10, PASS, INCONCLUSIVE), window(10, 20, PASS, INCONCLUSIVE, missing=1))

    assert (held.credit, held.held) == (ZERO, 18 * MINUTE)
    assert accrue(held, window(20, 30, PASS, PASS)).credit == 28 * MINUTE


@pytest.mark.parametrize("worse", [FAIL, CONFOUNDED])
def test_what_is_held_is_lost_when_it_turns_out_badly(worse: Verdict) -> None:
    held = after(window(0, 10, INCONCLUSIVE), window(10, 20, worse))

    assert held.held == ZERO
    assert after(window(20, 30, PASS), bake=held).credit == ZERO


def test_what_is_held_does_not_complete_a_bake() -> None:
    assert not after(window(0, 2 * 24 * 60, INCONCLUSIVE)).is_complete


def test_the_message_is_that_of_the_worst() -> None:
    seen = Evidence(
        START,
        START + MINUTE,
        (
            Reading("errors", "c1", FAIL, ZERO, "is 0.2"),
            Reading("latency", "", NO_DATA, ZERO, "nobody answers"),
            Reading("errors", "c2", FAIL, ZERO, "is 0.3"),
        ),
    )

    assert accrue(DAY_LONG, seen).message == "errors c1: is 0.2; errors c2: is 0.3"


minutes = st.integers(0, 600)
verdicts = st.lists(st.sampled_from(Verdict), max_size=4)


@st.composite
def evidences(draw: st.DrawFn) -> Evidence:
    since, until = sorted((draw(minutes), draw(minutes)))
    readings = tuple(
        Reading(f"gate {i}", "", verdict, draw(st.integers(0, 700)) * MINUTE)
        for i, verdict in enumerate(draw(verdicts))
    )
    return Evidence(START + since * MINUTE, START + until * MINUTE, readings)


@given(st.lists(evidences(), max_size=12))
def test_credit_is_never_more_than_the_time_for_which_every_gate_had_evidence(
    seen: list[Evidence],
) -> None:
    bake = DAY_LONG
    counting: set[int] = set()
    """The minutes of windows in which all gates passed, or still may, since the last failure."""
    for evidence in seen:
        bake = accrue(bake, evidence)
        found = {reading.verdict for reading in evidence.readings}
        begins, ends = ((at - START) // MINUTE for at in (evidence.since, evidence.until))
        if found and found <= {PASS, INCONCLUSIVE}:
            counting |= set(range(begins, ends))
        elif FAIL in found:
            counting = set()
        assert bake.credit + bake.held <= len(counting) * MINUTE


@given(st.lists(evidences(), max_size=12))
def test_credit_grows_only_with_evidence_that_passes_and_never_faster_than_the_clock(
    seen: list[Evidence],
) -> None:
    bake = DAY_LONG
    for evidence in seen:
        before, bake = bake, accrue(bake, evidence)
        assert ZERO <= bake.credit <= bake.counted_until - bake.began_at
        assert bake.credit + bake.held <= bake.counted_until - bake.began_at
        assert before.counted_until <= bake.counted_until
        if bake.credit > before.credit:
            assert {reading.verdict for reading in evidence.readings} == {PASS}


@given(st.lists(evidences(), max_size=8), evidences())
def test_evidence_told_twice_counts_once(seen: list[Evidence], last: Evidence) -> None:
    once = after(*seen, last)

    twice = accrue(once, last)

    assert twice.credit + twice.held == once.credit + once.held


@given(st.sets(minutes, min_size=2, max_size=10), st.randoms())
def test_windows_out_of_order_never_earn_more(cuts: set[int], chance: Random) -> None:
    in_order = [window(a, b, PASS) for a, b in pairwise(sorted(cuts))]
    shuffled = list(in_order)
    chance.shuffle(shuffled)

    assert after(*shuffled).credit <= after(*in_order).credit
    assert after(*in_order).credit == (max(cuts) - min(cuts)) * MINUTE


@given(st.lists(evidences(), max_size=8))
def test_a_failure_takes_everything_whatever_was_before(seen: list[Evidence]) -> None:
    failed = after(*seen, window(700, 701, PASS, FAIL))

    assert (failed.credit, failed.held) == (ZERO, ZERO)


def test_the_first_look_comes_after_a_minute() -> None:
    assert next_look(DAY_LONG, START) == START + LOOK_AT_MOST_EVERY


@pytest.mark.parametrize(
    ("credit", "wait"),
    [(5, 1), (10, 1), (60, 6), (200, 20), (300, 30), (1000, 30)],
)
def test_looks_become_rarer_with_the_credit(credit: int, wait: int) -> None:
    bake = after(window(0, credit, PASS))

    assert next_look(bake, START) == START + (credit + wait) * MINUTE


def test_the_last_look_comes_when_the_bake_can_be_complete() -> None:
    bake = after(window(0, 24 * 60 - 7, PASS))

    assert next_look(bake, START) == START + timedelta(days=1)


def test_a_short_bake_is_looked_at_ten_times() -> None:
    short = begin(timedelta(seconds=20), START)

    assert next_look(short, START) == START + timedelta(seconds=2)


def test_a_look_that_is_overdue_is_due_now() -> None:
    late = START + timedelta(days=3)

    assert next_look(DAY_LONG, late) == late


def test_while_there_is_no_data_looks_become_rarer_with_the_time_without() -> None:
    lacking = after(window(0, 100, PASS), window(100, 300, NO_DATA))
    assert next_look(lacking, START) == START + 320 * MINUTE

    lacking = accrue(lacking, window(100, 700, NO_DATA))
    assert next_look(lacking, START) == START + 730 * MINUTE


@given(st.lists(evidences(), max_size=8), st.integers(1, 20_000))
def test_the_next_look_is_always_ahead_within_half_an_hour_and_by_the_end_of_the_bake(
    seen: list[Evidence], needed: int
) -> None:
    bake = after(*seen, bake=replace(DAY_LONG, needed=needed * timedelta(seconds=10)))
    last = bake.looked_at or bake.began_at
    due = next_look(bake, last)

    assert last < due <= last + LOOK_AT_LEAST_EVERY
    end = bake.counted_until + bake.needed - bake.credit - bake.held
    assert end <= last or due <= max(end, last + timedelta(seconds=1))


@given(st.integers(1, 14 * 24 * 60))
def test_a_bake_that_is_always_green_takes_as_long_as_it_needs_and_few_looks(needed: int) -> None:
    bake, looks = begin(needed * MINUTE, START), 0
    while not bake.is_complete:
        now = next_look(bake, bake.counted_until)
        bake = accrue(
            bake, Evidence(bake.counted_until, now, (Reading("g", "", PASS, now - START),))
        )
        looks += 1

    assert bake.counted_until == START + needed * MINUTE
    assert looks < 60 + needed / 25
