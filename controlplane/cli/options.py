"""The arguments and options that many commands have, each stated once."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

from controlplane.cli.completion import complete_cell, complete_namespace
from controlplane.cli.connection import AddressOption, ApiKeyOption, Connection, UrlOption, resolve
from controlplane.cli.durations import read_moment
from controlplane.cli.failures import UsageError

if TYPE_CHECKING:
    from controlplane.cli.api import Api
    from controlplane.cli.operator_api import OperatorApi
    from controlplane.cli.rollout_api import RolloutApi

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
CellArgument = Annotated[
    str,
    typer.Argument(
        metavar="CELL", help="The cell's id.", show_default=False, autocompletion=complete_cell
    ),
]
UntilOption = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="How long, as in 2h or 3d, or until when, as in 2026-12-01T09:00.",
        show_default="until it is taken back",
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
    async def connect(self) -> AsyncIterator["Api"]:
        """Open the API; what goes wrong with it inside the block is raised as CommandFailed."""
        # Imported late: it takes as long as all the rest of many a command.
        from controlplane.cli.api import connect

        async with connect(await self.resolve()) as api:
            yield api

    @asynccontextmanager
    async def rollouts(self) -> AsyncIterator["RolloutApi"]:
        """Open the Fleet API for releases and rollouts, and nothing else of the API."""
        from controlplane.cli.fleet_http import open_fleet_http
        from controlplane.cli.rollout_api import RolloutApi

        connection = await self.resolve()
        async with open_fleet_http(connection) as http:
            yield RolloutApi(connection, http)

    @asynccontextmanager
    async def operators(self) -> AsyncIterator["OperatorApi"]:
        """Open the Fleet API for cells, ledger and calendar, and nothing else of the API."""
        from controlplane.cli.fleet_http import open_fleet_http
        from controlplane.cli.operator_api import OperatorApi

        async with open_fleet_http(await self.resolve()) as http:
            yield OperatorApi(http)


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


def read_until(text: str | None) -> datetime | None:
    """Return the point in time that `--until` names; None when it names none."""
    if text is None:
        return None
    try:
        return read_moment(text, datetime.now(UTC))
    except ValueError as error:
        raise UsageError(f"--until: {error}") from error
