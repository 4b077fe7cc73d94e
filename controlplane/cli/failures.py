"""How a command ends badly: one message for people on stderr, and an exit code."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from controlplane.cli.output import notes

DONE = 0
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


class NothingToChange(CommandFailed):
    """Everything is as it was asked for already: said, and a success."""

    exit_code = DONE


def says_nothing_to_change(refusal: str) -> bool:
    """Return whether the API refused a change because nothing would change.

    Its clients know this by the words alone (Terraform's provider and Temporal's CLIs do).
    """
    return "nothing to change" in refusal


@contextmanager
def readable_failures() -> Iterator[None]:
    """Turn a failure into a message on stderr and the exit code that goes with it."""
    try:
        yield
    except NothingToChange as nothing:
        notes().print(f"{str(nothing)[:1].upper()}{str(nothing)[1:]}", markup=False)
    except CommandFailed as failure:
        notes().print("[bold red]Error:[/]", end=" ")
        notes().print(str(failure), markup=False)
        raise typer.Exit(failure.exit_code) from failure
    except KeyboardInterrupt as interrupt:
        raise typer.Exit(INTERRUPTED) from interrupt
