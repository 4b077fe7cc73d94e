"""Following an evacuation to its end: live on a terminal, by lines elsewhere, as JSON."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Protocol

import typer
from rich.console import Console, RenderableType
from rich.live import Live

from controlplane.cli.evacuation.screen import rendered
from controlplane.cli.evacuation.words import (
    SUCCEEDED,
    counts_line,
    event_line,
    how_it_is,
    needs_a_person,
)
from controlplane.cli.evacuation_api import EvacuationApi
from controlplane.cli.failures import CommandFailed
from controlplane.cli.fleet_http import ApiUnavailable
from controlplane.cli.output import OutputFormat, notes, results
from provisioning.evacuation.types import EvacuationView, Phase

LOOK_EVERY_SECONDS = 0.5


async def follow_evacuation(api: EvacuationApi, evacuation: str, output: OutputFormat) -> None:
    """Show the evacuation until it has ended; raise CommandFailed if it did not succeed."""
    try:
        ended = await _ended(api, evacuation, output)
    except asyncio.CancelledError:
        notes().print(
            f"\nIt goes on. Watch it with: controlplane evacuation watch {evacuation}",
            markup=False,
        )
        raise
    if output is OutputFormat.TABLE:
        results().print(ending(ended), markup=False)
    if ended.outcome not in SUCCEEDED:
        because = f": {ended.message}" if ended.message else ""
        raise CommandFailed(f"evacuation {ended.id} of {ended.cell} {how_it_is(ended)}{because}")


def ending(view: EvacuationView) -> str:
    """Return what came of it, in a line."""
    counted = counts_line(view.counts) or "there was nothing to move"
    return f"{view.cell} {how_it_is(view)}: {counted}. {view.report.verdict}".rstrip()


async def _ended(api: EvacuationApi, evacuation: str, output: OutputFormat) -> EvacuationView:
    look = await api.evacuation(evacuation)
    with _watching(output) as view:
        while True:
            view.show(look)
            if look.phase is Phase.ENDED:
                return look
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            # It goes on while the API is away, and so does watching it.
            with suppress(ApiUnavailable):
                look = await api.evacuation(evacuation)


class View(Protocol):
    def show(self, look: EvacuationView) -> None:
        """Take in what the evacuation looks like now."""
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
        view = LiveView(console)
        with Live(get_renderable=view.render, console=console, refresh_per_second=4):
            yield view


class LiveView:
    """The whole, redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._look: EvacuationView | None = None

    def show(self, look: EvacuationView) -> None:
        self._look = look

    def render(self) -> RenderableType:
        if self._look is None:
            return ""
        return rendered(self._look, datetime.now(UTC), self._console.size.height)


class Lines:
    """A line for each event, and for each thing that the evacuation says of itself."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told = 0
        self._said = ""

    def show(self, look: EvacuationView) -> None:
        for event in sorted(look.events, key=lambda each: each.number):
            if event.number > self._told:
                self._print(event_line(event))
                self._told = event.number
        parts = (how_it_is(look), counts_line(look.counts), look.message, needs_a_person(look))
        said = ": ".join(part for part in parts if part)
        if said != self._said:
            self._said = said
            self._print(f"  {said}")

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False)


class JsonLines:
    """The whole evacuation, as one line of JSON for each of its revisions that was seen."""

    def __init__(self) -> None:
        self._revision = -1

    def show(self, look: EvacuationView) -> None:
        from pydantic_core import to_json

        if look.revision != self._revision:
            self._revision = look.revision
            typer.echo(to_json(look))
            sys.stdout.flush()
