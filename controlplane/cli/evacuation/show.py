"""`controlplane evacuation list`, `get` and `watch`: what is emptied, how far, what came of it."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.text import Text

from controlplane.cli.command import command, group
from controlplane.cli.completion import complete_cell
from controlplane.cli.evacuation.options import EvacuationArgument, found_evacuation
from controlplane.cli.evacuation.watch import follow_evacuation
from controlplane.cli.evacuation.words import (
    counts_line,
    doing,
    eta_line,
    how_it_is,
    needs_a_person,
)
from controlplane.cli.evacuation_api import EvacuationApi
from controlplane.cli.options import ApiOptions
from controlplane.cli.output import (
    OutputFormat,
    OutputOption,
    moment,
    notes,
    print_facts,
    print_value,
    results,
    seconds,
    table,
)
from provisioning.evacuation.types import Durations, EvacuationView, Status

app = group()

_STYLES = {
    Status.MOVING: "cyan",
    Status.MOVED: "green",
    Status.RETURNING: "cyan",
    Status.RETURNED: "green",
    Status.LEFT: "yellow",
}


@app.command("list")
@command
async def list_evacuations(
    cell: Annotated[
        str,
        typer.Option(help="Of this cell.", show_default="all", autocompletion=complete_cell),
    ] = "",
    *,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """List the latest evacuations, drains and drills, newest first."""
    async with api.operators() as opened:
        found = await EvacuationApi(opened.http).evacuations(cell)
    if output is OutputFormat.JSON:
        print_value(found)
        return
    if not found:
        notes().print("No cell was ever emptied.")
        return
    rows = table("EVACUATION", "CELL", "WHAT", "STATE", "BEGAN", "NAMESPACES", "BY")
    for each in found:
        rows.add_row(
            each.id,
            each.cell,
            each.kind,
            str(each.outcome or each.phase),
            moment(each.started_at) if each.started_at else "-",
            counts_line(each.counts),
            each.actor,
        )
    results().print(rows)


@app.command()
@command
async def get(
    evacuation: EvacuationArgument,
    *,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show an evacuation, namespace by namespace: what moved, what stays and why."""
    async with api.operators() as opened:
        found = await found_evacuation(EvacuationApi(opened.http), evacuation)
    if output is OutputFormat.JSON:
        print_value(found)
    else:
        show(found)


@app.command()
@command
async def watch(
    evacuation: EvacuationArgument,
    *,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Follow an evacuation until it has ended; exit 1 unless everything was moved.

    On a terminal the whole is redrawn in place; elsewhere there is a line for each thing that
    happens; as JSON, a line for each change of the whole.
    """
    async with api.operators() as opened:
        evacuations = EvacuationApi(opened.http)
        found = await found_evacuation(evacuations, evacuation)
        await follow_evacuation(evacuations, found.id, output)


def show(view: EvacuationView) -> None:
    """Print what there is to know of an evacuation."""
    print_facts(
        (what, value)
        for what, value in (
            ("Evacuation", view.id),
            ("Cell", f"{view.cell}{' (cordoned by this)' if view.cordoned else ''}"),
            ("What", f"{view.kind}, by {view.actor}: {view.reason}"),
            ("State", ": ".join(part for part in (how_it_is(view), view.message) if part)),
            ("Namespaces", counts_line(view.counts) or "none"),
            ("Left", eta_line(view, datetime.now(UTC))),
            ("Waits for", needs_a_person(view)),
            ("Verdict", view.report.verdict),
            ("Away", _durations(view.report.away)),
            ("Back", _durations(view.report.back)),
        )
        if value
    )
    if not view.namespaces:
        return
    waits = {wait.namespace: wait.message for wait in view.waits}
    rows = table("NAMESPACE", "TIER", "STATE", "WHAT")
    for name, progress in view.namespaces.items():
        state = Text(progress.status, _STYLES.get(progress.status, ""))
        rows.add_row(name, progress.tier, state, doing(progress) or waits.get(name, ""))
    results().print()
    results().print(rows)


def _durations(took: Durations | None) -> str:
    if took is None:
        return ""
    return (
        f"{took.count} failovers: half within {seconds(took.p50)}, nine of ten within "
        f"{seconds(took.p90)}, the longest {seconds(took.longest)}"
    )
