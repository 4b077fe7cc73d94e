"""`controlplane namespace migrate`: a namespace moves to another cell, live."""

from datetime import timedelta
from typing import Annotated

import typer

from controlplane.api.replica_types import ChangeControl, NamespaceReplicas, NewMigration
from controlplane.cli.command import command, example, group
from controlplane.cli.completion import complete_cell, complete_region
from controlplane.cli.durations import read_duration
from controlplane.cli.failures import CommandFailed, UsageError
from controlplane.cli.following import follow, say_how_to_watch
from controlplane.cli.namespace.aborting import abort_change
from controlplane.cli.namespace.replica_view import change_line, show_replicas
from controlplane.cli.options import ApiOptions, ChangeOptions, NameArgument, YesOption, confirm
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
from provisioning.types import ReplicaChange, ReplicaChangeKind

app = group(
    "Move namespaces to other cells, live. A namespace of another account goes by its full id."
)


@app.command(
    epilog=example(
        "controlplane namespace migrate start orders --reason 'its cell is full'",
        "controlplane namespace migrate start orders --to aws-us-east-1-c3 --soak 1d "
        "--reason 'its cell is full'",
    )
)
@command
async def start(
    name: NameArgument,
    to: Annotated[
        str,
        typer.Option(
            metavar="CELL",
            help="The cell to move to; chosen for you if none is given.",
            show_default=False,
            autocompletion=complete_cell,
        ),
    ] = "",
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="CELL",
            help="The cell to leave.",
            show_default="where it is active",
            autocompletion=complete_cell,
        ),
    ] = "",
    region: Annotated[
        str,
        typer.Option(
            help="The region to move to.",
            show_default="the one it is in",
            autocompletion=complete_region,
        ),
    ] = "",
    soak: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="How long at least the former cell stays a replica, as in 2h or 1d.",
        ),
    ] = "0",
    confirmed: Annotated[
        bool,
        typer.Option(
            "--confirmed", help="Give up the former cell without asking: there is no way back."
        ),
    ] = False,
    *,
    why: ReasonOptions,
    change: ChangeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Move a namespace to another cell, and watch it move.

    It gets a replica there, which is compared with the present one and takes over. The former cell
    stays a replica until that is confirmed: until then `migrate abort` brings everything back.
    """
    wanted = NewMigration(
        operation_id=change.name_operation(),
        source=source,
        region=region,
        cell=to,
        soak=_soak(soak),
        confirmed=confirmed,
        reason=why.given(),
    )
    async with api.connect() as opened:
        namespace = await opened.namespace_id(name)
        begun = await opened.fleet.migrate(namespace, wanted)
        if change.no_wait:
            say_how_to_watch(begun.id)
        else:
            begun = await follow(opened, begun.id, change.within, namespace)
    if output is OutputFormat.JSON:
        print_value(begun)


@app.command()
@command
async def get(
    name: NameArgument, *, api: ApiOptions, output: OutputOption = OutputFormat.TABLE
) -> None:
    """Show how far a namespace's migration is."""
    async with api.connect() as opened:
        replicas = await opened.fleet.replicas(await opened.namespace_id(name))
    if output is OutputFormat.JSON:
        print_value(replicas)
        return
    show_replicas(replicas)
    if replicas.change is None:
        notes().print(f"{replicas.namespace} is not being migrated.", markup=False)


@app.command("list")
@command
async def list_migrations(*, api: ApiOptions, output: OutputOption = OutputFormat.TABLE) -> None:
    """List the migrations under way, of all accounts."""
    async with api.connect() as opened:
        found = await opened.fleet.migrations()
    if output is OutputFormat.JSON:
        print_value(found)
        return
    if not found:
        notes().print("No namespace is being migrated.")
        return
    rows = table("NAMESPACE", "FROM", "TO", "SINCE", "PHASE", "WAITS FOR")
    for each in found:
        change = each.change
        rows.add_row(
            each.namespace,
            change.source,
            change.target or change.region,
            moment(change.started_at),
            change.progress.phase,
            change.progress.waits_for,
        )
    results().print(rows)


@app.command(
    "confirm",
    epilog=example("controlplane namespace migrate confirm orders --reason 'it is well'"),
)
@command
async def confirm_migration(
    name: NameArgument,
    yes: YesOption = False,
    *,
    why: ReasonOptions,
    change: ChangeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Let a migration give up the former cell.

    There is no way back from it but another migration.
    """
    reason = why.given()
    async with api.connect() as opened:
        namespace = await opened.namespace_id(name)
        under_way = _migration(await opened.fleet.replicas(namespace))
        confirm(f"Give up {under_way.source}, from which {namespace} moves? {_LAST}", yes)
        wanted = ChangeControl(operation_id=change.name_operation(), reason=reason)
        begun = await opened.fleet.confirm_migration(namespace, under_way.id, wanted)
        if change.no_wait:
            say_how_to_watch(under_way.operation)
        else:
            begun = await follow(opened, under_way.operation, change.within, namespace)
    if output is OutputFormat.JSON:
        print_value(begun)


@app.command(epilog=example("controlplane namespace migrate abort orders --reason 'wrong cell'"))
@command
async def abort(
    name: NameArgument,
    yes: YesOption = False,
    *,
    why: ReasonOptions,
    change: ChangeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Bring a namespace back to the cell that it leaves."""
    reason = why.given()
    async with api.connect() as opened:
        namespace = await opened.namespace_id(name)
        under_way = _migration(await opened.fleet.replicas(namespace))
        begun = await abort_change(opened, namespace, under_way, reason, change, yes)
        if output is OutputFormat.TABLE and not change.no_wait:
            show_replicas(await opened.fleet.replicas(namespace))
    if output is OutputFormat.JSON:
        print_value(begun)


_LAST = "There is no way back but another migration."


def _migration(replicas: NamespaceReplicas) -> ReplicaChange:
    change = replicas.change
    if change is None:
        raise CommandFailed(f"{replicas.namespace} is not being migrated")
    if change.kind is not ReplicaChangeKind.MIGRATE:
        raise CommandFailed(
            f"{replicas.namespace} is not being migrated: "
            f"{change_line(change, replicas.change_eta)}"
        )
    return change


def _soak(text: str) -> timedelta:
    try:
        return read_duration(text)
    except ValueError as error:
        raise UsageError(f"--soak: {error}") from error
