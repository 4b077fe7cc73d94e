"""The arguments and options that many commands have, each stated once."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated
from uuid import uuid4

import typer

from controlplane.cli.api import Api, connect
from controlplane.cli.completion import complete_namespace
from controlplane.cli.connection import AddressOption, ApiKeyOption, Connection, UrlOption, resolve
from controlplane.cli.failures import UsageError

PATIENCE_SECONDS = 600
"""How long an operation is waited for unless said."""

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="Short name, or full id with the account.",
        show_default=False,
        autocompletion=complete_namespace,
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@dataclass(frozen=True)
class ApiOptions:
    """Which API is called, and as whom."""

    address: AddressOption = None
    url: UrlOption = None
    api_key: ApiKeyOption = None

    async def resolve(self) -> Connection:
        return await resolve(self.address, self.url, self.api_key)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Api]:
        """Open the API; what goes wrong with it inside the block is raised as CommandFailed."""
        async with connect(await self.resolve()) as api:
            yield api


TimeoutOption = Annotated[
    int,
    typer.Option(
        "--timeout",
        min=1,
        metavar="SECONDS",
        help="How long to wait for the end; the operation itself goes on.",
    ),
]


@dataclass(frozen=True)
class WaitOptions:
    """How long to stay with what was begun."""

    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Return once it is accepted; it goes on.")
    ] = False
    within: TimeoutOption = PATIENCE_SECONDS


@dataclass(frozen=True)
class ChangeOptions(WaitOptions):
    """What the operation of a change is called, and how long to stay with it."""

    operation_id: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Name the operation; asking twice under one id does it once.",
            show_default=False,
        ),
    ] = None

    def name_operation(self) -> str:
        """Return the operation's id: a new one with every call, unless it was given."""
        return self.operation_id or str(uuid4())


def confirm(question: str, yes: bool) -> None:
    """Ask on a terminal; elsewhere only --yes will do."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question} There is no terminal to ask on: confirm it with --yes")
    typer.confirm(question, abort=True, err=True)
