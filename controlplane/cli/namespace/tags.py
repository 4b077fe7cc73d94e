"""`controlplane namespace tags`: labels that the API keeps beside the spec."""

from collections.abc import Iterable
from typing import Annotated

import typer

from controlplane.cli.command import command, example, group
from controlplane.cli.failures import UsageError
from controlplane.cli.following import conclude
from controlplane.cli.options import ApiOptions, ChangeOptions, NameArgument
from controlplane.cli.output import (
    OutputFormat,
    OutputOption,
    notes,
    print_facts,
    print_json,
    print_message,
)

app = group("Set and remove tags.")


@app.command(
    "set", epilog=example("controlplane namespace tags set orders team=payments stage=prod")
)
@command
async def set_tags(
    name: NameArgument,
    tags: Annotated[list[str], typer.Argument(metavar="KEY=VALUE…", show_default=False)],
    *,
    change: ChangeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Set tags; those that are not named stay as they are."""
    await _change(name, read_tags(tags), (), change, api, output)


@app.command(epilog=example("controlplane namespace tags remove orders stage"))
@command
async def remove(
    name: NameArgument,
    keys: Annotated[list[str], typer.Argument(metavar="KEY…", show_default=False)],
    *,
    change: ChangeOptions,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Remove tags; those that are not there are removed already."""
    await _change(name, {}, keys, change, api, output)


@app.command("list")
@command
async def list_tags(
    name: NameArgument, *, api: ApiOptions, output: OutputOption = OutputFormat.TABLE
) -> None:
    """List a namespace's tags."""
    async with api.connect() as opened:
        namespace = await opened.namespace(name)
    if output is OutputFormat.JSON:
        print_json(dict(sorted(namespace.tags.items())))
    elif not namespace.tags:
        notes().print(f"{namespace.namespace} has no tags.", markup=False)
    else:
        print_facts(sorted(namespace.tags.items()))


def read_tags(texts: Iterable[str]) -> dict[str, str]:
    """Return what `key=value` texts say; raise UsageError for one that says nothing."""
    tags = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not key or not separator:
            raise UsageError(f"tag {text!r} is not key=value")
        if key in tags:
            raise UsageError(f"tag {key!r} is given twice")
        tags[key] = value
    return tags


async def _change(
    name: str,
    upsert: dict[str, str],
    remove: Iterable[str],
    change: ChangeOptions,
    api: ApiOptions,
    output: OutputFormat,
) -> None:
    async with api.connect() as opened:
        namespace = await opened.namespace_id(name)
        accepted = await opened.tag_namespace(
            namespace, upsert, tuple(remove), change.name_operation()
        )
        ended = await conclude(opened, accepted, change)
    if output is OutputFormat.JSON:
        print_message(ended)
