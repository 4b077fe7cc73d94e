"""The sibling comparison: what is the release's fault, what is everybody's, and what is chance."""

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout.comparison import (
    TREND_AFTER,
    Comparison,
    Finding,
    Look,
    compare,
    look_at,
    significant_among,
    spent_at,
)
from rollout.gates import Verdict
from rollout.series import MINIMUM_POINTS, Part
from rollout.shifts import Array, memory, shift_probability, trend_probability

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
DAY = 1440
PAST = 2 * DAY


def cells(
    seed: int, count: int, minutes: int, *, worse: float = 0.0, noise: float = 0.05
) -> tuple[Array, Array]:
    """Return the metric of cells before a change and for minutes after it, with a day's cycle."""
    chance = np.random.default_rng(seed)
    at = np.arange(PAST + minutes)
    cycle = 0.2 * np.sin(2 * math.pi * at / DAY)
    usual = chance.normal(0, 0.5, (count, 1))
    values = np.exp(usual + cycle + chance.normal(0, noise, (count, at.size)))
    values[:, PAST:] *= 1 + worse
    return values[:, :PAST], values[:, PAST:]


def comparison(
    minutes: int = 240,
    *,
    worse: float = 0.0,
    siblings: int = 4,
    siblings_worse: float = 0.0,
    seed: int = 1,
    noise: float = 0.05,
) -> Comparison:
    watched = cells(seed, 2, minutes, worse=worse, noise=noise)
    control = cells(seed + 1000, siblings, minutes, worse=siblings_worse, noise=noise)
    at = np.arange(0.0, 60.0 * (PAST + minutes), 60.0)
    return Comparison(
        Part(at[:PAST], watched[0], control[0]), Part(at[PAST:], watched[1], control[1]), 0.05
    )


def found(compared: Comparison, after: timedelta = 4 * HOUR) -> Finding:
    (finding,) = compare([compared], Look(5, after, MINUTE))
    return finding


def test_what_has_not_changed_passes() -> None:
    assert found(comparison()).verdict is Verdict.PASS


@pytest.mark.parametrize("worse", [0.15, 0.3, 1.0])
def test_what_got_worse_fails_with_how_much(worse: float) -> None:
    finding = found(comparison(worse=worse))

    assert finding.verdict is Verdict.FAIL
    assert finding.effect == pytest.approx(worse, abs=0.03)
    assert finding.message.startswith(f"{finding.effect:+.1%} against 4 siblings")


@pytest.mark.parametrize("worse", [0.02, 0.04, -0.3])
def test_what_is_better_or_within_the_tolerance_passes(worse: float) -> None:
    assert found(comparison(worse=worse)).verdict is Verdict.PASS


def test_what_everybody_suffers_from_is_confounded() -> None:
    both = comparison(worse=1.0, siblings_worse=1.0)

    assert found(both).verdict is Verdict.CONFOUNDED
    assert "unchanged siblings have +" in found(both).message


def test_siblings_that_are_a_little_worse_do_not_excuse_cells_that_are_much_worse() -> None:
    assert found(comparison(worse=2.0, siblings_worse=0.2)).verdict is Verdict.FAIL


def test_siblings_that_are_worse_than_the_cells_pause_and_do_not_halt() -> None:
    assert found(comparison(worse=0.0, siblings_worse=1.0)).verdict is Verdict.CONFOUNDED


def test_what_may_be_chance_is_undecided() -> None:
    vague = [found(comparison(60, worse=0.12, noise=0.6, seed=seed)) for seed in range(30)]

    assert Verdict.INCONCLUSIVE in {finding.verdict for finding in vague}
    assert all("may be chance" in f.message for f in vague if f.verdict is Verdict.INCONCLUSIVE)


def test_fewer_than_fifty_points_are_undecided() -> None:
    finding = found(comparison(MINIMUM_POINTS - 1, worse=5.0))

    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.message == "49 points after the change and 2880 before it: it takes 50 each"


def test_without_siblings_a_daily_cycle_is_no_change() -> None:
    rising = comparison(8 * 60, siblings=0)

    assert found(rising).verdict is Verdict.PASS
    assert "against its own past, without siblings, where 25% is tolerated" in found(rising).message


def test_without_siblings_only_what_is_far_worse_fails() -> None:
    assert found(comparison(worse=0.15, siblings=0)).verdict is Verdict.PASS
    assert found(comparison(worse=0.6, siblings=0)).verdict is Verdict.FAIL


