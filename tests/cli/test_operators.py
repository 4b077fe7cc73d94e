"""Cells, the disruption ledger and the calendar, by command."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from cells.ledger.types import LeaseView, LedgerView, Purpose
from cells.types import DRIFTED, CellCondition, CellView, Cordon
from cells.visits.types import Visit, VisitPhase
from controlplane.resource import Condition, ConditionStatus
from controlplane.store.ledger import LedgerProjections
from controlplane.store.projections import Projections
from tests.api.running import RunningApi, Tenant
from tests.cli.command import Cli
from tests.store.views import CELL, NOW

BECAUSE = ("--reason", "the disk is slow")
CALENDAR = """\
windows:
  - name: nights
    rrule: FREQ=WEEKLY;BYDAY=MO,TU
    dtstart: 2026-01-05T22:00
    duration: 8h
    time_zone: Europe/Berlin
    selector: ring/2
freezes:
  - name: year-end
    reason: holidays
    since: 2026-12-20T00:00:00Z
    until: 2027-01-04T00:00:00Z
"""


@pytest.fixture
async def cell(api: RunningApi) -> AsyncIterator[CellView]:
    """A cell that is as it was when the test is over."""
    before = api.fleet.cells[CELL]
    yield before
    now = api.fleet.cells[CELL]
    api.fleet.cells[CELL] = replace(before, revision=now.revision + 1)
    await Projections(api.pool).publish_cell(api.fleet.cells[CELL])


@pytest.fixture
async def calendar(cli: Cli, tmp_path: Path) -> Path:
    """The file of a calendar, and the fleet's is empty."""
    file = tmp_path / "calendar.yaml"
    file.write_text("{}")
    await cli.run("calendar", "unblock", "inc-42")
    emptied = await cli.run("calendar", "set", "-f", file, "--yes", "--reason", "a new test")
    assert emptied.exit_code == 0, emptied.stderr
    file.write_text(CALENDAR)
    return file


async def test_cells_are_listed_with_what_they_run_and_how_they_are(cli: Cli) -> None:
    listed = await cli.run("cell", "list")
    plain = json.loads((await cli.run("cell", "list", "-o", "json")).stdout)

    [row] = [line for line in listed.stdout.splitlines() if line.startswith(CELL)]
    assert row.split() == [CELL, "aws-us-east-1", "1", "1.30.1", "-", "1", "ready"]
    assert CELL in [each["id"] for each in plain]


@pytest.mark.usefixtures("cell")
async def test_a_cell_is_cordoned_and_uncordoned_with_a_reason(cli: Cli, tenant: Tenant) -> None:
    cordoned = await cli.run("cell", "cordon", CELL, *BECAUSE)
    shown = await cli.run("cell", "show", CELL)
    uncordoned = await cli.run("cell", "uncordon", CELL, *BECAUSE, "-o", "json")

    assert cordoned.exit_code == 0, cordoned.stderr
    assert "cordoned: the disk is slow" in shown.stdout
    assert f"by {tenant.owner.email} since" in shown.stdout
    assert json.loads(uncordoned.stdout)["cordon"] is None


async def test_a_quarantine_is_lifted(cli: Cli, api: RunningApi, cell: CellView) -> None:
    broken = replace(
        cell, revision=cell.revision + 1, quarantine=Cordon("visit v1 left it broken", "v1", NOW)
    )
    api.fleet.cells[CELL] = broken
    await Projections(api.pool).publish_cell(broken)

    shown = await cli.run("cell", "show", CELL)
    lifted = await cli.run("cell", "lift-quarantine", CELL, "--reason", "looked at it")

    assert "quarantined: visit v1 left it broken" in shown.stdout
    assert lifted.exit_code == 0, lifted.stderr
    assert "quarantined" not in lifted.stdout.lower()


async def test_a_cell_is_freed_from_a_dead_visit(cli: Cli, api: RunningApi, cell: CellView) -> None:
    visit = Visit("v1", "r-1.31", "rollout/r1", VisitPhase.SERVER, "to 1.31.2", NOW)
    visited = replace(cell, revision=cell.revision + 1, visit=visit)
    api.fleet.cells[CELL] = visited
    await Projections(api.pool).publish_cell(visited)

    shown = await cli.run("cell", "show", CELL)
    freed = await cli.run("cell", "release-visit", CELL, "--reason", "it was terminated")

    assert "visited: server" in shown.stdout
    assert freed.exit_code == 0, freed.stderr
    assert "quarantined: released by" in freed.stdout


