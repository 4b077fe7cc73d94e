"""`controlplane audit`: who asked for what, and what was decided."""

import sys
from collections import deque
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from controlplane.cli.audit_chain import Broken, ExportedRecord, check_chain, read_line
from controlplane.cli.command import command, example, group
from controlplane.cli.failures import CommandFailed, UsageError
from controlplane.cli.options import ApiOptions
from controlplane.cli.output import (
    OutputFormat,
    OutputOption,
    moment,
    notes,
    print_value,
    results,
    table,
)
from controlplane.store.audit_entries import AuditEntry

app = group("Read and check the audit log.")

STDIN = Path("-")
USUAL_SPAN = timedelta(days=30)
_NAMES = ("namespace", "keyId", "serviceAccountId")

SinceOption = Annotated[
    datetime | None,
    typer.Option("--from", help="Records from then on, in local time.", show_default=False),
]
UntilOption = Annotated[
    datetime | None,
    typer.Option("--to", help="Records before then, in local time.", show_default=False),
]


@app.command("list", epilog=example("controlplane audit list --last 100"))
@command
async def list_records(
    since: SinceOption = None,
    until: UntilOption = None,
    last: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="As many of the latest.")] = 50,
    *,
    api: ApiOptions,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """List the latest records of the audit log, of 30 days unless said, oldest first."""
    async with api.connect() as opened:
        records = deque[ExportedRecord](maxlen=last)
        begin = since or (until or datetime.now().astimezone()) - USUAL_SPAN
        async for read in _read(opened.fleet.audit_log(_at(begin), _at(until))):
            records.append(read)
    if output is OutputFormat.JSON:
        print_value(list(records))
        return
    if not records:
        notes().print("Nothing is recorded of that time.")
        return
    rows = table("AT", "WHO", "WHAT", "STATUS", "ABOUT", "OPERATION")
    for read in records:
        entry = read.record.entry
        rows.add_row(
            moment(read.record.emitted_at),
            entry.actor.name or entry.actor.type,
            entry.what,
            entry.status,
            _about(entry),
            entry.operation,
        )
    results().print(rows)


@app.command(
    epilog=example(
        "controlplane audit export > audit.ndjson",
        "controlplane audit export --from 2026-11-01 --to 2026-12-01 > november.ndjson",
    )
)
@command
async def export(
    since: SinceOption = None,
    until: UntilOption = None,
    *,
    api: ApiOptions,
) -> None:
    """Print the audit log as NDJSON, a record with its hash on each line, oldest first."""
    async with api.connect() as opened:
        async for line in opened.fleet.audit_log(_at(since), _at(until)):
            typer.echo(line)


@app.command(
    "verify-chain",
    epilog=example(
        "controlplane audit export | controlplane audit verify-chain -",
        "controlplane audit verify-chain november.ndjson --contains 9f86d081…",
    ),
)
@command
async def verify_chain(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An export; - is standard input.")],
    contains: Annotated[
        str | None,
        typer.Option(
            metavar="HASH",
            help="A hash kept from an earlier check: fail unless that record is there still.",
            show_default=False,
        ),
    ] = None,
    *,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Recompute the hashes of an export: nothing in it was changed, removed or put in between.

    This asks nobody. It does not prove what was before the first line or after the last: keep the
    last hash that it prints, and name it with --contains next time.
    """
    lines = _lines(file)
    try:
        chain = check_chain(lines)
    except Broken as broken:
        raise CommandFailed(f"{file}: {broken}") from broken
    if chain is None:
        raise CommandFailed(f"{file} holds no records")
    if contains is not None and not any(read_line(line).hash == contains for line in lines):
        raise CommandFailed(
            f"{file} does not contain the record of hash {contains}: the log was rewritten, or "
            "the export begins after it"
        )
    if output is OutputFormat.JSON:
        print_value(chain)
        return
    results().print(
        f"{chain.records} records, {chain.first} to {chain.last}, are as they were written.\n"
        f"The last hash is {chain.last_hash}",
        markup=False,
    )


async def _read(log: AsyncIterator[str]) -> AsyncIterator[ExportedRecord]:
    async for line in log:
        try:
            yield read_line(line)
        except Broken as broken:
            raise CommandFailed(f"a line of the audit log {broken}: {line[:200]}") from broken


def _about(entry: AuditEntry) -> str:
    """Return what the entry is about: as its namespace, or as request or answer name it."""
    said = [entry.details, entry.details.get("answer"), entry.details.get("request")]
    for fields in said:
        for name in _NAMES:
            found = fields.get(name) if isinstance(fields, Mapping) else None
            if isinstance(found, str) and found:
                return found
    return ""


def _lines(file: Path) -> list[str]:
    try:
        text = sys.stdin.read() if file == STDIN else file.read_text()
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    return [line for line in text.splitlines() if line.strip()]


def _at(moment_said: datetime | None) -> str | None:
    return None if moment_said is None else moment_said.astimezone().isoformat()
