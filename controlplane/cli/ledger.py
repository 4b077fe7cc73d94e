"""`controlplane ledger`: who disturbs which cell now, and what to do when that will never end."""

from typing import Annotated

import typer

from cells.ledger.types import LeaseView
from controlplane.api.operator_types import Fencing
from controlplane.cli.command import command, example, group
from controlplane.cli.failures import CommandFailed
from controlplane.cli.operator_api import OperatorApi
from controlplane.cli.options import ApiOptions, CellArgument, YesOption, confirm
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

app = group("Look at the disruption ledger: who disturbs which cell now.")


@app.command("list")
@command
async def list_leases(
    fenced: Annotated[
        bool, typer.Option("--fenced", help="List what operators took away instead.")
    ] = False,
    *,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """List the cells that are disturbed now, and by whom."""
    async with api.operators() as opened:
        ledger = await opened.ledger()
    if output is OutputFormat.JSON:
        print_value(ledger)
        return
    if fenced:
        rows = table("AT", "CELL", "HOLDER", "HELD SINCE", "BY", "REASON")
        for each in ledger.fenced:
            held = moment(each.held_since)
            rows.add_row(moment(each.at), each.cell, each.holder, held, each.by, each.reason)
        results().print(rows)
        return
    if not ledger.leases:
        notes().print("No cell is disturbed.")
        return
    rows = table("CELL", "HOLDER", "FOR", "SINCE", "REPLICATED NAMESPACES")
    for lease in ledger.leases:
        rows.add_row(
            lease.cell, lease.holder, lease.purpose, moment(lease.since), str(lease.namespaces)
        )
    results().print(rows)


@app.command(epilog=example("controlplane ledger fence aws-us-east-1-c3 --reason 'drill is dead'"))
@command
async def fence(
    cell: CellArgument,
    holder: Annotated[
        str | None,
        typer.Option(
            help="Whose lease it is, as `ledger list` shows it.", show_default="who has it"
        ),
    ] = None,
    yes: YesOption = False,
    *,
    why: ReasonOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Take the lease of a cell from a holder that is dead.

    You vouch that it can do no more to the cell. Make sure of that before: whoever gets the cell
    next would work on it at the same time.
    """
    reason = why.given()
    async with api.operators() as opened:
        held_by = holder or (await _lease(opened, cell)).holder
        confirm(f"Take the lease of {cell} from {held_by}, who can do no more to it?", yes)
        taken = await opened.fence(cell, Fencing(holder=held_by, reason=reason))
    if output is OutputFormat.JSON:
        print_value(taken)
    else:
        results().print(f"{taken.holder} has no lease of {taken.cell} any more", markup=False)


async def _lease(api: OperatorApi, cell: str) -> LeaseView:
    leases = {lease.cell: lease for lease in (await api.ledger()).leases}
    if cell not in leases:
        raise CommandFailed(
            f"nobody has a lease of {cell}; `controlplane ledger list` shows those there are"
        )
    return leases[cell]
