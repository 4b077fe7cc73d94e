"""`controlplane rollout watch`: a rollout as it goes on, to its end."""

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Protocol

import typer
from rich.console import Console, RenderableType
from rich.live import Live

from controlplane.cli.command import command, example, group
from controlplane.cli.failures import CommandFailed
from controlplane.cli.fleet_http import ApiUnavailable
from controlplane.cli.options import ApiOptions
from controlplane.cli.output import OutputFormat, OutputOption, notes, results
from controlplane.cli.rollout.options import RolloutArgument, latest_rollout
from controlplane.cli.rollout.screen import Look, Screen
from controlplane.cli.rollout.words import SUCCEEDED, event_line, how_it_is, needs_a_person
from controlplane.cli.rollout_api import RolloutApi
from rollout.types import CellStatus, Phase, RolloutView

LOOK_EVERY_SECONDS = 1.0
SHARE_OF_TIME = 0.2
"""A look at a large fleet takes long: the API is asked for this share of the time at most."""

app = group()


@app.command(
    epilog=example("controlplane rollout watch", "controlplane rollout watch 1.32.0 -o json")
)
@command
async def watch(
    rollout: RolloutArgument = None,
    *,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show a rollout as it goes on, until it ends.

    Exit 0 if it succeeded, else 1. On a terminal: rings and cells, what is left of budgets, bakes,
    what it waits for and until when, when it will be through. Elsewhere a line for each thing that
    happens; as JSON, a line for each change of the whole.
    """
    async with api.rollouts() as opened:
        named = await latest_rollout(opened, rollout)
        await follow_rollout(opened, named, output)


async def follow_rollout(api: RolloutApi, rollout: str, output: OutputFormat) -> None:
    """Show the rollout until it has ended; raise CommandFailed if it did not succeed."""
    try:
        ended = await _ended(api, rollout, output)
    except asyncio.CancelledError:
        notes().print(
            f"\nThe rollout goes on. Watch it with: controlplane rollout watch {rollout}",
            markup=False,
        )
        raise
    if output is OutputFormat.TABLE:
        results().print(ending(ended), markup=False)
    if ended.outcome not in SUCCEEDED:
        because = f": {ended.message}" if ended.message else ""
        raise CommandFailed(f"rollout {ended.id} {how_it_is(ended)}{because}")


def ending(rollout: RolloutView) -> str:
    """Return what became of a rollout and of its cells, in a line."""
    statuses = [progress.status for progress in rollout.cells.values()]
    counts = ", ".join(
        f"{statuses.count(status)} {status}" for status in CellStatus if status in statuses
    )
    behind = sorted(c for c, p in rollout.cells.items() if p.status is CellStatus.DEFERRED)
    told = f"Rollout {rollout.id} {how_it_is(rollout)}: {counts or 'no cells'}"
    return f"{told}. Left behind: {', '.join(behind)}" if behind else told


async def _ended(api: RolloutApi, rollout: str, output: OutputFormat) -> RolloutView:
    began = time.monotonic()
    look = await _look(api, rollout)
    with _watching(output) as view:
        while True:
            view.show(look)
            if look.rollout.phase is Phase.ENDED:
                return look.rollout
            took = time.monotonic() - began
            await asyncio.sleep(max(LOOK_EVERY_SECONDS, took / SHARE_OF_TIME - took))
            began = time.monotonic()
            # The rollout goes on while the API is away, and so does watching it.
            with suppress(ApiUnavailable):
                look = await _look(api, rollout)


async def _look(api: RolloutApi, rollout: str) -> Look:
    return Look.at(await api.rollout(rollout), await api.cells())


class View(Protocol):
    def show(self, look: Look) -> None:
        """Take in what the rollout looks like now."""
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
        self._look: Look | None = None

    def show(self, look: Look) -> None:
        self._look = look

    def render(self) -> RenderableType:
        if self._look is None:
            return ""
        return Screen(self._look, datetime.now(UTC), self._console.size.height)


class Lines:
    """A line for each event, and for each thing that the rollout says of itself."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told = 0
        self._said = ""

    def show(self, look: Look) -> None:
        rollout = look.rollout
        new = sorted((e for e in rollout.events if e.number > self._told), key=lambda e: e.number)
        for event in new:
            if self._told and event.number > self._told + 1:
                missed = event.number - self._told - 1
                self._print(f"({missed} more: controlplane rollout events {rollout.id} shows them)")
            self._print(event_line(event))
            self._told = event.number
        said = ": ".join(
            part for part in (how_it_is(rollout), rollout.message, needs_a_person(rollout)) if part
        )
        if said != self._said:
            self._said = said
            self._print(f"  {said}")

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False)


class JsonLines:
    """The whole rollout, as one line of JSON for each of its revisions that was seen."""

    def __init__(self) -> None:
        self._revision = -1

    def show(self, look: Look) -> None:
        from pydantic_core import to_json

        if look.rollout.revision != self._revision:
            self._revision = look.rollout.revision
            typer.echo(to_json(look.rollout))
            sys.stdout.flush()
