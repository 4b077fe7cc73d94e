"""What commands print: tables for people, stable JSON for programs. Results go to stdout alone."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from google.protobuf.message import Message

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


class OutputFormat(StrEnum):
    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[
    OutputFormat, typer.Option("--output", "-o", help="What stdout holds: for people or programs.")
]


UNWRAPPED_COLUMNS = 1000
"""As wide as no table is: what is not read on a terminal is not wrapped for one."""


def results() -> Console:
    """Return the console for results: stdout."""
    width = None if sys.stdout.isatty() else UNWRAPPED_COLUMNS
    return Console(width=width, soft_wrap=True, highlight=False)


def notes() -> Console:
    """Return the console for everything that is not the result: stderr."""
    return Console(stderr=True, soft_wrap=True, highlight=False)


def print_json(value: Json) -> None:
    typer.echo(json.dumps(value, indent=2))


def print_message(message: "Message") -> None:
    """Print a protobuf message in its canonical JSON, fields with default values included."""
    # Imported late: every command imports this module, and few print messages.
    from google.protobuf.json_format import MessageToJson

    typer.echo(MessageToJson(message, always_print_fields_with_no_presence=True))


def print_value(value: object) -> None:
    """Print what the Fleet API answered, in its own words: dataclasses as objects of JSON."""
    from pydantic_core import to_json

    typer.echo(to_json(value, indent=2))


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print what there is to say of one thing, a line for each."""
    lines = list(facts)
    width = max(len(what) for what, _ in lines) + 2
    for what, value in lines:
        results().print(f"{what:<{width}}{value}", markup=False)


def table(*columns: str) -> Table:
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column, overflow="fold")
    return grid


def seconds(duration: timedelta) -> str:
    """Return a duration as people read it: `0.04 s`, `12.3 s`, `3 min 20 s`."""
    total = duration.total_seconds()
    if total >= 60:
        return f"{int(total // 60)} min {int(total % 60)} s"
    return f"{total:.1f} s" if total >= 10 else f"{total:.2f} s"


def moment(at: datetime) -> str:
    """Return a point in time in the reader's time zone, to the second."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
