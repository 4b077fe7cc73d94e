"""`controlplane rollout watch`: a rollout as it goes on, to its end."""

import asyncio
from datetime import datetime

from rich.console import Console, RenderableType

from controlplane.cli.command import command, example, group
from controlplane.cli.failures import CommandFailed
from controlplane.cli.options import ApiOptions
from controlplane.cli.output import OutputFormat, OutputOption, notes, results
from controlplane.cli.rollout.options import RolloutArgument, latest_rollout
from controlplane.cli.rollout.screen import Look, Screen
from controlplane.cli.rollout.words import SUCCEEDED, event_line, how_it_is, needs_a_person
from controlplane.cli.rollout_api import RolloutApi
from controlplane.cli.watching import shown, watch_until
from rollout.types import CellStatus, Phase, RolloutView

LOOK_EVERY_SECONDS = 1.0

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
        with shown(output, live=_drawn, lines=Lines, whole=lambda look: look.rollout) as view:
            look = await watch_until(
                lambda: _look(api, rollout),
                lambda look: look.rollout.phase is Phase.ENDED,
                view,
                every=LOOK_EVERY_SECONDS,
            )
        ended = look.rollout
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


async def _look(api: RolloutApi, rollout: str) -> Look:
    return Look.at(await api.rollout(rollout), await api.cells())


def _drawn(look: Look, now: datetime, console: Console) -> RenderableType:
    return Screen(look, now, console.size.height)


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