@pytest.mark.parametrize(
    ("reason", "status", "told"),
    [
        (DRIFTED, ConditionStatus.FALSE, "drifted: it runs server 1.30.9"),
        ("EntitySilent", ConditionStatus.UNKNOWN, "unknown: it runs server 1.30.9"),
    ],
    ids=["drifted", "silent"],
)
async def test_what_is_known_of_a_cell_is_told_as_its_state(
    cli: Cli, api: RunningApi, cell: CellView, reason: str, status: ConditionStatus, told: str
) -> None:
    ready = Condition(CellCondition.READY, status, reason, 1, NOW, "it runs server 1.30.9")
    changed = replace(cell, revision=cell.revision + 1, conditions={CellCondition.READY: ready})
    api.fleet.cells[CELL] = changed
    await Projections(api.pool).publish_cell(changed)

    assert told in (await cli.run("cell", "show", CELL)).stdout


async def test_what_is_no_cell_is_named(cli: Cli) -> None:
    shown = await cli.run("cell", "show", "nowhere-c1")
    cordoned = await cli.run("cell", "cordon", "nowhere-c1")

    assert (shown.exit_code, cordoned.exit_code) == (1, 2)
    assert "cell 'nowhere-c1' not found" in shown.stderr
    assert "give --reason" in cordoned.stderr


async def lease(api: RunningApi, revision: int, *holders: str) -> None:
    """Let these have a lease of the cell, or nobody."""
    leases = tuple(LeaseView(CELL, holder, Purpose.DRILL, NOW, 1, 3) for holder in holders)
    await LedgerProjections(api.pool).publish_ledger(LedgerView(revision, leases))
    api.fleet.holders = dict.fromkeys([CELL], holders[0]) if holders else {}


async def test_the_lease_of_a_dead_holder_is_taken(cli: Cli, api: RunningApi) -> None:
    await lease(api, 100, "drill/7")

    listed = await cli.run("ledger", "list")
    unsure = await cli.run("ledger", "fence", CELL, "--reason", "the drill is dead")
    taken = await cli.run("ledger", "fence", CELL, "--reason", "the drill is dead", "--yes")

    [row] = [line for line in listed.stdout.splitlines() if line.startswith(CELL)]
    assert row.split()[1:3] == ["drill/7", "drill"]
    assert unsure.exit_code == 2
    assert f"Take the lease of {CELL} from drill/7, who can do no more to it?" in unsure.stderr
    assert taken.exit_code == 0, taken.stderr
    assert not api.fleet.holders


async def test_a_lease_that_went_to_another_meanwhile_is_left_alone(
    cli: Cli, api: RunningApi
) -> None:
    await lease(api, 200, "drill/8")
    options = ("--reason", "the drill is dead", "--yes")

    other = await cli.run("ledger", "fence", CELL, "--holder", "drill/7", *options)
    nobody = await cli.run("ledger", "fence", "synthetic-c0", *options)

    assert (other.exit_code, nobody.exit_code) == (1, 1)
    assert f"drill/7 has no lease of {CELL}" in other.stderr
    assert "nobody has a lease of synthetic-c0" in nobody.stderr
    assert api.fleet.holders == {CELL: "drill/8"}


async def test_a_calendar_is_set_from_a_file_showing_what_changes(cli: Cli, calendar: Path) -> None:
    unsure = await cli.run("calendar", "set", "-f", calendar, "--reason", "year end")
    done = await cli.run("calendar", "set", "-f", calendar, "--reason", "year end", "--yes")
    again = await cli.run("calendar", "set", "-f", calendar, "--reason", "year end", "--yes")
    shown = await cli.run("calendar", "show")

    assert unsure.exit_code == 2
    assert unsure.stdout.splitlines() == ["+ change window nights", "+ freeze year-end"]
    assert done.exit_code == 0, done.stderr
    assert again.exit_code == 0
    assert "The calendar is as the file says already" in again.stderr
    assert "FREQ=WEEKLY;BYDAY=MO,TU at 22:00 Europe/Berlin, for 8h" in shown.stdout
    assert "holidays" in shown.stdout


