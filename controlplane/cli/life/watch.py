"""Following a cell's life: live on a terminal, by lines elsewhere, as JSON."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Protocol

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from cells.life.types import LifeView, Phase
from controlplane.cli.failures import CommandFailed
from controlplane.cli.fleet_http import ApiUnavailable
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
        rests = await _rests(api, cell, output)
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


async def _rests(api: LifeApi, cell: str, output: OutputFormat) -> LifeView:
    look = await api.life(cell)
    with _watching(output) as view:
        while True:
            view.show(look)
            if look.phase in _RESTING:
                return look
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            # It goes on while the API is away, and so does watching it.
            with suppress(ApiUnavailable):
                look = await api.life(cell)


class View(Protocol):
    def show(self, look: LifeView) -> None:
        """Take in what the life looks like now."""
        ...


@contextmanager
def _watching(output: OutputFormat) -> Iterator[View]:
    """Show looks in the way that suits who reads them, until the block ends."""
    console = notes()
    if output is OutputFormat.JSON:
        yield JsonLines()
    elif not console.is_terminal or console.is_dumb_terminal:
        yield Lines(console)
    else:
        view = LiveView()
        with Live(get_renderable=view.render, console=console, refresh_per_second=4):
            yield view


class LiveView:
    """The layers so far, redrawn in place, the one at work with a spinner and a clock."""

    def __init__(self) -> None:
        self._look: LifeView | None = None
        self._spinner = Spinner("dots", style="cyan")

    def show(self, look: LifeView) -> None:
        self._look = look

    def render(self) -> RenderableType:
        look = self._look
        if look is None:
            return ""
        now, grid = datetime.now(UTC), Table.grid(padding=(0, 1))
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


class JsonLines:
    """The whole life, as one line of JSON for each of its revisions that was seen."""

    def __init__(self) -> None:
        self._revision = -1

    def show(self, look: LifeView) -> None:
        from pydantic_core import to_json

        if look.revision != self._revision:
            self._revision = look.revision
            typer.echo(to_json(look))
            sys.stdout.flush()
