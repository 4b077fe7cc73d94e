"""The sibling comparison over a real Prometheus that remembers days which were made up."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from controlplane.secrets.memory import MemorySecretStore
from rollout.evidence.comparing import ComparisonGate
from rollout.evidence.prometheus import Prometheus
from rollout.evidence.queried import QueriedGate
from rollout.gates import Gate, GateKind, Reading, Verdict
from rollout.ports import WatchedCells
from rollout.shifts import Array
from tests.prometheus import running_prometheus, scraping

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
NOW = datetime.now(UTC).replace(second=0, microsecond=0) - HOUR
CHANGED = NOW - 6 * HOUR
PAST_MINUTES, MINUTES = 2 * 24 * 60, 6 * 60
LATENCY = Gate("latency", GateKind.COMPARISON, 'latency{cell="$cell"}')
BOUNDED = Gate("latency", GateKind.PROMETHEUS, 'latency{cell="$cell"}', below=1.0)
SIBLINGS = ("s1", "s2", "s3")


@dataclass(frozen=True)
class History:
    """What Prometheus remembers of one cell: how much worse it got at the change, and when it was
    not scraped, in minutes since the change."""

    worse: float = 0.0
    gap: range = range(0)
    everybody: float = 0.0
    past: bool = True


CELLS: Mapping[str, History] = {
    **dict.fromkeys(SIBLINGS, History()),
    "same": History(),
    "slower": History(worse=0.3),
    "new": History(past=False),
    "silent": History(gap=range(330, 400)),
    "holey": History(gap=range(300, 320)),
    "bursting": History(),
    "hurt": History(worse=1.0),
    "h1": History(worse=1.0),
    "h2": History(worse=1.0),
}


def _history() -> str:
    """Return the series of all cells in OpenMetrics format, a sample a minute."""
    chance = np.random.default_rng(7)
    minutes = np.arange(-PAST_MINUTES, MINUTES + 1)
    cycle = 0.2 * np.sin(2 * np.pi * minutes / 1440)
    lines = ["# TYPE latency gauge"]
    for cell, history in CELLS.items():
        noise: Array = chance.normal(0, 0.05, minutes.size)
        values = 0.02 * np.exp(cycle + noise) * np.where(minutes > 0, 1 + history.worse, 1.0)
        for minute, value in zip(minutes, values, strict=True):
            if minute in history.gap or (minute <= 0 and not history.past):
                continue
            shown = 5.0 if cell == "bursting" and minute == 355 else value
            at = (CHANGED + int(minute) * MINUTE).timestamp()
            lines.append(f'latency{{cell="{cell}"}} {shown:.6f} {at:.0f}')
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
async def prometheus(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Prometheus]:
    folder = tmp_path_factory.mktemp("remembering")
    # So short a look back that one missing minute is a gap.
    short = ("--query.lookback-delta=1m",)
    async with running_prometheus(
        folder, scraping({}), history=_history(), arguments=short
    ) as running:
        yield Prometheus(running.url, MemorySecretStore(), resolution=MINUTE)


def window(
    *cells: str, siblings: Sequence[str] = SIBLINGS, length: timedelta = HOUR, until: datetime = NOW
) -> WatchedCells:
    return WatchedCells((), cells, tuple(siblings), CHANGED, until - length, until)


async def compared(prometheus: Prometheus, watched: WatchedCells, gate: Gate = LATENCY) -> Reading:
    (reading,) = await ComparisonGate(prometheus).ask([gate], watched)
    return reading


async def bounded(prometheus: Prometheus, watched: WatchedCells) -> Reading:
    (reading,) = await QueriedGate(prometheus).ask([BOUNDED], watched)
    return reading


async def test_a_cell_like_its_siblings_passes_for_the_whole_window(prometheus: Prometheus) -> None:
    reading = await compared(prometheus, window("same"))

    assert (reading.verdict, reading.covers) == (Verdict.PASS, HOUR)
    assert "against 3 siblings, where 5% is tolerated" in reading.message


async def test_a_cell_that_got_slower_than_its_siblings_fails(prometheus: Prometheus) -> None:
    reading = await compared(prometheus, window("slower"))

    assert (reading.verdict, reading.covers) == (Verdict.FAIL, timedelta(0))
    assert 25 < float(reading.message.partition("%")[0]) < 35


async def test_without_siblings_a_cell_is_held_against_its_own_past(prometheus: Prometheus) -> None:
    slower = await compared(prometheus, window("hurt", siblings=()))
    same = await compared(prometheus, window("same", siblings=()))

    assert (slower.verdict, same.verdict) == (Verdict.FAIL, Verdict.PASS)
    assert "its own past, without siblings, where 25% is tolerated" in slower.message


async def test_what_siblings_suffer_from_as_well_is_not_the_release(prometheus: Prometheus) -> None:
    reading = await compared(prometheus, window("hurt", siblings=("h1", "h2")))

    assert reading.verdict is Verdict.CONFOUNDED
    assert "unchanged siblings have +" in reading.message


async def test_a_cell_without_a_past_cannot_be_compared(prometheus: Prometheus) -> None:
    reading = await compared(prometheus, window("new"))

    assert reading.verdict is Verdict.NO_DATA
    assert reading.message == "no changed cell has a past to compare with"


async def test_a_cell_without_a_past_beside_others_is_left_out(prometheus: Prometheus) -> None:
    assert (await compared(prometheus, window("new", "same"))).verdict is Verdict.PASS


async def test_soon_after_the_change_nothing_is_concluded(prometheus: Prometheus) -> None:
    early = window("slower", length=20 * MINUTE, until=CHANGED + 20 * MINUTE)
    reading = await compared(prometheus, early)

    assert (reading.verdict, reading.covers) == (Verdict.INCONCLUSIVE, 20 * MINUTE)


async def test_between_two_looks_the_answer_is_the_same(prometheus: Prometheus) -> None:
    at_look, later = CHANGED + 98 * MINUTE, CHANGED + 115 * MINUTE
    first = await compared(prometheus, window("slower", until=at_look))
    second = await compared(prometheus, window("slower", until=later))

    assert (first.verdict, first.message) == (second.verdict, second.message)


@pytest.mark.parametrize("watched", [window("silent"), window("nobody")], ids=["silent", "unknown"])
async def test_cells_that_tell_nothing_any_more_have_no_data(
    prometheus: Prometheus, watched: WatchedCells
) -> None:
    assert (await compared(prometheus, watched)).verdict is Verdict.NO_DATA
    assert (await bounded(prometheus, watched)).verdict is Verdict.NO_DATA


async def test_without_any_data_of_the_siblings_there_is_no_comparison(
    prometheus: Prometheus,
) -> None:
    reading = await compared(prometheus, window("same", siblings=("nobody",)))

    assert reading.verdict is Verdict.NO_DATA


async def test_a_gap_in_the_samples_is_not_covered(prometheus: Prometheus) -> None:
    reading = await bounded(prometheus, window("holey", "same"))

    assert reading.verdict is Verdict.PASS
    # A sample stands for the minute that ends with it; minutes 301 to 319 have none.
    assert reading.covers == 41 * MINUTE


async def test_a_single_glitch_is_not_covered_and_halts_nothing(prometheus: Prometheus) -> None:
    reading = await bounded(prometheus, window("bursting"))

    assert (reading.verdict, reading.covers) == (Verdict.PASS, HOUR - MINUTE)


async def test_nothing_is_concluded_while_the_newest_sample_is_out_of_bounds(
    prometheus: Prometheus,
) -> None:
    reading = await bounded(prometheus, window("bursting", until=NOW - 5 * MINUTE))

    assert (reading.verdict, reading.covers) == (Verdict.INCONCLUSIVE, HOUR - MINUTE)
    assert reading.message == "is 5 at last, and has to be below 1: one more fails"


async def test_more_cells_than_are_compared_are_sampled(prometheus: Prometheus) -> None:
    many = window(*["same"] * 70, siblings=SIBLINGS * 40)

    assert (await compared(prometheus, many)).verdict is Verdict.PASS


async def test_gates_are_judged_together(prometheus: Prometheus) -> None:
    other = replace(LATENCY, name="other", query='1 / latency{cell="$cell"}')
    readings = await ComparisonGate(prometheus).ask([LATENCY, other], window("slower"))

    assert [(r.gate, r.verdict) for r in readings] == [
        ("latency", Verdict.FAIL),
        ("other", Verdict.PASS),
    ]


async def test_a_cell_that_is_slow_among_many_that_are_not_fails_by_name(
    prometheus: Prometheus,
) -> None:
    crowd = window("same", "hurt", *["same"] * 24)

    reading = await compared(prometheus, crowd)

    assert (reading.verdict, reading.cell) == (Verdict.FAIL, "hurt")
