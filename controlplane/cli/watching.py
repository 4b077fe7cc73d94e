"""Watching something go on to its end: live on a terminal, by lines elsewhere, as JSON."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

import typer
from rich.console import Console, RenderableType
from rich.live import Live

from controlplane.cli.fleet_http import ApiUnavailable
from controlplane.cli.output import OutputFormat, notes

SHARE_OF_TIME = 0.2
"""Where a look takes long, the API is asked for this share of the time at most."""

Look = TypeVar("Look")
Taken = TypeVar("Taken", contravariant=True)


class View(Protocol[Taken]):
    def show(self, look: Taken) -> None:
        """Take in how it is now."""
        ...


class Revised(Protocol):
    @property
    def revision(self) -> int: ...


async def watch_until(
    ask: Callable[[], Awaitable[Look]],
    is_over: Callable[[Look], bool],
    view: View[Look],
    every: float,
) -> Look:
    """Show look after look, `every` so many seconds, and return the one that ends it."""
    began = time.monotonic()
    look = await ask()
    while True:
        view.show(look)
        if is_over(look):
            return look
        took = time.monotonic() - began
        await asyncio.sleep(max(every, took / SHARE_OF_TIME - took))
        began = time.monotonic()
        # It goes on while the API is away, and so does watching it.
        with suppress(ApiUnavailable):
            look = await ask()


@contextmanager
def shown(
    output: OutputFormat,
    *,
    live: Callable[[Look, datetime, Console], RenderableType],
    lines: Callable[[Console], View[Look]],
    whole: Callable[[Look], Revised],
) -> Iterator[View[Look]]:
    """Show looks in the way that suits who reads them, until the block ends.

    `whole` is what of a look programs read.
    """
    console = notes()
    if output is OutputFormat.JSON:
        yield JsonLines(whole)
    elif not console.is_terminal or console.is_dumb_terminal:
        yield lines(console)
    else:
        view = LiveView(console, live)
        with Live(get_renderable=view.render, console=console, refresh_per_second=4):
            yield view


class LiveView(Generic[Look]):
    """The whole, redrawn in place."""

    def __init__(
        self, console: Console, draw: Callable[[Look, datetime, Console], RenderableType]
    ) -> None:
        self._console = console
        self._draw = draw
        self._look: Look | None = None

    def show(self, look: Look) -> None:
        self._look = look

    def render(self) -> RenderableType:
        return (
            "" if self._look is None else self._draw(self._look, datetime.now(UTC), self._console)
        )


class JsonLines(Generic[Look]):
    """The whole, as one line of JSON for each of its revisions that was seen."""

    def __init__(self, whole: Callable[[Look], Revised]) -> None:
        self._whole = whole
        self._revision = -1

    def show(self, look: Look) -> None:
        from pydantic_core import to_json

        whole = self._whole(look)
        if whole.revision != self._revision:
            self._revision = whole.revision
            typer.echo(to_json(whole))
            sys.stdout.flush()
