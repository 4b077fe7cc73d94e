"""Evidence: health and the canary, and what is made of gates that cannot be asked."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cells.runtime.memory import MemoryRuntime
from cells.types import CellSpec, CellView
from cells.visits.memory import MemoryExaminer, Sickness
from controlplane.secrets.memory import MemorySecretStore
from rollout.bake import accrue, begin
from rollout.evidence.gathering import NAMED_CELLS, GatesEvidence
from rollout.evidence.health import SPEAKS_FOR, ExaminedGate
from rollout.evidence.ports import GateAsker, NoEvidence
from rollout.evidence.prometheus import MOST_STEPS, Prometheus, Sample, quoted, steps
from rollout.evidence.queried import QueriedGate, Window, judge
from rollout.gates import Gate, GateKind, Reading, Verdict, default_gates, overridden
from rollout.people import GateOverride
from rollout.ports import WatchedCells
from tests.engine import cell_view

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
HEALTH, CANARY = default_gates()


@dataclass
class Published:
    """The cells that the fleet knows of."""

    views: list[CellView] = field(default_factory=list)

    async def cells(self) -> list[CellView]:
        return self.views


def published(*cells: str) -> Published:
    return Published([cell_view(cell) for cell in cells])


def window(*cells: str, siblings: Sequence[str] = (), length: timedelta = MINUTE) -> WatchedCells:
    return WatchedCells((HEALTH, CANARY), cells, tuple(siblings), NOW - HOUR, NOW - length, NOW)


def examined(
    *sicknesses: Sickness, fleet: Published | None = None
) -> tuple[GatesEvidence, MemoryExaminer]:
    examiner = MemoryExaminer(MemoryRuntime(), list(sicknesses))
    cells = fleet or published("c1", "c2", "s1", "s2")
    askers: dict[GateKind, GateAsker] = {
        GateKind.HEALTH: ExaminedGate(cells, examiner.health, pause_seconds=0),
        GateKind.CANARY: ExaminedGate(cells, examiner.canaries, pause_seconds=0),
    }
    return GatesEvidence(askers), examiner


async def test_cells_that_are_well_pass_both_gates_with_one_look_for_each() -> None:
    source, examiner = examined()
    evidence = await source.gather(window("c1", "c2"))

    assert {(r.gate, r.cell, r.verdict) for r in evidence.readings} == {
        ("health", "", Verdict.PASS),
        ("canary", "", Verdict.PASS),
    }
    assert accrue(begin(HOUR, NOW - MINUTE), evidence).credit == MINUTE
    assert examiner.looks == {"c1": 2, "c2": 2}


async def test_a_sick_cell_fails_by_name_and_with_what_is_wrong() -> None:
    lost = Sickness("the canary did not come back", cell="c2", only_canaries=True)
    source, examiner = examined(lost)
    evidence = await source.gather(window("c1", "c2", siblings=("s1", "s2")))

    failed = [r for r in evidence.readings if r.verdict is Verdict.FAIL]
    assert [(r.gate, r.cell, r.message) for r in failed] == [
        ("canary", "c2", "the canary did not come back")
    ]
    assert examiner.looks["c2"] == 1 + 3
    assert accrue(begin(HOUR, NOW - MINUTE), evidence).verdict is Verdict.FAIL


@pytest.mark.parametrize("only_canaries", [False, True], ids=["health", "canary"])
async def test_who_answers_for_one_of_health_and_canary_does_not_answer_for_the_other(
    only_canaries: bool,
) -> None:
    source, _ = examined(Sickness("is broken", cell="c1", only_canaries=only_canaries))
    evidence = await source.gather(window("c1", siblings=("s1",)))
    failing, other = ("canary", "health") if only_canaries else ("health", "canary")

    def answered(gate: str) -> Verdict | None:
        override = GateOverride("bob", "a known fault", NOW + HOUR)
        seen = overridden(evidence, {gate: override}, NOW)
        return accrue(begin(HOUR, NOW - MINUTE), seen).verdict

    assert answered(failing) is Verdict.PASS
    assert answered(other) is Verdict.FAIL


@dataclass
class Stumbling:
    """Finds fault with the first looks only."""

    bad_looks: int

    async def examine(self, cell: str, spec: CellSpec) -> Sequence[str]:  # noqa: ARG002 - the port's
        self.bad_looks -= 1
        return ["the gatekeeper does not answer"] if self.bad_looks >= 0 else []


@pytest.mark.parametrize(("bad_looks", "verdict"), [(2, Verdict.PASS), (3, Verdict.FAIL)])
async def test_a_cell_has_to_fail_three_times_in_a_row(bad_looks: int, verdict: Verdict) -> None:
    asker = ExaminedGate(published("c1"), Stumbling(bad_looks).examine, pause_seconds=0)
    (reading,) = await asker.ask([HEALTH], window("c1"))

    assert reading.verdict is verdict


async def test_what_every_sibling_suffers_from_too_is_not_the_release() -> None:
    source, _ = examined(Sickness("Temporal does not answer"))
    evidence = await source.gather(window("c1", siblings=("s1", "s2")))

    health = [r for r in evidence.readings if r.gate == "health"]
    assert {r.verdict for r in health} == {Verdict.CONFOUNDED}
    assert evidence.readings[0].message == ("Temporal does not answer; s1, s2, unchanged, fail too")


async def test_one_sibling_that_is_well_is_enough_to_blame_the_release() -> None:
    sick = (Sickness("is down", cell=cell) for cell in ("c1", "s1"))
    source, _ = examined(*sick)
    evidence = await source.gather(window("c1", siblings=("s1", "s2")))

    assert {r.verdict for r in evidence.readings if r.gate == "health"} == {Verdict.FAIL}


async def test_a_cell_that_the_fleet_does_not_know_has_no_data() -> None:
    source, _ = examined(fleet=published("c1"))
    evidence = await source.gather(window("c1", "gone"))

    assert (Verdict.NO_DATA, "gone") in {(r.verdict, r.cell) for r in evidence.readings}


async def test_a_look_speaks_for_three_quarters_of_an_hour_before_it() -> None:
    source, _ = examined()
    (health, _) = (await source.gather(window("c1", length=6 * HOUR))).readings

    assert health.covers == SPEAKS_FOR


class Confused:
    async def examine(self, cell: str, spec: CellSpec) -> Sequence[str]:
        raise OSError(f"too many open files to examine {cell}, of {spec.region}")


class Broken:
    async def cells(self) -> list[CellView]:
        raise ConnectionError("the database is away")


@dataclass(frozen=True)
class Raising:
    error: Exception

    async def ask(
        self,
        gates: Sequence[Gate],  # noqa: ARG002 - the port's
        watched: WatchedCells,  # noqa: ARG002 - the port's
    ) -> tuple[Reading, ...]:
        raise self.error


@pytest.mark.parametrize(
    ("asker", "told"),
    [
        (ExaminedGate(published("c1"), Confused().examine), "too many open files"),
        (ExaminedGate(Broken(), Confused().examine), "ConnectionError: the database is away"),
        (Raising(TimeoutError()), "was not answered within 180 s"),
        (Raising(NoEvidence("closed on Sundays")), "closed on Sundays"),
    ],
    ids=["no examination", "no fleet", "no answer", "no evidence"],
)
async def test_a_gate_that_cannot_be_asked_has_no_data_and_hides_no_other(
    asker: GateAsker, told: str
) -> None:
    well = ExaminedGate(published("c1"), MemoryExaminer(MemoryRuntime()).canaries)
    source = GatesEvidence({GateKind.HEALTH: asker, GateKind.CANARY: well})
    health, canary = (await source.gather(window("c1"))).readings

    assert (health.gate, health.verdict, canary.verdict) == (
        "health",
        Verdict.NO_DATA,
        Verdict.PASS,
    )
    assert told in health.message


async def test_without_prometheus_its_gates_have_no_data_and_say_how_to_get_one() -> None:
    gate = Gate("errors", GateKind.PROMETHEUS, 'errors{cell="$cell"}', below=1)
    source, _ = examined()
    evidence = await source.gather(replace(window("c1"), gates=(gate,)))

    (reading,) = evidence.readings
    assert reading.verdict is Verdict.NO_DATA
    assert "set CONTROLPLANE_PROMETHEUS_URL" in reading.message


async def test_of_many_sick_cells_some_are_named_and_the_others_counted() -> None:
    cells = [f"c{number}" for number in range(NAMED_CELLS + 7)]
    source, _ = examined(Sickness("x" * 5000), fleet=published(*cells))
    evidence = await source.gather(window(*cells))

    health = [reading for reading in evidence.readings if reading.gate == "health"]
    assert len(health) == NAMED_CELLS + 1
    assert health[-1].message == "and 7 more cells"
    assert max(len(reading.message) for reading in health) == 300


def test_a_missing_file_of_authorities_is_told_as_no_evidence(tmp_path: Path) -> None:
    prometheus = Prometheus("https://127.0.0.1:1", MemorySecretStore(), ca_file=tmp_path / "ca.pem")
    gate = Gate("errors", GateKind.PROMETHEUS, 'errors{cell="$cell"}', below=1)
    source = GatesEvidence({GateKind.PROMETHEUS: QueriedGate(prometheus)})
    evidence = asyncio.run(source.gather(replace(window("c1"), gates=(gate,))))

    assert "correct CONTROLPLANE_PROMETHEUS_CA_FILE" in evidence.readings[0].message


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("aws-us-east-1-c1", "aws-us-east-1-c1"),
        (
            'c"} or vector(0)#',
            "c\\U00000022\\U0000007d or vector\\U000000280\\U00000029\\U00000023",
        ),
        ("a\\b'c", "a\\U0000005cb\\U00000027c"),
        ("zürich", "z\\U000000fcrich"),
    ],
)
def test_a_cell_never_leaves_the_quotes_of_a_query(value: str, written: str) -> None:
    assert quoted(value) == written


@given(st.integers(0, 60 * 24 * 3600), st.integers(1, 300))
def test_steps_fill_the_window_are_no_finer_than_scrapes_and_no_more_than_prometheus_takes(
    seconds: int, resolution: int
) -> None:
    length = seconds * SECOND
    count, step = steps(NOW - length, NOW, resolution * SECOND)

    assert step >= resolution * SECOND
    assert step <= max(5 * MINUTE, resolution * SECOND, length / MOST_STEPS + SECOND)
    assert count <= MOST_STEPS + 1
    assert (count - 1) * step < max(length, SECOND) <= max(count * step, SECOND)


BOUNDED = Gate("latency", GateKind.PROMETHEUS, "latency$cell", below=1.0, minimum_samples=3)
TEN = Window(NOW - 10 * MINUTE, NOW, MINUTE, 10)


def samples(*values: float | None) -> list[Sample]:
    """Return one sample a minute, the last of them now; None for none."""
    return [
        Sample(NOW - back * MINUTE, value)
        for back, value in zip(range(len(values) - 1, -1, -1), values, strict=True)
        if value is not None
    ]


def test_samples_within_bounds_pass_and_cover_the_window() -> None:
    judged = judge(BOUNDED, samples(*[0.5] * 10), TEN)

    assert judged.verdict is Verdict.PASS
    assert TEN.length(judged.green) == 10 * MINUTE


def test_two_steps_in_a_row_out_of_bounds_fail() -> None:
    judged = judge(BOUNDED, samples(*[0.5] * 6, 2.0, 3.0, 0.5, 0.5), TEN)

    assert (judged.verdict, judged.message) == (
        Verdict.FAIL,
        "is 2 at 11:57:00 and after, and has to be below 1",
    )


def test_single_steps_out_of_bounds_are_glitches_that_are_not_covered() -> None:
    judged = judge(BOUNDED, samples(0.5, 9.0, 0.5, 9.0, *[0.5] * 6), TEN)

    assert judged.verdict is Verdict.PASS
    assert TEN.length(judged.green) == 8 * MINUTE


def test_two_in_a_row_fail_though_the_window_begins_between_them() -> None:
    judged = judge(BOUNDED, samples(2.0, 2.0, *[0.5] * 9), TEN)

    assert judged.verdict is Verdict.FAIL


def test_what_was_out_of_bounds_before_the_window_is_settled() -> None:
    judged = judge(BOUNDED, samples(2.0, 2.0, *[0.5] * 10), TEN)

    assert judged.verdict is Verdict.PASS


def test_samples_missing_between_two_out_of_bounds_make_them_no_row() -> None:
    judged = judge(BOUNDED, samples(*[0.5] * 5, 2.0, None, 2.0, 0.5, 0.5), TEN)

    assert judged.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("values", "verdict", "told"),
    [
        ([], Verdict.NO_DATA, "0 of the 3 samples it takes"),
        ([0.5, 0.5], Verdict.NO_DATA, "2 of the 3 samples it takes"),
        ([0.5, 0.5, 0.5, None, None, None], Verdict.NO_DATA, "180 s old, and may be 120 s"),
        ([0.5, 0.5, 0.5, 2.0], Verdict.INCONCLUSIVE, "is 2 at last"),
    ],
    ids=["none", "too few", "stale", "newest"],
)
def test_what_says_nothing_yet_is_told(
    values: list[float | None], verdict: Verdict, told: str
) -> None:
    judged = judge(BOUNDED, samples(*values), TEN)

    assert judged.verdict is verdict
    assert told in judged.message


def test_a_bound_from_below_holds_as_well() -> None:
    shards = replace(BOUNDED, above=0.9, below=1.1)

    assert judge(shards, samples(*[1.0] * 10), TEN).verdict is Verdict.PASS
    assert judge(shards, samples(*[1.0] * 8, 0.5, 0.5), TEN).verdict is Verdict.FAIL
    assert judge(shards, samples(*[1.0] * 8, 2.0, 2.0), TEN).verdict is Verdict.FAIL


@given(st.lists(st.none() | st.floats(0, 2), max_size=14))
def test_what_is_covered_is_never_more_than_the_samples_within_bounds(
    values: list[float | None],
) -> None:
    judged = judge(BOUNDED, samples(*values), TEN)
    good = sum(value is not None and value < 1.0 for value in values[-10:])

    assert TEN.length(judged.green) <= good * MINUTE
    assert judged.verdict is not Verdict.PASS or TEN.length(judged.green) == good * MINUTE
