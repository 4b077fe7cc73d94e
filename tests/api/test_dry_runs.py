"""What a rollout would do, before it does it."""

from dataclasses import replace
from datetime import timedelta

from pydantic import TypeAdapter

from cells.release import Release, SchemaStep, Software
from controlplane.api.dry_runs import difference, dry_run
from controlplane.api.rollout_types import DryRun
from controlplane.store.inventory import cell_facts
from rollout.calendar import Calendar, Freeze
from rollout.types import Fleet, WaitCode
from tests.api.running import RunningApi, Tenant
from tests.api.test_releases import created, named
from tests.api.test_rollouts import ROLLOUTS, began
from tests.store.rollout_views import start_rollout
from tests.store.views import NOW, cell_view

RELEASE = Release("server-1.31.2", "1.31.2")


def fleet(*cells: str, calendar: Calendar | None = None) -> Fleet:
    """Return a fleet of cells named `<ring>-<anything>`."""
    return Fleet(
        seen_at=NOW,
        cells=tuple(cell_facts(cell_view(cell, ring=int(cell[0]))) for cell in cells),
        servers=("1.30.1", "1.31.2"),
        calendar=calendar or Calendar(),
    )


def plan_of(known: Fleet, release: Release = RELEASE) -> DryRun:
    return dry_run(start_rollout("r1", release), known, {}, (), NOW)


def test_cells_come_in_the_order_of_their_rings_those_that_start_now_first() -> None:
    planned = plan_of(fleet("2-a", "1-a", "0-b", "0-a", "1-b"))

    assert [cell.ring for cell in planned.cells] == [0, 0, 1, 1, 2]
    starting = [cell for cell in planned.cells if cell.starts_now]
    assert starting == [planned.cells[0]]
    assert starting[0].wait is None
    assert all(cell.wait is not None for cell in planned.cells[1:])
    assert {cell.hops for cell in planned.cells} == {("1.31.2",)}
    assert {cell.difference for cell in planned.cells} == {("server 1.30.1 → 1.31.2",)}
    assert planned.problems == ()
    assert planned.plan_hash


def test_a_cell_that_has_the_release_is_unchanged() -> None:
    known = fleet("0-a", "0-b")
    done = replace(known.cells[0], release=RELEASE.digest, server_version="1.31.2")

    planned = plan_of(replace(known, cells=(done, *known.cells[1:])))

    assert planned.unchanged == ("0-a",)
    assert [cell.cell for cell in planned.cells] == ["0-b"]


def test_what_keeps_a_rollout_from_starting_is_told() -> None:
    freeze = Freeze("christmas", "nobody is here", NOW, NOW + timedelta(days=1))

    planned = plan_of(fleet("0-a", calendar=Calendar(freezes=(freeze,))))

    (cell,) = planned.cells
    assert not cell.starts_now
    assert cell.wait is not None
    assert cell.wait.code is WaitCode.CALENDAR


def test_a_version_that_cannot_be_reached_is_a_problem() -> None:
    planned = plan_of(fleet("0-a"), Release("server-2.0.0", "2.0.0"))

    assert planned.problems
    assert planned.cells[0].hops == ()


def test_a_difference_names_everything_that_changes() -> None:
    present = Software("1.30.1", "6", {"kept": 1, "changed": 1, "dropped": True})
    release = Release(
        "x",
        "1.31.2",
        "7",
        {"kept": 1, "changed": 2, "new": "on"},
        schema_steps=(SchemaStep("main", "1.19"),),
    )

    assert difference(present, release) == (
        "schema main → 1.19",
        "server 1.30.1 → 1.31.2",
        "ingress 6 → 7",
        "changed: 1 → 2",
        "dropped: True → not set",
        "new: not set → on",
    )


def test_what_a_release_does_not_write_does_not_differ() -> None:
    present = Software("1.30.1", "6", {"kept": 1})

    assert difference(present, Release("x", "", "", {"kept": 1})) == ()
    assert difference(present, Release("x", "1.30.1")) == ()


async def test_a_dry_run_begins_nothing_and_names_who_is_in_the_way(
    api: RunningApi, operator: Tenant
) -> None:
    name, other = named(), named()
    async with operator.http() as http:
        await created(http, name)
        await created(http, other, server_version="1.31.1")
        await began(http, other)
        answer = await http.post(f"{ROLLOUTS}:plan", json={"release": name})
        lists = await http.get(f"{ROLLOUTS}/{name}")

    planned = TypeAdapter(DryRun).validate_json(answer.content)
    assert [cell.cell for cell in planned.cells] == [
        "synthetic-c0",
        "aws-us-east-1-c1",
        "aws-us-west-2-c1",
    ]
    assert planned.cells[0].starts_now
    assert other in planned.writing
    assert lists.status_code == 404
    assert name not in api.fleet.rollouts
