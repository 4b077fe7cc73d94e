"""`controlplane rollout list`, `status`, `explain` and `events`."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated

import typer

from controlplane.api.rollout_types import CellExplanation, RecordedEvent, RolloutSummary
from controlplane.cli.command import command, example, group
from controlplane.cli.fleet_http import ApiUnavailable
from controlplane.cli.options import ApiOptions, CellArgument
from controlplane.cli.output import (
    OutputFormat,
    OutputOption,
    moment,
    notes,
    print_facts,
    print_value,
    results,
    table,
)
from controlplane.cli.rollout.gauges import bake_line
from controlplane.cli.rollout.options import RolloutArgument, latest_rollout
from controlplane.cli.rollout.screen import Look, Screen
from controlplane.cli.rollout.words import event_line
from controlplane.cli.rollout_api import RolloutApi
from rollout.types import CellStatus, Phase

LOOK_EVERY_SECONDS = 1.0

app = group()


@app.command("list")
@command
async def list_rollouts(*, api: ApiOptions, output: OutputOption = OutputFormat.TABLE) -> None:
    """List rollouts, newest first."""
    async with api.rollouts() as opened:
        rollouts = await opened.rollouts()
    if output is OutputFormat.JSON:
        print_value(rollouts)
        return
    if not rollouts:
        notes().print("There are no rollouts. Begin one with: controlplane rollout start RELEASE")
        return
    rows = table("ROLLOUT", "SERVER", "STATE", "RING", "DONE", "STARTED", "BY", "REASON")
    for each in rollouts:
        rows.add_row(
            each.id,
            each.server_version,
            _state(each),
            "-" if each.ring is None else str(each.ring),
            f"{each.cells.get(CellStatus.DONE, 0)} of {sum(each.cells.values())}",
            "-" if each.started_at is None else moment(each.started_at),
            each.actor,
            each.reason,
        )
    results().print(rows)


@app.command()
@command
async def status(
    rollout: RolloutArgument = None,
    *,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show a rollout: the one that runs, or the last one.

    Rings and cells, what is left of budgets, bakes, what it waits for and until when.
    """
    async with api.rollouts() as opened:
        named = await latest_rollout(opened, rollout)
        found = await opened.rollout(named)
        cells = await opened.cells()
    if output is OutputFormat.JSON:
        print_value(found)
    else:
        results().print(Screen(Look.at(found, cells), datetime.now(UTC)))


@app.command(epilog=example("controlplane rollout explain aws-us-east-1-c3"))
@command
async def explain(
    cell: CellArgument,
    rollout: RolloutArgument = None,
    *,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Say why a cell does not have the release yet.

    What it waits for and until when, and what was decided about it so far.
    """
    async with api.rollouts() as opened:
        found = await opened.explain(await latest_rollout(opened, rollout), cell)
    if output is OutputFormat.JSON:
        print_value(found)
    else:
        _show_explanation(found)


@app.command(epilog=example("controlplane rollout events --follow"))
@command
async def events(
    rollout: RolloutArgument = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on as they happen, until it ends.")
    ] = False,
    *,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Print what was decided in a rollout.

    Oldest first, as the audit log has it. With --follow, JSON is a line for each event.
    """
    async with api.rollouts() as opened:
        named = await latest_rollout(opened, rollout)
        if follow:
            await _follow(opened, named, output)
            return
        found = await opened.all_events(named)
    if output is OutputFormat.JSON:
        print_value(found)
        return
    if not found:
        notes().print(f"Nothing was decided in rollout {named} yet.", markup=False)
    _print_events(found)


async def _follow(api: RolloutApi, rollout: str, output: OutputFormat) -> None:
    from pydantic_core import to_json

    token = ""
    ended = False
    while True:
        with suppress(ApiUnavailable):
            # Asked for before the events: one that has ended decides nothing more.
            ended = (await api.rollout(rollout)).phase is Phase.ENDED
            more = True
            while more:
                page = await api.events(rollout, token)
                token, more = page.next_page_token or token, page.more
                if output is OutputFormat.TABLE:
                    _print_events(page.events)
                for each in page.events if output is OutputFormat.JSON else ():
                    typer.echo(to_json(each))
            if ended:
                return
        await asyncio.sleep(LOOK_EVERY_SECONDS)


def _print_events(found: Sequence[RecordedEvent]) -> None:
    for each in found:
        results().print(event_line(each.event), markup=False)


def _show_explanation(found: CellExplanation) -> None:
    out = results()
    for sentence in found.words:
        out.print(sentence, markup=False)
    out.print()
    facts = [
        ("Cell", found.cell),
        ("Rollout", found.rollout),
        ("Status", _status(found)),
        ("Ring", f"{found.ring}, batch {found.batch}" if found.in_batch else str(found.ring)),
    ]
    if found.budget:
        facts.append(("Budget", found.budget))
    if found.hold is not None:
        until = "" if found.hold.until is None else f" until {moment(found.hold.until)}"
        facts.append(("Held", f"by {found.hold.actor}{until}: {found.hold.reason}"))
    if found.approvals:
        facts.append(("Approved", "by " + ", ".join(each.actor for each in found.approvals)))
    if found.calendar:
        facts.append(("Calendar", found.calendar))
    print_facts(facts)
    if found.bake is not None:
        out.print(bake_line(found.bake))
    if found.waits:
        rows = table("WAITS FOR", "UNTIL", "BECAUSE")
        for wait in found.waits:
            until = "" if wait.until is None else moment(wait.until)
            rows.add_row(wait.code, until, wait.message)
        out.print()
        out.print(rows)
    if found.history:
        out.print()
        for event in found.history:
            out.print(event_line(event), markup=False)


def _status(found: CellExplanation) -> str:
    progress = found.progress
    since = "" if progress.since is None else f" since {moment(progress.since)}"
    said = f": {progress.message}" if progress.message else ""
    return f"{found.status}{since}{said}"


def _state(rollout: RolloutSummary) -> str:
    if rollout.outcome is not None:
        return str(rollout.outcome)
    if rollout.blocked:
        return f"{rollout.phase}, blocked"
    return f"{rollout.phase}, paused" if rollout.paused_by else str(rollout.phase)
