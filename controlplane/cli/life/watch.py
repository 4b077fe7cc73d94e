"""Following a cell's life: live on a terminal, by lines elsewhere, as JSON."""

import asyncio
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from cells.life.types import LifeView, Phase
from controlplane.cli.failures import CommandFailed
from controlplane.cli.life.words import (
    LayerState,
    layer_line,
    layer_said,
    layer_state,
    layer_title,
    layer_took,
    what_next,
)
from controlplane.cli.life_api import LifeApi
from controlplane.cli.output import OutputFormat, notes, results, seconds
from controlplane.cli.watching import shown, watch_until

LOOK_EVERY_SECONDS = 0.5
_RESTING = (Phase.READY, Phase.FAILED, Phase.GONE)
"""Where nothing goes on until somebody asks for something."""
_STYLES = {
    LayerState.BUILT: "green",
    LayerState.GONE: "yellow",
    LayerState.FAILED: "red",
    LayerState.WAITING: "yellow",
}


def goal_of(view: LifeView) -> Phase:
    """Return where the life is on its way to."""
    going = (Phase.DRAINING, Phase.DISMANTLING, Phase.GONE)
    return Phase.GONE if view.phase in going else Phase.READY


async def follow_life(api: LifeApi, cell: str, goal: Phase, output: OutputFormat) -> None:
    """Show the life until it rests; raise CommandFailed if that is not where it was to come."""
    try:
        with shown(output, live=Screen(), lines=Lines, whole=lambda look: look) as view:
            rests = await watch_until(
                lambda: api.life(cell),
                lambda look: look.phase in _RESTING,
                view,
                every=LOOK_EVERY_SECONDS,
            )
    except asyncio.CancelledError:
        notes().print(
            f"\nIt goes on. Watch it with: controlplane cell life {cell} --watch", markup=False
        )
        raise
    if rests.phase is not goal:
        raise CommandFailed(
            f"{cell} is {rests.phase}: {rests.message}. {what_next(rests)}".rstrip()
        )
    if output is OutputFormat.TABLE:
        results().print(f"{cell} is {rests.phase}: {rests.message}.", markup=False)


class Screen:
    """The layers so far, the one at work with a spinner and a clock."""

    def __init__(self) -> None:
        self._spinner = Spinner("dots", style="cyan")

    def __call__(self, look: LifeView, now: datetime, _: Console) -> RenderableType:
        grid = Table.grid(padding=(0, 1))
        for record in look.layers:
            state = layer_state(look, record)
            is_at_work = state is LayerState.UNDER_WAY
            grid.add_row(
                " ",
                self._spinner if is_at_work else Text(state, style=_STYLES[state]),
                layer_title(look, record),
                Text(seconds(layer_took(record, now)), style="dim"),
                Text(layer_said(look, record), style="dim"),
            )
        said = Text(f"{look.blueprint.cell}: {look.phase}, {look.message}")
        return Group(said, grid, Text(what_next(look), style="dim"))


class Lines:
    """A line for each thing that becomes of a layer, and for each that the life says of itself."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: set[str] = set()
        self._last = ""

    def show(self, look: LifeView) -> None:
        # In the order in which it happens.
        is_going = look.phase in (Phase.DISMANTLING, Phase.GONE)
        for record in reversed(look.layers) if is_going else look.layers:
            line = layer_line(look, record)
            if line not in self._said:
                self._said.add(line)
                self._print(line)
        said = f"{look.blueprint.cell}: {look.phase}, {look.message}"
        if look.phase not in (Phase.BUILDING, *_RESTING) and said != self._last:
            self._print(said)
        self._last = said

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False)
