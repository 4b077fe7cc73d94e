"""`controlplane rollout skip`, `retry`, `hold` and `unhold`: what is wanted of single cells."""

from typing import Annotated

import typer

from controlplane.cli.command import command, example, group
from controlplane.cli.options import ApiOptions, CellArgument, UntilOption, read_until
from controlplane.cli.output import OutputFormat, OutputOption
from controlplane.cli.rollout.telling import ControlOptions, tell
from rollout.types import ControlKind

app = group()


@app.command()
@command
async def skip(
    cell: CellArgument,
    *,
    control: ControlOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Leave a cell out of a rollout."""
    request = control.request(ControlKind.SKIP, cell=cell)
    async with api.rollouts() as opened:
        await tell(opened, control, request, output)


@app.command()
@command
async def retry(
    cell: Annotated[
        str,
        typer.Argument(
            metavar="CELL", help="The cell; all that failed, unless said.", show_default=False
        ),
    ] = "",
    *,
    control: ControlOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Try cells again that failed.

    With the very same release and configuration.
    """
    request = control.request(ControlKind.RETRY, cell=cell)
    async with api.rollouts() as opened:
        await tell(opened, control, request, output)


@app.command(epilog=example("controlplane rollout hold aws-us-east-1-c3 --until 3d --reason audit"))
@command
async def hold(
    cell: CellArgument,
    until: UntilOption = None,
    *,
    control: ControlOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Keep a cell out of a rollout for a time."""
    end = read_until(until)
    request = control.request(ControlKind.HOLD, cell=cell, until=end)
    async with api.rollouts() as opened:
        await tell(opened, control, request, output)


@app.command()
@command
async def unhold(
    cell: CellArgument,
    *,
    control: ControlOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Let a cell that is held go on."""
    request = control.request(ControlKind.UNHOLD, cell=cell)
    async with api.rollouts() as opened:
        await tell(opened, control, request, output)
