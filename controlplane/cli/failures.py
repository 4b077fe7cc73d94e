"""How a command ends badly: one message for people on stderr, and an exit code."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from controlplane.cli.output import notes

FAILED = 1
USAGE = 2
INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""


class CommandFailed(Exception):
    """Something a person can act on. The message says what was wrong and what to do."""

    exit_code = FAILED


class UsageError(CommandFailed):
    """The command line asks for something that makes no sense; nothing was sent."""

    exit_code = USAGE


@contextmanager
def readable_failures() -> Iterator[None]:
    """Turn a failure into a message on stderr and the exit code that goes with it."""
    try:
        yield
    except CommandFailed as failure:
        notes().print("[bold red]Error:[/]", end=" ")
        notes().print(str(failure), markup=False)
        raise typer.Exit(failure.exit_code) from failure
    except KeyboardInterrupt as interrupt:
        raise typer.Exit(INTERRUPTED) from interrupt
