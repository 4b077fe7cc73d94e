"""`controlplane up | down | status | logs | env`: the embedded fleet of a home."""

import asyncio
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from controlplane.cli.output import OutputFormat, OutputOption, notes, print_json

app = typer.Typer()

HomeOption = Annotated[
    Path | None,
    typer.Option(
        help="The fleet's folder (or CONTROLPLANE_HOME; else ~/.controlplane).",
        file_okay=False,
        show_default=False,
    ),
]


class EnvFormat(StrEnum):
    SHELL = "shell"
    JSON = "json"


ServerVersionOption = Annotated[
    str | None,
    typer.Option(
        help="The Temporal server that the cells of a new fleet start with, such as 1.30.2.",
        show_default="the newest",
    ),
]


@app.command()
def up(
    home: HomeOption = None,
    server_version: ServerVersionOption = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Start the fleet, or repair it: everything runs and answers when this returns."""
    from controlplane.cli.fleet_progress import start_progress
    from controlplane.cli.fleet_view import print_status, show_next_steps, show_status
    from controlplane.local.fleet import Fleet
    from controlplane.local.home import Home
    from controlplane.local.status import fleet_status

    with _readable():
        chosen = Home.choose(home)
        began = time.monotonic()
        with start_progress(f"Starting the fleet in {chosen.path}") as progress:
            asyncio.run(Fleet(chosen).up(progress, server_version))
        notes().print(f"Everything answers after {time.monotonic() - began:.1f} s\n", markup=False)
        found = asyncio.run(fleet_status(chosen))
    if output is OutputFormat.JSON:
        print_status(found)
    else:
        show_status(found)
        show_next_steps(home)


@app.command()
def down(
    home: HomeOption = None,
    delete: Annotated[bool, typer.Option("--delete", help="Remove the home, too.")] = False,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Stop the fleet: everything this home started, and nothing else."""
    from controlplane.local.fleet import Fleet
    from controlplane.local.home import Home

    with _readable():
        chosen = Home.choose(home)
        asyncio.run(Fleet(chosen).down(lambda note: notes().print(note), delete=delete))
    if output is OutputFormat.JSON:
        print_json({"home": str(chosen.path), "up": False, "deleted": delete})
    else:
        outcome = "is stopped and its home removed" if delete else "is stopped"
        notes().print(f"The fleet in {chosen.path} {outcome}.", markup=False)


@app.command()
def status(home: HomeOption = None, output: OutputOption = OutputFormat.TABLE) -> None:
    """Show processes, cells, versions, ports and health; exit 1 when something is down."""
    from controlplane.cli.fleet_view import print_status, show_status
    from controlplane.local.home import Home
    from controlplane.local.status import fleet_status

    with _readable():
        found = asyncio.run(fleet_status(Home.choose(home)))
    if output is OutputFormat.JSON:
        print_status(found)
    else:
        show_status(found)
    if not found.up:
        raise typer.Exit(1)


@app.command()
def logs(
    name: Annotated[str, typer.Argument(help="A process, as `controlplane status` calls it.")],
    home: HomeOption = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it grows.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many to show.")] = 100,
) -> None:
    """Print the end of a process's log."""
    from controlplane.local.home import Home
    from controlplane.local.logs import ProcessLog

    with _readable():
        log = ProcessLog.of(Home.choose(home), name)
        for line in log.follow(lines) if follow else log.last(lines):
            typer.echo(line, nl=False)


@app.command()
def env(
    home: HomeOption = None,
    output: Annotated[EnvFormat, typer.Option("--output", "-o")] = EnvFormat.SHELL,
) -> None:
    """Print shell exports that point clients at the fleet: eval "$(controlplane env)"."""
    from controlplane.local.fleet import Fleet
    from controlplane.local.home import Home

    with _readable():
        exports = asyncio.run(Fleet(Home.choose(home)).exports())
    if output is EnvFormat.JSON:
        print_json(exports)
    else:
        for variable, value in exports.items():
            typer.echo(f"export {variable}={shlex.quote(value)}")


@contextmanager
def _readable() -> Iterator[None]:
    """Turn what is wrong with a fleet into a message and an exit code."""
    from controlplane.cli.failures import CommandFailed, readable_failures
    from controlplane.local.failures import FleetFailed

    with readable_failures():
        try:
            yield
        except FleetFailed as failure:
            raise CommandFailed(str(failure)) from failure
