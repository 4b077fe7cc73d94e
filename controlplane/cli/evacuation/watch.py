"""Following an evacuation to its end: live on a terminal, by lines elsewhere, as JSON."""

import asyncio
from datetime import datetime

from rich.console import Console, RenderableType

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
from controlplane.cli.output import OutputFormat, notes, results
from controlplane.cli.watching import shown, watch_until
from provisioning.evacuation.types import EvacuationView, Phase

LOOK_EVERY_SECONDS = 0.5


async def follow_evacuation(api: EvacuationApi, evacuation: str, output: OutputFormat) -> None:
    """Show the evacuation until it has ended; raise CommandFailed if it did not succeed."""
    try:
        with shown(output, live=_drawn, lines=Lines, whole=lambda look: look) as view:
            ended = await watch_until(
                lambda: api.evacuation(evacuation),
                lambda look: look.phase is Phase.ENDED,
                view,
                every=LOOK_EVERY_SECONDS,
            )
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


def _drawn(look: EvacuationView, now: datetime, console: Console) -> RenderableType:
    return rendered(look, now, console.size.height)


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
