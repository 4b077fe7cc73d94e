"""Commands of Typer's made of async functions, and the groups of options that they share.

A group is a frozen dataclass with an option in each field. A command takes one as a keyword
parameter, and has its options:

    @app.command()
    @command
    async def get(name: NameArgument, *, api: ApiOptions, output: OutputOption = TABLE) -> None:
"""

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import fields, is_dataclass
from inspect import Parameter, Signature
from typing import get_type_hints

import typer

from controlplane.cli.failures import readable_failures


def command(run: Callable[..., Coroutine[None, None, None]]) -> Callable[..., None]:
    """Make an async function a command, its groups options and its failures readable."""
    signature = inspect.signature(run, eval_str=True)
    groups = {
        parameter.name: parameter.annotation
        for parameter in signature.parameters.values()
        if _is_group(parameter)
    }

    @functools.wraps(run)
    def run_to_the_end(**given: object) -> None:
        for name, group in groups.items():
            given[name] = group(**{option.name: given.pop(option.name) for option in fields(group)})
        with readable_failures():
            asyncio.run(run(**given))

    options = signature.replace(parameters=list(_options(signature)))
    run_to_the_end.__signature__ = options  # type: ignore[attr-defined]  # What Typer reads.
    return run_to_the_end


def group(help_text: str = "") -> typer.Typer:
    """Return a group for commands."""
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        # In frames, the names of options are cut off on a terminal of 80 columns.
        rich_markup_mode=None,
    )


def example(*lines: str) -> str:
    """Return command lines as the end of a command's help."""
    # From \b on, to the next empty line, help leaves lines as they are.
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def _options(signature: Signature) -> Iterator[Parameter]:
    for parameter in signature.parameters.values():
        if not _is_group(parameter):
            yield parameter
            continue
        hints = get_type_hints(parameter.annotation, include_extras=True)
        for option in fields(parameter.annotation):
            yield Parameter(
                option.name,
                Parameter.KEYWORD_ONLY,
                default=option.default,
                annotation=hints[option.name],
            )


def _is_group(parameter: Parameter) -> bool:
    return is_dataclass(parameter.annotation)
