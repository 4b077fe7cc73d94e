"""`controlplane namespace diff`: what of a namespace is not as it was made."""

import typer

from controlplane.api.fleet_types import NamespaceDetails
from controlplane.cli.command import command, example, group
from controlplane.cli.failures import CommandFailed
from controlplane.cli.following import follow, say_how_to_watch
from controlplane.cli.namespace.apply import DIFFERENT
from controlplane.cli.options import ApiOptions, ChangeOptions, NameArgument
from controlplane.cli.output import (
    OutputFormat,
    OutputOption,
    moment,
    print_value,
    results,
    table,
)

app = group()


@app.command(epilog=example("controlplane namespace diff orders || echo drifted"))
@command
async def diff(
    name: NameArgument,
    *,
    change: ChangeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Look at everything that a namespace consists of, and show what is not as it was made.

    What differs is mended. Exits 0 when all was in order, 2 when something differed.
    """
    async with api.connect() as opened:
        namespace = await opened.namespace_id(name)
        begun = await opened.fleet.inspect(namespace, change.name_operation())
        if change.no_wait:
            say_how_to_watch(begun.id)
            return
        await follow(opened, begun.id, change.within)
        details = await opened.fleet.namespace(namespace)
    if details.inspection is None:
        raise CommandFailed(
            f"{namespace} was not looked at: see `controlplane operation get {begun.id}`"
        )
    if output is OutputFormat.JSON:
        print_value(details.inspection)
    else:
        _show(details)
    if details.inspection.differences:
        raise typer.Exit(DIFFERENT)


def _show(details: NamespaceDetails) -> None:
    inspection = details.inspection
    assert inspection is not None
    if not inspection.differences:
        results().print(
            f"{details.id} is as it was made, at {moment(inspection.at)}.", markup=False
        )
        return
    rows = table("PART", "WHAT", "WANTED", "FOUND")
    for difference in inspection.differences:
        rows.add_row(
            difference.step, difference.what, difference.wanted or "-", difference.found or "-"
        )
    results().print(rows)