def test_a_slow_leak_is_found_by_its_trend_before_its_size_tells() -> None:
    minutes = 30 * 60
    leaking = comparison(minutes)
    growth = 1 + 0.005 * np.arange(minutes) / 60
    leaking = replace(leaking, after=replace(leaking.after, watched=leaking.after.watched * growth))
    finding = found(replace(leaking, tolerance=0.08), after=TREND_AFTER)

    assert finding.verdict is Verdict.FAIL
    assert finding.effect < 0.08
    assert "growing +" in finding.message


def test_what_warms_up_after_its_restart_is_no_leak() -> None:
    minutes = 30 * 60
    warming = comparison(minutes)
    warmth = 1 - 0.3 * np.exp(-np.arange(minutes) / 360)
    warming = replace(warming, after=replace(warming.after, watched=warming.after.watched * warmth))

    assert found(warming, after=TREND_AFTER).verdict is Verdict.PASS


def test_values_below_the_floor_are_all_alike() -> None:
    few = comparison(worse=9.0)
    errors = replace(
        few,
        before=replace(few.before, watched=few.before.watched * 1e-9),
        after=replace(few.after, watched=few.after.watched * 1e-9),
        floor=1e-6,
    )

    assert found(errors).verdict is Verdict.PASS
    assert found(replace(errors, floor=1e-12)).verdict is Verdict.FAIL


def test_noughts_without_a_floor_cannot_be_compared() -> None:
    silent = comparison()
    silent = replace(silent, before=replace(silent.before, watched=0 * silent.before.watched))

    assert found(silent).verdict is Verdict.NO_DATA


def test_nothing_but_noughts_above_a_floor_pass() -> None:
    clean = comparison()
    clean = Comparison(
        Part(clean.before.at, 0 * clean.before.watched, 0 * clean.before.siblings),
        Part(clean.after.at, 0 * clean.after.watched, 0 * clean.after.siblings),
        0.5,
        floor=0.001,
    )

    assert found(clean).verdict is Verdict.PASS


def test_one_sibling_in_trouble_is_no_matter() -> None:
    compared = comparison(worse=0.3)
    compared.after.siblings[0] *= 20

    assert found(compared).verdict is Verdict.FAIL


@given(st.permutations(range(4)), st.floats(0.01, 100), st.sampled_from([0.0, 0.3]))
@settings(max_examples=15, deadline=None)
def test_neither_the_order_of_cells_nor_how_much_each_has_of_a_metric_matters(
    order: list[int], factor: float, worse: float
) -> None:
    compared = comparison(worse=worse)
    before, after = compared.before, compared.after
    other = replace(
        compared,
        before=replace(before, watched=before.watched * factor, siblings=before.siblings[order]),
        after=replace(after, watched=after.watched * factor, siblings=after.siblings[order]),
    )

    assert found(other).verdict is found(compared).verdict
    assert found(other).effect == pytest.approx(found(compared).effect)


@given(st.floats(0, 2), st.floats(0, 2))
@settings(max_examples=15, deadline=None)
def test_being_worse_is_never_likelier_to_be_chance(one: float, other: float) -> None:
    less, more = sorted((one, other))

    assert found(comparison(worse=more)).p <= found(comparison(worse=less)).p


def test_of_several_gates_each_has_to_be_the_less_likely_to_be_chance() -> None:
    assert significant_among([0.011, 0.02, 0.03], 0.03) == [False, False, False]
    assert significant_among([0.03, 0.009, 0.014], 0.03) == [False, True, True]
    assert significant_among([0.009, 0.009, 0.009], 0.03) == [True, True, True]


def test_all_looks_together_may_be_wrong_no_more_often_than_allowed() -> None:
    assert sum(spent_at(number) for number in range(100_000)) == pytest.approx(1, abs=1e-4)


def test_the_first_look_comes_with_fifty_points() -> None:
    assert look_at(49 * MINUTE, timedelta(seconds=15)) is None
    assert look_at(50 * MINUTE, timedelta(seconds=15)) == Look(0, 50 * MINUTE, MINUTE)
    assert look_at(249 * MINUTE, 5 * MINUTE) is None


@given(st.integers(50, 60 * DAY), st.sampled_from([15, 60, 300]))
def test_looks_are_at_fixed_times_that_lie_a_quarter_apart(minutes: int, resolution: int) -> None:
    elapsed, finest = minutes * MINUTE, timedelta(seconds=resolution)
    look = look_at(elapsed, finest)
    if look is None:
        assert elapsed < 50 * max(finest, MINUTE)
        return

    assert look.after <= elapsed < look.after * 1.26
    assert look_at(look.after, finest) == look
    assert look.step >= finest
    assert 49 <= look.after // look.step <= 1001


