"""`controlplane operation`: what is being done, and what was."""

from datetime import UTC
from typing import Annotated

import typer
from temporalio.api.cloud.operation.v1 import AsyncOperation

from controlplane.cli.command import command, group
from controlplane.cli.following import follow
from controlplane.cli.options import PATIENCE_SECONDS, ApiOptions, NameArgument, TimeoutOption
from controlplane.cli.output import (
    OutputFormat,
    OutputOption,
    moment,
    notes,
    print_facts,
    print_message,
    print_value,
    results,
    seconds,
    table,
)
from provisioning.types import Operation

app = group("Look at operations and watch them.")

IdArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The operation's id.", show_default=False)
]


@app.command()
@command
async def watch(
    operation: IdArgument,
    within: TimeoutOption = PATIENCE_SECONDS,
    *,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show an operation's steps until it ends; exit 1 if it fails."""
    async with api.connect() as opened:
        await follow(opened, operation, within)
        if output is OutputFormat.JSON:
            print_message(await opened.operation(operation))


@app.command()
@command
async def get(
    operation: IdArgument, *, api: ApiOptions, output: OutputOption = OutputFormat.TABLE
) -> None:
    """Show how far an operation has come, without waiting."""
    async with api.connect() as opened:
        found = await opened.operation(operation)
    if output is OutputFormat.JSON:
        print_message(found)
        return
    print_facts(_facts(found))


@app.command("list")
@command
async def list_operations(
    name: NameArgument, *, api: ApiOptions, output: OutputOption = OutputFormat.TABLE
) -> None:
    """List a namespace's most recent operations, oldest first."""
    async with api.connect() as opened:
        details = await opened.details(name)
    if output is OutputFormat.JSON:
        print_value(details.operations)
        return
    if not details.operations:
        notes().print(f"Nothing was asked of {details.id} lately.", markup=False)
        return
    rows = table("OPERATION", "WHAT", "STATE", "BEGAN", "TOOK", "FAILURE")
    for operation in details.operations:
        rows.add_row(
            operation.id,
            operation.kind,
            operation.state,
            moment(operation.started_at),
            _took(operation),
            operation.failure_reason,
        )
    results().print(rows)


def _facts(operation: AsyncOperation) -> list[tuple[str, str]]:
    facts = [
        ("Operation", operation.id),
        ("What", operation.operation_type),
        ("State", AsyncOperation.State.Name(operation.state).removeprefix("STATE_")),
        ("Began", moment(operation.started_time.ToDatetime(UTC))),
    ]
    if operation.HasField("finished_time"):
        facts.append(("Ended", moment(operation.finished_time.ToDatetime(UTC))))
    if operation.failure_reason:
        facts.append(("Failure", operation.failure_reason))
    return facts


def _took(operation: Operation) -> str:
    if operation.finished_at is None:
        return ""
    return seconds(operation.finished_at - operation.started_at)
