"""The steps of an operation as they happen: a live view on a terminal, plain lines elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from controlplane.api.fleet_types import OperationDetails
from controlplane.api.replica_types import NamespaceReplicas
from controlplane.cli.output import notes, seconds
from controlplane.cli.replica_progress import Phases
from provisioning.types import Step, StepRecord, StepState

DOING = {
    Step.SELECT_CELL: "Select a cell",
    Step.WRITE_DATABASE: "Write the database record and role",
    Step.ISSUE_CERTIFICATE: "Issue the server certificate",
    Step.REGISTER: "Register the namespace",
    Step.ADMIT: "Open the ingress",
    Step.PUBLISH_DNS: "Publish the DNS name",
    Step.PROVE: "Prove the endpoint from outside",
}
UNDOING = {
    Step.SELECT_CELL: "Release the cell",
    Step.WRITE_DATABASE: "Remove the database record and role",
    Step.ISSUE_CERTIFICATE: "Destroy the server certificate",
    Step.REGISTER: "Deregister the namespace",
    Step.ADMIT: "Close the ingress",
    Step.PUBLISH_DNS: "Withdraw the DNS name",
    Step.PROVE: "Forget the proof",
}


class Progress(Protocol):
    def show(self, operation: OperationDetails, replicas: NamespaceReplicas | None = None) -> None:
        """Take in what the operation looks like now, and what it does to a namespace's replicas."""
        ...


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """Show one operation's progress on stderr, in the way that suits it, until the block ends."""
    console = notes()
    if not console.is_terminal:
        yield Lines(console, title)
        return
    view = LiveView(title)
    with Live(get_renderable=view.render, console=console, refresh_per_second=12):
        yield view


class Lines:
    """A line for each step that ends and for each thing a running step has to say."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._said: set[str] = set()
        self._phases = Phases()
        self._console.print(title, markup=False)

    def show(self, operation: OperationDetails, replicas: NamespaceReplicas | None = None) -> None:
        for step in operation.steps:
            if step.finished_at is None and not step.message:
                continue
            line = _line(step)
            if line not in self._said:
                self._said.add(line)
                self._console.print(line, markup=False)
        for line in self._phases.news(replicas, datetime.now(UTC), operation.finished_at):
            self._console.print(line, markup=False)


class LiveView:
    """The steps so far, redrawn in place, the running ones with a spinner and a clock."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._steps: tuple[StepRecord, ...] = ()
        self._phases = Phases()
        self._spinner = Spinner("dots", style="cyan")

    def show(self, operation: OperationDetails, replicas: NamespaceReplicas | None = None) -> None:
        self._steps = operation.steps
        self._phases.take(replicas, datetime.now(UTC), operation.finished_at)

    def render(self) -> RenderableType:
        grid = Table.grid(padding=(0, 1))
        for step in self._steps:
            grid.add_row(
                " ",
                self._spinner if step.finished_at is None else _mark(step.state),
                title_of(step),
                Text(seconds(_elapsed(step)), style="dim"),
                Text(step.message, style="dim"),
            )
        for phase in self._phases.seen:
            over = phase.ended_at is not None
            grid.add_row(
                " ",
                _mark(StepState.DONE) if over else self._spinner,
                phase.title,
                Text(seconds(phase.lasted(datetime.now(UTC))), style="dim"),
                Text("" if over else phase.said, style="dim"),
            )
        return Group(Text(self._title), grid)


def title_of(step: StepRecord) -> str:
    """Return what the step does, or undoes, in words."""
    undoing = step.state in (StepState.UNDOING, StepState.UNDONE)
    return (UNDOING if undoing else DOING)[step.step]


def _line(step: StepRecord) -> str:
    if step.finished_at is None:
        return f"  … {title_of(step)}: {step.message}"
    line = f"  {_mark(step.state).plain} {title_of(step):<36}{seconds(_elapsed(step)):>9}"
    return f"{line}  {step.message}" if step.message else line


def _mark(state: StepState) -> Text:
    match state:
        case StepState.DONE:
            return Text("✓", style="green")
        case StepState.FAILED:
            return Text("✗", style="red")
        case StepState.UNDONE:
            return Text("↩", style="yellow")
        case StepState.RUNNING | StepState.UNDOING:
            return Text("…", style="cyan")


def _elapsed(step: StepRecord) -> timedelta:
    return (step.finished_at or datetime.now(UTC)) - step.started_at
