"""The rules of placement, as laws over any fleet."""

from dataclasses import replace
from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cells.placement import explain_refusal, place, without
from cells.types import SYNTHETIC_RING, Capacity, CellView, Cordon
from cells.visits.types import Visit, VisitPhase
from controlplane.resource import ConditionStatus
from tests.engine import cell_spec, cell_view

REGIONS = ["aws-us-east-1", "aws-us-west-2", "gcp-us-central1"]
CORDON = Cordon("leaking disk", "sre", datetime(2026, 11, 1, tzinfo=UTC))
VISIT = Visit(
    id="v1",
    release="r-1.32.0",
    by="rollout/r",
    phase=VisitPhase.SERVER,
    message="",
    since=CORDON.since,
)

capacities = st.builds(
    Capacity,
    namespaces=st.integers(min_value=1, max_value=1000),
    actions_per_second=st.integers(min_value=1, max_value=500_000),
)
demands = st.builds(
    Capacity,
    namespaces=st.just(1),
    actions_per_second=st.integers(min_value=0, max_value=5000),
)


@st.composite
def fleets(draw: st.DrawFn) -> list[CellView]:
    return [
        replace(
            cell_view(
                f"cell-{n}",
                cell_spec(
                    draw(st.sampled_from(REGIONS)),
                    ring=draw(st.integers(min_value=0, max_value=3)),
                    capacity=draw(capacities),
                ),
                ready=draw(st.booleans()),
            ),
            allocated=draw(capacities),
            cordon=draw(st.sampled_from([None, CORDON])),
            quarantine=draw(st.sampled_from([None, CORDON])),
            visit=draw(st.sampled_from([None, VISIT])),
        )
        for n in range(draw(st.integers(min_value=0, max_value=8)))
    ]


@given(fleets(), st.sampled_from(REGIONS), demands)
def test_only_a_cell_that_may_and_can_is_chosen(
    fleet: list[CellView], region: str, demand: Capacity
) -> None:
    placement = place(region, demand, fleet)

    if placement.cell is not None:
        chosen = next(cell for cell in fleet if cell.id == placement.cell)
        assert (chosen.cordon, chosen.quarantine, chosen.visit) == (None, None, None)
        assert chosen.spec.region == region
        assert chosen.spec.ring != SYNTHETIC_RING
        assert chosen.conditions["Ready"].status == ConditionStatus.TRUE
        assert chosen.allocated.namespaces + demand.namespaces <= chosen.spec.capacity.namespaces
        assert (
            chosen.allocated.actions_per_second + demand.actions_per_second
            <= chosen.spec.capacity.actions_per_second
        )


@given(fleets(), st.sampled_from(REGIONS), demands)
def test_a_cell_is_found_whenever_one_fits(
    fleet: list[CellView], region: str, demand: Capacity
) -> None:
    fitting = [
        cell
        for cell in fleet
        if cell.spec.region == region
        and cell.spec.ring != SYNTHETIC_RING
        and (cell.cordon, cell.quarantine, cell.visit) == (None, None, None)
        and cell.conditions["Ready"].status == ConditionStatus.TRUE
        and not cell.free.shortages(demand)
    ]

    assert (place(region, demand, fleet).cell is not None) == bool(fitting)


@given(fleets(), st.sampled_from(REGIONS), demands, st.randoms())
def test_the_order_of_cells_does_not_matter(
    fleet: list[CellView], region: str, demand: Capacity, random: Random
) -> None:
    shuffled = random.sample(fleet, len(fleet))

    assert place(region, demand, shuffled) == place(region, demand, fleet)


@given(fleets(), st.sampled_from(REGIONS), demands)
def test_every_cell_has_a_verdict_and_every_refusal_a_reason(
    fleet: list[CellView], region: str, demand: Capacity
) -> None:
    placement = place(region, demand, fleet)

    assert sorted(v.cell for v in placement.verdicts) == sorted(cell.id for cell in fleet)
    assert all(v.reasons for v in placement.verdicts)
    if placement.cell is None:
        assert all(v.cell in explain_refusal(placement) for v in placement.verdicts)


@given(fleets(), st.sampled_from(REGIONS), demands)
def test_lost_races_try_each_fitting_cell_once_and_end(
    fleet: list[CellView], region: str, demand: Capacity
) -> None:
    placement = place(region, demand, fleet)
    fitting = [v.cell for v in placement.verdicts if v.fits]

    tried = []
    while placement.cell is not None:
        tried.append(placement.cell)
        placement = without(placement, placement.cell, "filled up meanwhile")

    assert tried == fitting
    assert "filled up meanwhile" in explain_refusal(placement) or not fitting


@pytest.mark.parametrize(
    ("roomier", "tighter"),
    [
        pytest.param(Capacity(100, 1000), Capacity(10, 1000), id="fewer namespaces"),
        pytest.param(Capacity(100, 1000), Capacity(1000, 100), id="fewer actions per second"),
    ],
)
def test_the_cell_with_most_headroom_on_its_tightest_dimension_wins(
    roomier: Capacity, tighter: Capacity
) -> None:
    cells = [
        cell_view("tighter", cell_spec(capacity=tighter)),
        cell_view("roomier", cell_spec(capacity=roomier)),
    ]

    placement = place("aws-us-east-1", Capacity(1, 50), cells)

    assert [v.cell for v in placement.verdicts] == ["roomier", "tighter"]


def test_equal_cells_are_told_apart_by_id() -> None:
    assert place("aws-us-east-1", Capacity(1, 1), [cell_view("b"), cell_view("a")]).cell == "a"


def test_a_cell_that_is_visited_or_quarantined_says_so() -> None:
    visited = replace(cell_view("visited"), visit=VISIT)
    quarantined = replace(cell_view("quarantined"), quarantine=CORDON)

    verdicts = place("aws-us-east-1", Capacity(1, 1), [visited, quarantined]).verdicts

    assert {verdict.cell: verdict.reasons for verdict in verdicts} == {
        "visited": ("being brought to r-1.32.0 (server)",),
        "quarantined": ("quarantined by sre: leaking disk",),
    }
