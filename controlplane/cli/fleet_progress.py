"""The parts of a fleet as they start: a live view on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from controlplane.cli.output import notes, seconds
from controlplane.local.startup import Progress


@contextmanager
def start_progress(title: str) -> Iterator[Progress]:
    """Show on stderr, in the way that suits it, how a fleet starts until the block ends."""
    console = notes()
    console.print(title, markup=False)
    if not console.is_terminal:
        yield Lines(console)
        return
    view = LiveView(console)
    with Live(get_renderable=view.render, console=console, refresh_per_second=12):
        yield view


@dataclass
class Lines:
    """A line for each part that is up, or failed."""

    console: Console

    def started(self, part: str) -> None:
        """Nothing yet: what counts is when it is up."""

    def finished(self, part: str, took: float) -> None:
        self.console.print(f"  ✓ {part:<26}{seconds(timedelta(seconds=took)):>9}", markup=False)

    def failed(self, part: str) -> None:
        self.console.print(f"  ✗ {part}", markup=False)

    def note(self, message: str) -> None:
        self.console.print(f"  {message}", markup=False)


@dataclass
class _Part:
    began: float
    took: float | None = None
    failed: bool = False


class LiveView:
    """The parts so far, redrawn in place, those on their way with a spinner and a clock."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._parts: dict[str, _Part] = {}
        self._spinner = Spinner("dots", style="cyan")

    def started(self, part: str) -> None:
        self._parts[part] = _Part(time.monotonic())

    def finished(self, part: str, took: float) -> None:
        self._parts[part].took = took

    def failed(self, part: str) -> None:
        self._parts[part].failed = True

    def note(self, message: str) -> None:
        self._console.print(f"  {message}", markup=False)

    def render(self) -> RenderableType:
        grid = Table.grid(padding=(0, 1))
        for name, part in self._parts.items():
            took = time.monotonic() - part.began if part.took is None else part.took
            clock = Text(seconds(timedelta(seconds=took)), style="dim")
            grid.add_row(" ", self._mark(part), Text(name), clock)
        return Group(grid)

    def _mark(self, part: _Part) -> RenderableType:
        if part.failed:
            return Text("✗", style="red")
        return self._spinner if part.took is None else Text("✓", style="green")
