"""`controlplane namespace failover`: another replica becomes the active one."""

from typing import Annotated

import typer

from controlplane.api.replica_types import NewFailover
from controlplane.cli.command import command, example, group
from controlplane.cli.completion import complete_cell, complete_region
from controlplane.cli.failures import UsageError
from controlplane.cli.following import follow, say_how_to_watch
from controlplane.cli.options import ApiOptions, ChangeOptions, NameArgument, YesOption, confirm
from controlplane.cli.output import OutputFormat, OutputOption, print_value, results
from provisioning.types import FailoverCause, FailoverMode

app = group()


@app.command(
    epilog=example(
        "controlplane namespace failover orders --region aws-us-west-2",
        "controlplane namespace failover orders --region aws-us-west-2 --forced --yes",
    )
)
@command
async def failover(
    name: NameArgument,
    region: Annotated[
        str,
        typer.Option(
            help="Where it is to be active.",
            show_default=False,
            autocompletion=complete_region,
        ),
    ] = "",
    cell: Annotated[
        str,
        typer.Option(
            help="Which replica, where a region has two.",
            show_default=False,
            autocompletion=complete_cell,
        ),
    ] = "",
    graceful: Annotated[
        bool, typer.Option("--graceful", help="Lose nothing, or leave everything as it is.")
    ] = False,
    forced: Annotated[
        bool,
        typer.Option("--forced", help="At once: what had not been replicated may be lost."),
    ] = False,
    cause: Annotated[
        FailoverCause, typer.Option(help="What it is for; operators alone say another.")
    ] = FailoverCause.MANUAL,
    reason: Annotated[
        str, typer.Option(help="Why, for whoever reads about it later.", show_default=False)
    ] = "",
    yes: YesOption = False,
    *,
    change: ChangeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Make another replica the active one, and watch it become that.

    Gracefully at first, and by force after 10 s, unless one of the two is asked for. Failing over
    to where it is active already leaves it there.
    """
    if bool(region) == bool(cell):
        raise UsageError("where to? Give --region, or --cell where a region has two replicas")
    mode = _mode(graceful=graceful, forced=forced)
    if mode is FailoverMode.FORCED:
        confirm(
            f"Fail over {name} by force? What its active cell has not replicated may be lost.", yes
        )
    wanted = NewFailover(
        operation_id=change.name_operation(),
        region=region,
        cell=cell,
        mode=mode,
        cause=cause,
        reason=reason,
    )
    async with api.connect() as opened:
        namespace = await opened.namespace_id(name)
        begun = await opened.fleet.fail_over(namespace, wanted)
        if change.no_wait:
            say_how_to_watch(begun.id)
        else:
            begun = await follow(opened, begun.id, change.within, namespace)
            if output is OutputFormat.TABLE:
                words = (await opened.fleet.replicas(namespace)).words
                results().print("\n".join(words[:2]), markup=False)
    if output is OutputFormat.JSON:
        print_value(begun)


def _mode(*, graceful: bool, forced: bool) -> FailoverMode:
    if graceful and forced:
        raise UsageError("--graceful and --forced exclude each other: give one, or none for both")
    if graceful:
        return FailoverMode.GRACEFUL
    return FailoverMode.FORCED if forced else FailoverMode.GRACEFUL_THEN_FORCED
