"""What a rollout would do, as people are shown it."""

import io
from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console

from controlplane.api.rollout_types import DryRun, PlannedCell
from controlplane.cli.rollout.plan_view import batch_sizes, show_dry_run, show_forecast
from rollout.bake import PatchCredit
from rollout.policy import Lane, RingPolicy, default_policy
from rollout.simulation.types import Forecast, Run
from rollout.types import Outcome, Wait, WaitCode
from tests.cli.rollout.views import HOUR, NOW

DAY = timedelta(days=1)


def told(*parts: object) -> str:
    written = io.StringIO()
    console = Console(file=written, width=1000, soft_wrap=True)
    for part in parts:
        console.print(part)
    return "\n".join(" ".join(line.split()) for line in written.getvalue().splitlines())


@pytest.mark.parametrize(
    ("batches", "members", "sizes"),
    [
        (("1", "all"), 1, [1]),
        (("1", "all"), 9, [1, 8]),
        (("1", "2", "4", "25%"), 40, [1, 2, 4, 10, 10, 10, 3]),
        (("1", "10%"), 5, [1, 1, 1, 1, 1]),
        (("all",), 4, [1, 3]),
        (("3",), 0, []),
    ],
)
def test_batches_are_foretold_as_they_will_be_made(
    batches: tuple[str, ...], members: int, sizes: list[int]
) -> None:
    assert batch_sizes(RingPolicy(1, batches, HOUR, DAY), members) == sizes


def planned(number: int, ring: int, wait: Wait | None = None) -> PlannedCell:
    return PlannedCell(
        cell=f"c{number:03}",
        region="aws-us-east-1",
        provider="aws",
        ring=ring,
        server_version="1.30.2",
        hops=("1.31.2", "1.32.0"),
        difference=("server 1.30.2 → 1.32.0", "configuration a: 1 → 2"),
        starts_now=wait is None,
        wait=wait,
    )


def dry_run(
    *cells: PlannedCell, lane: Lane = Lane.NORMAL, problems: tuple[str, ...] = ()
) -> DryRun:
    return DryRun(
        release="1.32.0",
        release_digest="d1" * 32,
        server_version="1.32.0",
        lane=lane,
        cells=cells,
        unchanged=("old-c1",),
        problems=problems,
        plan_hash="p1",
        writing=("1.31.2",),
    )


def test_a_plan_says_what_each_cell_goes_through_and_what_it_waits_for() -> None:
    wait = Wait("c001", WaitCode.CALENDAR, "freeze 'year-end'", NOW)
    plan = dry_run(planned(0, 0), planned(1, 1, wait), problems=("ring 1 has no way",))

    text = told(*show_dry_run(plan, default_policy(), every_cell=False))

    assert "Release 1.32.0 (d1d1d1d1d1d1), server 1.32.0: 2 cells to change, 1 have it" in text
    assert (
        "0 c000 aws-us-east-1 1.30.2 1.31.2 → 1.32.0 server 1.30.2 → 1.32.0; "
        "configuration a: 1 → 2 now" in text
    )
    assert "calendar: freeze 'year-end' (until 2026-11-22 12:00:00)" in text
    assert "Rollout 1.31.2 writes the same component now." in text
    assert "✗ ring 1 has no way" in text


def test_the_emergency_lane_bakes_for_minutes_and_is_opened_by_two() -> None:
    cells = [planned(number, 1) for number in range(8)]

    normal = told(*show_dry_run(dry_run(*cells), default_policy(), every_cell=False))
    emergency = told(
        *show_dry_run(dry_run(*cells, lane=Lane.EMERGENCY), default_policy(), every_cell=False)
    )

    assert "1 8 1, 2, 4, 1 4h each, 3d at the end 5% -" in normal
    assert "1 8 1, 2, 4, 1 30m each, 30m at the end 5% 2" in emergency
    assert "server 1.32.0, emergency lane" in emergency


def test_a_plan_of_many_cells_is_shortened_unless_all_are_asked_for() -> None:
    plan = dry_run(*(planned(number, 1) for number in range(100)))

    short = told(*show_dry_run(plan, default_policy(), every_cell=False))
    whole = told(*show_dry_run(plan, default_policy(), every_cell=True))

    assert "and 40 more (--all lists them)" in short
    assert "c099" not in short
    assert "c099" in whole


def test_a_forecast_says_when_rings_begin_and_why_a_run_did_not_end() -> None:
    runs = (
        Run(Outcome.SUCCEEDED, 20 * DAY, {0: timedelta(0), 1: 8 * DAY}, 12, ()),
        Run(None, None, {0: timedelta(0)}, 3, (), stuck="9 cells: approval"),
    )
    forecast = Forecast(
        "1.32.0", 12, NOW, runs, 20 * DAY, 20 * DAY, {0: timedelta(0), 1: 8 * DAY}, ("a and b",)
    )

    text = told(*show_forecast(forecast))

    assert "Release 1.32.0 to 12 cells: 1 of 2 simulated rollouts came to their end." in text
    assert "1 8d 2026-11-30 12:00:00" in text
    assert "2 did not end - 3 9 cells: approval" in text
    assert "✗ a and b" in text


@pytest.mark.parametrize(
    ("credit", "head_starts", "told_so"),
    [
        (
            PatchCredit("r1", "r1-2"),
            {1: DAY},
            "What r1 has baked (rollout r1-2) counts in ring 1: 1d",
        ),
        (PatchCredit("r1", "r1-2"), {}, "What r1 has baked does not count in any ring."),
        (
            PatchCredit("r1", "", refused="it changes the schema"),
            {},
            "What r1 has baked does not count: it changes the schema.",
        ),
    ],
    ids=["counts", "counts nowhere", "refused"],
)
def test_a_plan_says_what_a_patch_is_given(
    credit: PatchCredit, head_starts: dict[int, timedelta], told_so: str
) -> None:
    plan = replace(dry_run(planned(0, 1)), patch_credit=credit, head_starts=head_starts)

    assert told_so in told(*show_dry_run(plan, default_policy(), every_cell=False))


def test_a_plan_warns_of_what_does_not_stand_against_it() -> None:
    plan = replace(dry_run(planned(0, 1)), warnings=("somebody changed c1 by hand",))

    assert "! somebody changed c1 by hand" in told(
        *show_dry_run(plan, default_policy(), every_cell=False)
    )
