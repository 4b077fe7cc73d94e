"""`controlplane account`: the account, and its limits."""

from dataclasses import asdict
from typing import Annotated

import typer
from temporalio.api.cloud.cloudservice.v1 import GetAccountRequest
from temporalio.api.cloud.resource.v1 import ResourceState

from controlplane.cli.command import command, example, group
from controlplane.cli.failures import UsageError
from controlplane.cli.options import ApiOptions
from controlplane.cli.output import (
    OutputFormat,
    OutputOption,
    print_facts,
    print_message,
    print_value,
    results,
    table,
)
from controlplane.identity.limits import DEFAULTS, AccountLimits

app = group("Show the account, and set its limits.")
limits = group("Show and set the account's limits.")
app.add_typer(limits, name="limits")

DEFAULT = "default"


@app.command()
@command
async def get(*, api: ApiOptions, output: OutputOption = OutputFormat.TABLE) -> None:
    """Show the account."""
    async with api.connect() as opened:
        answer = await opened.cloud.cloud_service.get_account(GetAccountRequest(), retry=True)
    account = answer.account
    if output is OutputFormat.JSON:
        print_message(account)
        return
    print_facts(
        [
            ("Account", account.id),
            ("State", ResourceState.Name(account.state).removeprefix("RESOURCE_STATE_")),
            ("Version", account.resource_version),
        ]
    )


@limits.command("list")
@command
async def list_limits(*, api: ApiOptions, output: OutputOption = OutputFormat.TABLE) -> None:
    """List the account's limits; those that differ from the documented ones are marked."""
    async with api.connect() as opened:
        found = await opened.fleet.limits()
    _show(found, output)


@limits.command(
    "set",
    epilog=example(
        "controlplane account limits set namespaces=50 requests_per_second=400",
        "controlplane account limits set namespaces=default",
    ),
)
@command
async def set_limits(
    changes: Annotated[
        list[str],
        typer.Argument(
            metavar="LIMIT=NUMBER…", help="Or LIMIT=default, as documented.", show_default=False
        ),
    ],
    *,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Set limits of the account; all of them, or with one refusal none. In force in seconds."""
    wanted = dict(map(_read, changes))
    async with api.connect() as opened:
        _show(await opened.fleet.set_limits(wanted), output)


def _read(text: str) -> tuple[str, int | None]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise UsageError(f"{text!r} is not LIMIT=NUMBER")
    if value == DEFAULT:
        return name, None
    try:
        return name, int(value)
    except ValueError as error:
        raise UsageError(f"{name} cannot be {value!r}: give a number, or {DEFAULT}") from error


def _show(found: AccountLimits, output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        print_value(found)
        return
    rows = table("LIMIT", "VALUE", "DOCUMENTED")
    documented = asdict(DEFAULTS)
    for name, value in asdict(found).items():
        rows.add_row(name, str(value), "" if value == documented[name] else str(documented[name]))
    results().print(rows)