def test_independent_numbers_are_no_shift_but_as_often_as_allowed() -> None:
    chance = np.random.default_rng(5)
    probabilities = [
        shift_probability(chance.normal(size=2000), chance.normal(size=200), 0.0)
        for _ in range(400)
    ]

    assert sum(p < 0.05 for p in probabilities) <= 30


def test_numbers_that_remember_are_no_shift_but_as_often_as_allowed() -> None:
    chance = np.random.default_rng(6)
    probabilities = []
    for _ in range(200):
        series = remembering(chance, 4000, 0.97)
        probabilities.append(shift_probability(series[:3500], series[3500:], 0.0))

    assert sum(p < 0.05 for p in probabilities) <= 20


def test_numbers_that_remember_are_no_trend_but_as_often_as_allowed() -> None:
    chance = np.random.default_rng(7)
    probabilities = [
        trend_probability(remembering(chance, 1000, 0.95), 0.0, 1440)[1] for _ in range(200)
    ]

    assert sum(p < 0.01 for p in probabilities) <= 12


@pytest.mark.parametrize("keeps", [0.0, 0.5, 0.9], ids=str)
def test_memory_is_how_many_points_say_as_much_as_one(keeps: float) -> None:
    series = remembering(np.random.default_rng(8), 50_000, keeps)

    assert memory(series) == pytest.approx((1 + keeps) / (1 - keeps), rel=0.2)


def test_what_never_varied_has_shifted_when_it_does() -> None:
    assert shift_probability(np.zeros(3000), np.full(60, 0.5), 0.05) < 1e-6
    assert shift_probability(np.zeros(3000), np.zeros(60), 0.05) == 1.0


def remembering(chance: np.random.Generator, length: int, keeps: float) -> Array:
    """Return normal numbers, each of which keeps a share of the one before."""
    from scipy import signal

    shocks = chance.normal(0, math.sqrt(1 - keeps**2), length + 1000)
    return np.asarray(signal.lfilter([1], [1, -keeps], shocks)[1000:], dtype=np.float64)


def one_of(count: int, worse: float, *, siblings: int = 6, seed: int = 3) -> Comparison:
    """Return a comparison of so many changed cells, of which the second got worse."""
    good = cells(seed, count, 240)
    bad = cells(seed, count, 240, worse=worse)
    control = cells(seed + 1000, siblings, 240)
    struck = np.arange(count)[:, np.newaxis] == 1
    at = np.arange(0.0, 60.0 * (PAST + 240), 60.0)
    return Comparison(
        Part(at[:PAST], good[0], control[0]),
        Part(at[PAST:], np.where(struck, bad[1], good[1]), control[1]),
        0.05,
        names=tuple(f"c{row}" for row in range(count)),
    )


def test_one_bad_cell_among_many_is_found_by_itself_and_named() -> None:
    diluted = one_of(25, worse=1.0)
    assert found(replace(diluted, names=())).verdict is Verdict.PASS, "the mean hides it"

    finding = found(diluted)

    assert (finding.verdict, finding.cell) == (Verdict.FAIL, "c1")
    assert finding.effect == pytest.approx(1.0, abs=0.1)


def test_with_few_siblings_no_cell_is_judged_by_itself() -> None:
    assert found(one_of(25, worse=1.0, siblings=2)).verdict is Verdict.PASS


def test_what_all_changed_cells_have_is_told_of_all() -> None:
    finding = found(replace(comparison(worse=1.0), names=("c0", "c1")))

    assert (finding.verdict, finding.cell) == (Verdict.FAIL, "")


def test_cells_of_which_none_is_bad_by_itself_are_judged_as_one() -> None:
    plain = comparison()

    assert found(replace(plain, names=("c0", "c1"))) == found(plain)


def test_the_names_of_the_cells_stay_with_them_where_one_has_no_past() -> None:
    diluted = one_of(25, worse=1.0)
    past = diluted.before.watched.copy()
    past[0] = np.nan
    without = replace(diluted, before=replace(diluted.before, watched=past))

    assert found(without).cell == "c1"


def test_in_one_cell_among_many_chance_is_not_taken_for_the_release() -> None:
    findings = [found(one_of(12, worse=0.0, seed=seed)) for seed in range(40)]

    assert {finding.verdict for finding in findings} <= {Verdict.PASS, Verdict.INCONCLUSIVE}
