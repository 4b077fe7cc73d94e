"""How a command ends badly: one message for people on stderr, and an exit code."""

import asyncio
import functools
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import ParamSpec

import typer

from controlplane.cli.output import notes

FAILED = 1
USAGE = 2
INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""

P = ParamSpec("P")


class CommandFailed(Exception):
    """Something a person can act on. The message says what was wrong and what to do."""

    exit_code = FAILED


class UsageError(CommandFailed):
    """The command line asks for something that makes no sense; nothing was sent."""

    exit_code = USAGE


def command(run: Callable[P, Coroutine[None, None, None]]) -> Callable[P, None]:
    """Make an async function a command of Typer's, its failures readable."""

    @functools.wraps(run)
    def run_to_the_end(*args: P.args, **kwargs: P.kwargs) -> None:
        with readable_failures():
            asyncio.run(run(*args, **kwargs))

    return run_to_the_end


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
