"""`controlplane cell create`: build a cell in a cloud, from an empty account on."""

from typing import Annotated
from uuid import uuid4

import typer

from cells.life.types import Blueprint, Layer, Phase
from cells.types import Provider
from controlplane.api.life_types import NewCapacity, NewCell
from controlplane.cli.command import command, example, group
from controlplane.cli.life.options import OperationOption, WaitOption, readable_request
from controlplane.cli.life.watch import follow_life
from controlplane.cli.life.words import BUILDING
from controlplane.cli.life_api import LifeApi
from controlplane.cli.options import ApiOptions
from controlplane.cli.output import (
    OutputFormat,
    OutputOption,
    notes,
    print_facts,
    print_value,
    results,
)

app = group()


@app.command(
    epilog=example(
        "controlplane cell create aws-us-east-1-c4 --provider aws --region us-east-1 --ring 1 "
        "--version 1.31.2",
        "controlplane cell create gcp-us-central1-c2 --provider gcp --region us-central1 --ring 2 "
        "--version 1.31.2 --actions-per-second 50000 --dry-run",
    )
)
@command
async def create(
    cell: Annotated[
        str,
        typer.Argument(
            metavar="CELL",
            help="Its id: lower-case letters, digits and hyphens; never used again.",
            show_default=False,
        ),
    ],
    provider: Annotated[Provider, typer.Option(help="Whose cloud.", show_default=False)],
    region: Annotated[
        str, typer.Option(help="As the cloud calls it, such as us-east-1.", show_default=False)
    ],
    ring: Annotated[
        int,
        typer.Option(min=0, help="With which others it takes changes; 0: no tenants live there."),
    ],
    version: Annotated[
        str,
        typer.Option(
            metavar="VERSION", help="Of the Temporal server, such as 1.31.2.", show_default=False
        ),
    ],
    namespaces: Annotated[
        int, typer.Option(min=1, help="How many it takes.")
    ] = NewCapacity().namespaces,
    actions_per_second: Annotated[
        int, typer.Option(min=1, help="How many it takes; servers and database are sized by this.")
    ] = NewCapacity().actions_per_second,
    history_shards: Annotated[
        int, typer.Option(min=1, help="A power of two; never to be changed later.")
    ] = 512,
    failure_domain: Annotated[
        str,
        typer.Option(help="What fails together with it, for placing replicas.", show_default=False),
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would be, and make nothing.")
    ] = False,
    operation_id: OperationOption = None,
    wait: WaitOption = True,
    *,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Build a cell in a cloud, and watch it layer by layer until it takes namespaces.

    What a cell stands on takes the cloud most of an hour. A layer that fails is named: mend the
    cause and `retry`, or `abandon` the cell.
    """
    with readable_request():
        wanted = NewCell(
            cell=cell,
            provider=provider,
            region=f"{provider.value}-{region.removeprefix(f'{provider.value}-')}",
            ring=ring,
            server_version=version,
            capacity=NewCapacity(namespaces=namespaces, actions_per_second=actions_per_second),
            history_shards=history_shards,
            failure_domain=failure_domain,
            operation_id=operation_id or str(uuid4()),
        )
    async with api.operators() as opened:
        lives = LifeApi(opened.http)
        if dry_run:
            _show(await lives.preview(wanted), output)
            return
        begun = await lives.create(wanted)
        if output is OutputFormat.TABLE:
            notes().print(
                f"Building {cell} in {begun.blueprint.region}. "
                f"Watch it with: controlplane cell life {cell} --watch",
                markup=False,
            )
        elif not wait:
            print_value(begun)
        if wait:
            await follow_life(lives, cell, Phase.READY, output)


def _show(blueprint: Blueprint, output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        print_value(blueprint)
        return
    capacity = blueprint.capacity
    print_facts(
        (
            ("Cell", blueprint.cell),
            ("Region", blueprint.region),
            ("Ring", str(blueprint.ring)),
            ("Server", blueprint.server_version),
            (
                "Capacity",
                f"{capacity.namespaces} namespaces, {capacity.actions_per_second} actions per "
                "second",
            ),
            ("History shards", str(blueprint.history_shards)),
            ("Network", f"{blueprint.network}, unless another cell is asked for first"),
        )
    )
    results().print("\nIt would be built layer by layer:")
    for layer in Layer:
        results().print(f"  {BUILDING[layer]}", markup=False)
    notes().print("Nothing was made.")