async def test_a_shown_calendar_is_a_file_to_change_and_set(
    cli: Cli, calendar: Path, tmp_path: Path
) -> None:
    def file(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    reason = ("--reason", "year end", "--yes")
    await cli.run("calendar", "set", "-f", calendar, *reason)
    text = (await cli.run("calendar", "show", "-o", "yaml")).stdout
    new = file("new", text.replace("holidays", "no changes").replace("8h", "6h30m"))

    changed = await cli.run("calendar", "set", "-f", new, *reason)
    again = await cli.run("calendar", "set", "-f", new, *reason)
    stale = await cli.run("calendar", "set", "-f", file("old", text), *reason)

    assert changed.stdout.splitlines() == ["~ change window nights", "~ freeze year-end"]
    assert "as the file says already" in again.stderr
    assert stale.exit_code == 1
    assert "read it again, and change that" in stale.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("freeze: []", "freeze means nothing. Did you mean freezes?"),
        ("windows: [{name: a}]", "windows[0].rrule is missing"),
        (CALENDAR.replace("8h", "eight hours"), "windows[0].duration: 'eight hours' is no length"),
        (CALENDAR.replace("ring/2", "ring 2"), "change window 'nights': selector 'ring 2' is none"),
        (CALENDAR.replace("Europe/Berlin", "Atlantis"), "change window 'nights': "),
        (CALENDAR.replace("FREQ=WEEKLY", "FREQ=SOMETIMES"), "change window 'nights': "),
        (CALENDAR.replace("2027-01-04", "2025-01-04"), "freeze 'year-end': until 2025-01-04"),
        ("a: 1\n---\nb: 2", "this is a list"),
    ],
)
async def test_a_calendar_that_cannot_be_is_named_before_anything_is_asked(
    cli: Cli, tmp_path: Path, text: str, says: str
) -> None:
    file = tmp_path / "calendar.yaml"
    file.write_text(text)

    refused = await cli.run("calendar", "set", "-f", file, "--reason", "x", "--yes")

    assert refused.exit_code == 2
    assert f"{file}: {says}" in refused.stderr


@pytest.mark.usefixtures("calendar")
async def test_an_incident_blocks_until_it_is_over(cli: Cli, tenant: Tenant) -> None:
    block = ("calendar", "block", "inc-42", "--selector", "region/aws-us-east-1", *BECAUSE)

    blocked = await cli.run(*block, "--rollbacks-too")
    again = await cli.run(*block, "--rollbacks-too")
    other = await cli.run(*block)
    over = await cli.run("calendar", "unblock", "inc-42")
    gone = await cli.run("calendar", "unblock", "inc-42")

    assert f"the disk is slow (by {tenant.owner.email})" in blocked.stdout
    assert "incident, no rollbacks" in blocked.stdout
    assert again.exit_code == 0, again.stderr
    assert other.exit_code == 1
    assert "incident 'inc-42' already blocks" in other.stderr
    assert (over.exit_code, gone.exit_code) == (0, 0)
    assert "cells may be changed at any time" in gone.stderr


@pytest.mark.usefixtures("calendar")
async def test_an_incident_s_end_is_said_as_how_long(cli: Cli) -> None:
    blocked = await cli.run("calendar", "block", "inc-42", "--until", "2h", *BECAUSE, "-o", "json")

    [incident] = json.loads(blocked.stdout)["calendar"]["blockers"]
    assert incident["until"] > incident["since"]


async def test_a_calendar_is_edited_in_the_editor_of_one_s_choice(
    cli: Cli, calendar: Path, tmp_path: Path
) -> None:
    editor = tmp_path / "editor"
    editor.write_text(f'#!/bin/sh\ncp "{calendar}" "$1"\n')
    editor.chmod(0o700)
    mine = Cli({**cli.env, "EDITOR": str(editor), "VISUAL": ""})
    nothing = Cli({**cli.env, "EDITOR": "true", "VISUAL": ""})
    absent = Cli({**cli.env, "EDITOR": "/no/editor", "VISUAL": ""})

    edited = await mine.run("calendar", "edit", "--reason", "year end")
    untouched = await nothing.run("calendar", "edit", "--reason", "year end")
    failed = await absent.run("calendar", "edit", "--reason", "year end")

    assert edited.exit_code == 0, edited.stderr
    assert edited.stdout.splitlines() == ["+ change window nights", "+ freeze year-end"]
    assert untouched.exit_code == 0
    assert "Nothing was changed" in untouched.stderr
    assert failed.exit_code == 1
    assert "Set EDITOR" in failed.stderr


async def test_what_was_edited_and_cannot_be_is_kept(cli: Cli, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\necho "freezes: soon" > "$1"\n')
    editor.chmod(0o700)
    mine = Cli({**cli.env, "EDITOR": str(editor), "VISUAL": ""})

    refused = await mine.run("calendar", "edit", "--reason", "year end")

    assert refused.exit_code == 2
    assert "freezes is 'soon': it should be a list" in refused.stderr
    assert taken(Path(refused.stderr.strip().split()[-1])) == "freezes: soon\n"


def taken(file: Path) -> str:
    """Return what a file holds, and remove it."""
    text = file.read_text()
    file.unlink()
    return text
