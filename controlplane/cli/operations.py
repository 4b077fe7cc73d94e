"""Following an operation to its end, and `controlplane operation watch`."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Annotated

import typer

from controlplane.api.fleet_types import OperationDetails
from controlplane.cli.api import Api, connect
from controlplane.cli.connection import AddressOption, ApiKeyOption, UrlOption, resolve
from controlplane.cli.failures import CommandFailed, command
from controlplane.cli.fleet_api import ApiUnavailable
from controlplane.cli.output import (
    OutputFormat,
    OutputOption,
    notes,
    print_message,
    seconds,
)
from controlplane.cli.progress import progress
from provisioning.types import OperationKind, OperationState

app = typer.Typer(no_args_is_help=True, add_completion=False)

POLL_EVERY = timedelta(milliseconds=150)

TimeoutOption = Annotated[
    int,
    typer.Option(
        "--timeout", min=1, help="Seconds to wait for the end; the operation itself goes on."
    ),
]


@app.callback()
def operation() -> None:
    """Watch what is being done."""  # Without a callback, a group of one command is no group.


@app.command()
@command
async def watch(
    operation: Annotated[str, typer.Argument(help="The operation's id.", show_default=False)],
    within: TimeoutOption = 600,
    address: AddressOption = None,
    url: UrlOption = None,
    api_key: ApiKeyOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show an operation's steps until it ends."""
    async with connect(await resolve(address, url, api_key)) as api:
        await follow(api, operation, within)
        if output is OutputFormat.JSON:
            print_message(await api.operation(operation))


async def follow(api: Api, operation: str, within: int) -> OperationDetails:
    """Show the operation's steps until it has succeeded; raise CommandFailed if it does not."""
    how_to_watch = f"Watch it with: controlplane operation watch {operation}"
    try:
        async with asyncio.timeout(within):
            ended = await _ended(api, operation)
    except TimeoutError as error:
        raise CommandFailed(f"not done after {within} s, and going on. {how_to_watch}") from error
    except asyncio.CancelledError:
        notes().print(f"\nThe operation goes on. {how_to_watch}", markup=False)
        raise
    if ended.state is not OperationState.FULFILLED:
        raise CommandFailed(_failure(ended))
    notes().print(f"Done in {seconds(_duration(ended))}.", markup=False)
    return ended


async def _ended(api: Api, operation: str) -> OperationDetails:
    details = await api.fleet.operation(operation)
    with progress(f"{_VERBS[details.kind]} {details.namespace}") as view:
        while True:
            view.show(details)
            if details.finished_at is not None:
                return details
            await asyncio.sleep(POLL_EVERY.total_seconds())
            # The operation goes on while the API is away, and so does watching it.
            with suppress(ApiUnavailable):
                details = await api.fleet.operation(operation)


_VERBS = {
    OperationKind.CREATE: "Creating namespace",
    OperationKind.DELETE: "Deleting namespace",
}


def _failure(operation: OperationDetails) -> str:
    return (
        f"{_VERBS[operation.kind].lower()} {operation.namespace} ended {operation.state} after "
        f"{seconds(_duration(operation))}: {operation.failure_reason}"
    )


def _duration(operation: OperationDetails) -> timedelta:
    return (operation.finished_at or datetime.now().astimezone()) - operation.started_at
