"""`controlplane cell`: the cells of the fleet, and who may come near them."""

from collections.abc import Iterator, Mapping

from rich.text import Text

from cells.silence import SILENT
from cells.types import DRIFTED, CellCondition, CellView
from controlplane.cli.command import command, example, group
from controlplane.cli.evacuation import start as emptying
from controlplane.cli.evacuation_api import EvacuationApi
from controlplane.cli.life import controls, create
from controlplane.cli.life import show as life
from controlplane.cli.options import ApiOptions, CellArgument
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
from controlplane.cli.reasons import ReasonOptions
from controlplane.resource import ConditionStatus

app = group(
    "Look at cells, build them, empty them, take them down, and keep others away from them."
)
for part in (emptying, create, life, controls):
    app.add_typer(part.app)


@app.command("list")
@command
async def list_cells(*, api: ApiOptions, output: OutputOption = OutputFormat.TABLE) -> None:
    """List the cells: where they are, what they run, how they are."""
    async with api.operators() as opened:
        cells = await opened.cells()
    if output is OutputFormat.JSON:
        print_value(cells)
        return
    if not cells:
        notes().print("There are no cells.")
        return
    rows = table("CELL", "REGION", "RING", "SERVER", "RELEASE", "NAMESPACES", "STATE")
    for cell in cells:
        rows.add_row(
            cell.id,
            cell.spec.region,
            str(cell.spec.ring),
            cell.server_version or "-",
            cell.release[:12] or "-",
            str(cell.namespaces),
            _state(cell),
        )
    results().print(rows)


@app.command()
@command
async def show(
    cell: CellArgument, *, api: ApiOptions, output: OutputOption = OutputFormat.TABLE
) -> None:
    """Show one cell: software, visit, conditions, cordons."""
    async with api.operators() as opened:
        found = await opened.cell(cell)
    _show(found, output)


@app.command()
@command
async def links(
    cell: CellArgument, *, api: ApiOptions, output: OutputOption = OutputFormat.TABLE
) -> None:
    """Show how well a cell keeps up with those that it replicates from, and they with it."""
    async with api.operators() as opened:
        found = await EvacuationApi(opened.http).links(cell)
    if output is OutputFormat.JSON:
        print_value(found)
        return
    if not found:
        notes().print(f"{cell} replicates with no other cell.", markup=False)
        return
    rows = table("CELL", "PULLS FROM", "BEHIND", "LOOKED AT", "PROBLEMS")
    for link in found:
        behind = "not known" if link.lag is None else seconds(link.lag)
        rows.add_row(link.cell, link.peer, behind, moment(link.at), "; ".join(link.problems))
    results().print(rows)


@app.command(epilog=example("controlplane cell cordon aws-us-east-1-c3 --reason 'disk is slow'"))
@command
async def cordon(
    cell: CellArgument,
    *,
    why: ReasonOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Place no new namespaces in a cell.

    Those that live there stay.
    """
    reason = why.given()
    async with api.operators() as opened:
        found = await opened.cordon(cell, reason)
    _show(found, output)


@app.command()
@command
async def uncordon(
    cell: CellArgument,
    *,
    why: ReasonOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Place namespaces in a cell again."""
    reason = why.given()
    async with api.operators() as opened:
        found = await opened.uncordon(cell, reason)
    _show(found, output)


@app.command("lift-quarantine")
@command
async def lift_quarantine(
    cell: CellArgument,
    *,
    why: ReasonOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Let automation near a cell again that was left broken.

    Look at the cell before.
    """
    reason = why.given()
    async with api.operators() as opened:
        found = await opened.lift_quarantine(cell, reason)
    _show(found, output)


@app.command(
    "release-visit",
    epilog=example(
        "controlplane cell release-visit aws-us-east-1-c3 --reason 'its visit was terminated'"
    ),
)
@command
async def release_visit(
    cell: CellArgument,
    *,
    why: ReasonOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Free a cell from a visit that died.

    Refused while its workflow runs. What asked for the visit is told. A cell that the visit may
    have changed is quarantined: look at it, then lift-quarantine.
    """
    reason = why.given()
    async with api.operators() as opened:
        found = await opened.release_visit(cell, reason)
    _show(found, output)


def _show(cell: CellView, output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        print_value(cell)
        return
    print_facts(_facts(cell))
    if cell.conditions:
        rows = table("CONDITION", "STATUS", "SINCE", "REASON", "MESSAGE")
        for each in cell.conditions.values():
            rows.add_row(
                each.type,
                each.status,
                moment(each.last_transition_time),
                each.reason,
                each.message,
            )
        results().print()
        results().print(rows)


def _facts(cell: CellView) -> Iterator[tuple[str, str]]:
    spec = cell.spec
    yield "Cell", cell.id
    yield "Region", f"{spec.region} ({spec.provider})"
    yield "Ring", str(spec.ring)
    yield "State", _state(cell).plain
    yield "Server", cell.server_version or "does not say"
    if cell.software is not None:
        changed = cell.software.configuration
        yield "Software", f"server {cell.software.server_version}{_told(changed)}"
    yield "Release", cell.release or "none's, or unknown"
    yield "Namespaces", f"{cell.namespaces} of {spec.capacity.namespaces}"
    yield "Generation", str(cell.generation)
    if cell.said_at is not None:
        yield "Last heard", moment(cell.said_at)
    if cell.visit is not None:
        visit = cell.visit
        said = f": {visit.message}" if visit.message else ""
        yield (
            "Visit",
            f"{visit.phase} since {moment(visit.since)}, for {visit.release} by {visit.by}{said}",
        )
    for what, kept in (("Cordoned", cell.cordon), ("Quarantined", cell.quarantine)):
        if kept is not None:
            yield what, f"by {kept.by} since {moment(kept.since)}: {kept.reason}"


def _state(cell: CellView) -> Text:
    ready = cell.conditions.get(CellCondition.READY)
    if cell.quarantine is not None:
        return Text(f"quarantined: {cell.quarantine.reason}", "bold red")
    if cell.visit is not None:
        return Text(f"visited: {cell.visit.phase}", "cyan")
    if ready is not None and ready.reason == DRIFTED:
        return Text(f"drifted: {ready.message}", "bold yellow")
    if ready is not None and ready.reason == SILENT:
        return Text(f"unknown: {ready.message}", "bold red")
    if ready is None or ready.status is not ConditionStatus.TRUE:
        return Text(f"not ready: {ready.message if ready else 'not looked at yet'}", "bold red")
    if cell.cordon is not None:
        return Text(f"cordoned: {cell.cordon.reason}", "yellow")
    return Text("ready", "green")


def _told(configuration: Mapping[str, object]) -> str:
    return "".join(f", {key}={value}" for key, value in sorted(configuration.items()))
