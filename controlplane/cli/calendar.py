"""`controlplane calendar`: when cells may be changed."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from controlplane.api.operator_types import CalendarDetails, NewBlocker, NewCalendar
from controlplane.cli.calendar_file import (
    CalendarFile,
    calendar_text,
    differences,
    read_calendar_file,
    read_calendar_text,
)
from controlplane.cli.command import command, example, group
from controlplane.cli.durations import duration_text
from controlplane.cli.editor import edited
from controlplane.cli.failures import NothingToChange, UsageError
from controlplane.cli.operator_api import OperatorApi
from controlplane.cli.options import ApiOptions, UntilOption, YesOption, confirm, read_until
from controlplane.cli.output import (
    OutputFormat,
    OutputOption,
    moment,
    notes,
    print_value,
    results,
    table,
)
from controlplane.cli.reasons import ReasonOptions
from rollout.calendar import EVERYWHERE

app = group("Say when cells may be changed: windows, freezes, incidents.")


class ShowFormat(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


@app.command(epilog=example("controlplane calendar show -o yaml > calendar.yaml"))
@command
async def show(
    *,
    api: ApiOptions,
    output: Annotated[
        ShowFormat,
        typer.Option("--output", "-o", help="For people, for programs, or a file to change."),
    ] = ShowFormat.TABLE,
) -> None:
    """Show change windows, freezes and incidents."""
    async with api.operators() as opened:
        found = await opened.calendar()
    match output:
        case ShowFormat.JSON:
            print_value(found)
        case ShowFormat.YAML:
            typer.echo(calendar_text(found.calendar, found.revision), nl=False)
        case ShowFormat.TABLE:
            _show(found)


@app.command(
    "set",
    epilog=example(
        "controlplane calendar show -o yaml > calendar.yaml",
        "controlplane calendar set -f calendar.yaml --reason 'year-end freeze'",
    ),
)
@command
async def set_calendar(
    file: Annotated[
        Path,
        typer.Option(
            "--file", "-f", help="All windows and freezes; - is standard input.", show_default=False
        ),
    ],
    yes: YesOption = False,
    *,
    why: ReasonOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Replace change windows and freezes by a file's.

    Shows first what changes, and asks. Incidents stay as they are. A file with the revision that
    `show -o yaml` wrote is refused when somebody has changed the calendar since.
    """
    wanted = read_calendar_file(file)
    reason = why.given()
    async with api.operators() as opened:
        now = await opened.calendar()
        await _replace(opened, now, wanted, reason, output, yes=yes)


@app.command()
@command
async def edit(
    *, why: ReasonOptions, api: ApiOptions, output: OutputOption = OutputFormat.TABLE
) -> None:
    """Change windows and freezes in your editor ($EDITOR)."""
    async with api.operators() as opened:
        now = await opened.calendar()
        text = calendar_text(now.calendar, now.revision)
        with edited(text, ".yaml") as changed:
            if changed == text:
                raise NothingToChange("nothing was changed")
            # Whoever typed it has confirmed it.
            await _replace(opened, now, read_calendar_text(changed), why.given(), output, yes=True)


@app.command(
    epilog=example(
        "controlplane calendar block inc-42 --selector region/aws-us-east-1 --reason 'network'"
    )
)
@command
async def block(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What the incident is called.", show_default=False)
    ],
    selector: Annotated[
        str,
        typer.Option(help="Whom it concerns: all, ring/2, provider/aws, region/…, cell/…."),
    ] = EVERYWHERE,
    until: UntilOption = None,
    rollbacks_too: Annotated[
        bool, typer.Option("--rollbacks-too", help="Cells must be left alone altogether.")
    ] = False,
    *,
    why: ReasonOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Let nothing start during an incident, from now on.

    Cells under way finish. What goes back may start, unless --rollbacks-too is given.
    """
    wanted = NewBlocker(
        name=name,
        reason=why.given(),
        until=read_until(until),
        selector=selector,
        blocks_rollback=rollbacks_too,
    )
    async with api.operators() as opened:
        _print(await opened.block(wanted), output)


@app.command()
@command
async def unblock(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The incident that is over.", show_default=False)
    ],
    *,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Take an incident away.

    One that is gone already is fine.
    """
    async with api.operators() as opened:
        _print(await opened.unblock(name), output)


async def _replace(
    api: OperatorApi,
    now: CalendarDetails,
    wanted: CalendarFile,
    reason: str,
    output: OutputFormat,
    *,
    yes: bool,
) -> None:
    changes = differences(now.calendar, wanted)
    if not changes:
        raise NothingToChange("the calendar is as the file says already")
    if output is OutputFormat.TABLE:
        for change in changes:
            results().print(change, markup=False)
    confirm(f"Make {len(changes)} changes to the calendar?", yes)
    revision = now.revision if wanted.revision is None else wanted.revision
    if revision > now.revision:
        raise UsageError(
            f"the file is made from revision {revision}, and the calendar is at {now.revision}: is "
            "it another fleet's?"
        )
    changed = await api.set_calendar(
        NewCalendar(
            windows=wanted.windows, freezes=wanted.freezes, revision=revision, reason=reason
        )
    )
    if output is OutputFormat.JSON:
        print_value(changed)
    else:
        notes().print(f"The calendar is at revision {changed.revision}.", markup=False)


def _print(found: CalendarDetails, output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        print_value(found)
    else:
        _show(found)


def _show(found: CalendarDetails) -> None:
    calendar = found.calendar
    if not (calendar.windows or calendar.freezes or calendar.blockers):
        notes().print("The calendar is empty: cells may be changed at any time.")
        return
    rows = table("KIND", "NAME", "FOR", "WHEN", "REASON")
    for blocker in calendar.blockers:
        kind = "incident, no rollbacks" if blocker.blocks_rollback else "incident"
        reason = f"{blocker.reason} (by {blocker.by})"
        when = _between(blocker.since, blocker.until)
        rows.add_row(kind, blocker.name, blocker.selector, when, reason)
    for freeze in calendar.freezes:
        when = _between(freeze.since, freeze.until)
        rows.add_row("freeze", freeze.name, freeze.selector, when, freeze.reason)
    for window in calendar.windows:
        when = (
            f"{window.rrule} at {window.dtstart:%H:%M} {window.time_zone}, "
            f"for {duration_text(window.duration)}"
        )
        kind = "window" if window.allow else "recurring freeze"
        rows.add_row(kind, window.name, window.selector, when, "")
    results().print(rows)
    if found.changed_at is not None:
        notes().print(
            f"Revision {found.revision}, by {found.changed_by} at {moment(found.changed_at)}: "
            f"{found.reason}",
            markup=False,
        )


def _between(since: datetime, until: datetime | None) -> str:
    return f"from {moment(since)} " + ("on" if until is None else f"to {moment(until)}")
