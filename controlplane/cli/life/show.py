"""`controlplane cell life` and `lives`: how far cells in clouds are, and what stands in the way."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.text import Text

from cells.life.types import LifeView, Phase
from controlplane.cli.command import command, group
from controlplane.cli.life.options import LifeArgument
from controlplane.cli.life.watch import follow_life, goal_of
from controlplane.cli.life.words import layer_said, layer_state, layer_title, layer_took, what_next
from controlplane.cli.life_api import LifeApi
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

app = group()

_STYLES = {Phase.READY: "green", Phase.FAILED: "bold red", Phase.WAITING: "yellow"}


@app.command()
@command
async def life(
    cell: LifeArgument,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Stay with it until it rests.")
    ] = False,
    *,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show how far a cell in a cloud is, layer by layer, and what to do next."""
    async with api.operators() as opened:
        lives = LifeApi(opened.http)
        found = await lives.life(cell)
        if watch:
            await follow_life(lives, cell, goal_of(found), output)
        elif output is OutputFormat.JSON:
            print_value(found)
        else:
            _show(found)


@app.command()
@command
async def lives(
    everything: Annotated[bool, typer.Option("--all", help="Those that are gone as well.")] = False,
    *,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """List the cells that were built in clouds, and those being built or taken down."""
    async with api.operators() as opened:
        found = await LifeApi(opened.http).lives(gone=everything)
    if output is OutputFormat.JSON:
        print_value(found)
        return
    if not found:
        rest = "" if everything else " `controlplane cell lives --all` shows those that are gone."
        notes().print(f"No cell is in a cloud.{rest}", markup=False)
        return
    rows = table("CELL", "REGION", "RING", "STATE", "SINCE", "ACCOUNT", "WHAT")
    for each in found:
        rows.add_row(
            each.blueprint.cell,
            each.blueprint.region,
            str(each.blueprint.ring),
            _phase(each.phase),
            moment(each.changed_at),
            each.account.id if each.account else "-",
            each.message,
        )
    results().print(rows)


def _show(view: LifeView) -> None:
    print_facts(_facts(view))
    if not view.layers:
        return
    now, rows = datetime.now(UTC), table("", "LAYER", "WHAT", "TOOK", "TIMES", "SAID")
    for record in view.layers:
        rows.add_row(
            layer_state(view, record),
            record.layer,
            layer_title(view, record),
            seconds(layer_took(record, now)),
            str(record.attempts),
            Text(layer_said(view, record)),
        )
    results().print()
    results().print(rows)


def _facts(view: LifeView) -> Iterator[tuple[str, str]]:
    blueprint = view.blueprint
    yield "Cell", f"{blueprint.cell} ({blueprint.uid})"
    yield "Region", blueprint.region
    yield "State", f"{view.phase}: {view.message}"
    yield "Asked for by", view.requested_by
    yield "Server", blueprint.server_version
    yield "Network", blueprint.network
    if view.account is not None:
        yield "Account", view.account.id
    if view.foundation is not None:
        yield "Cluster", f"{view.foundation.cluster.name} ({view.foundation.cluster.endpoint})"
        yield "Database", view.foundation.database
    if view.leftovers:
        yield "Left over", ", ".join(view.leftovers)
    if view.retry_at is not None:
        yield "Next look", moment(view.retry_at)
    if next_steps := what_next(view):
        yield "Next", next_steps


def _phase(phase: Phase) -> Text:
    return Text(phase, _STYLES.get(phase, "cyan"))
