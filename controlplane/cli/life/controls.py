"""`controlplane cell retry`, `abandon`, `decommission` and `keep`."""

from typing import Annotated

import typer

from cells.life.types import LifeView, Phase
from controlplane.api.life_types import Decommission, LifeRequest
from controlplane.cli.command import command, example, group
from controlplane.cli.life.options import LifeArgument, LifeOptions, readable_request
from controlplane.cli.life.watch import follow_life, goal_of
from controlplane.cli.life.words import deleted_with
from controlplane.cli.life_api import LifeApi
from controlplane.cli.options import ApiOptions, YesOption, confirm
from controlplane.cli.output import OutputFormat, OutputOption, notes, print_value

app = group()


@app.command()
@command
async def retry(
    cell: LifeArgument,
    *,
    wanted: LifeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Go on with a cell from the layer that failed.

    Of one that waits, have what it waits for looked at now.
    """
    async with api.operators() as opened:
        lives = LifeApi(opened.http)
        told = await lives.retry(cell, _request(wanted))
        await _conclude(lives, told, goal_of(told), wanted, output)


@app.command()
@command
async def abandon(
    cell: LifeArgument,
    yes: YesOption = False,
    *,
    wanted: LifeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Tear down what was begun of a cell that was never ready.

    In reverse order, until nothing is left in its account. Its name is never used again.
    """
    request = _request(wanted)
    async with api.operators() as opened:
        lives = LifeApi(opened.http)
        confirm(f"Abandon {cell}? {deleted_with(await lives.life(cell))}", yes)
        told = await lives.abandon(cell, request)
        await _conclude(lives, told, goal_of(told), wanted, output)


@app.command(
    epilog=example(
        "controlplane cell decommission aws-us-east-1-c4 --drain --reason 'c5 takes its place'"
    )
)
@command
async def decommission(
    cell: LifeArgument,
    drain: Annotated[
        bool, typer.Option("--drain", help="Move the namespaces that live there elsewhere first.")
    ] = False,
    yes: YesOption = False,
    *,
    wanted: LifeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Take a cell in a cloud down, for good.

    It is cordoned, and dismantled in reverse order once no namespace lives there. Until then `keep`
    calls it off. Its name is never used again.
    """
    operation, reason = wanted.name_operation(), wanted.given()
    with readable_request():
        request = Decommission(operation_id=operation, reason=reason, drain=drain)
    async with api.operators() as opened:
        lives = LifeApi(opened.http)
        moved = "Its namespaces are moved elsewhere first. " if drain else ""
        confirm(f"Decommission {cell}? {moved}{deleted_with(await lives.life(cell))}", yes)
        told = await lives.decommission(cell, request)
        await _conclude(lives, told, goal_of(told), wanted, output)


@app.command()
@command
async def keep(
    cell: LifeArgument,
    *,
    wanted: LifeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Call a decommission off, as long as nothing is dismantled.

    Namespaces are placed there again; those that have moved do not come back.
    """
    async with api.operators() as opened:
        lives = LifeApi(opened.http)
        told = await lives.keep(cell, _request(wanted))
        await _conclude(lives, told, Phase.READY, wanted, output)


def _request(wanted: LifeOptions) -> LifeRequest:
    operation, reason = wanted.name_operation(), wanted.given()
    with readable_request():
        return LifeRequest(operation_id=operation, reason=reason)


async def _conclude(
    lives: LifeApi, told: LifeView, goal: Phase, wanted: LifeOptions, output: OutputFormat
) -> None:
    """Say what the life said, and stay with it until it is where it was to come."""
    cell = told.blueprint.cell
    if output is OutputFormat.TABLE:
        notes().print(f"{cell} is {told.phase}: {told.message}.", markup=False)
    elif not wanted.wait:
        print_value(told)
    if wanted.wait:
        await follow_life(lives, cell, goal, output)
    elif output is OutputFormat.TABLE:
        notes().print(f"Watch it with: controlplane cell life {cell} --watch", markup=False)
