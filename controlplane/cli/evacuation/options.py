"""Which evacuation is meant, by its id or by its cell."""

from typing import Annotated

import typer

from controlplane.cli.completion import complete_cell
from controlplane.cli.evacuation_api import EvacuationApi
from controlplane.cli.failures import CommandFailed
from controlplane.cli.fleet_http import NotFound
from provisioning.evacuation.types import EvacuationView

EvacuationArgument = Annotated[
    str,
    typer.Argument(
        metavar="EVACUATION|CELL",
        help="Its id, or the cell, whose latest is meant.",
        show_default=False,
        autocompletion=complete_cell,
    ),
]


async def found_evacuation(api: EvacuationApi, named: str) -> EvacuationView:
    """Return the evacuation of this id, or the latest of this cell."""
    try:
        return await api.evacuation(named)
    except NotFound:
        latest = await api.evacuations(named, limit=1)
    if not latest:
        raise CommandFailed(
            f"there is no evacuation {named!r}, and no cell {named!r} was ever emptied: "
            "`controlplane evacuation list` shows those there are"
        )
    return await api.evacuation(latest[0].id)
