"""The state of an embedded fleet, for people and for programs."""

import shlex
from datetime import timedelta
from pathlib import Path

from rich.table import Table
from rich.text import Text

from controlplane.cli.output import Json, print_json, results, table
from controlplane.local.preparation import PROGRAM_OF_PORT
from controlplane.local.prometheus import PROMETHEUS
from controlplane.local.status import CellStatus, FleetStatus
from controlplane.local.supervisor import ProgramStatus


def show_status(status: FleetStatus) -> None:
    """Print processes, each with its main port, and cells as tables; then the addresses."""
    out = results()
    record = status.record
    out.print(f"home {record.home}   zone {record.zone}   account {record.account}", markup=False)
    versions = "   ".join(f"{name} {version}" for name, version in record.versions.items())
    out.print(f"{versions}\n", markup=False)

    programs = _table("PROCESS", "STATE", "PID", "UPTIME", "RESTARTS", "PORT")
    for program in status.programs:
        programs.add_row(
            program.name,
            _coloured(program.state.name.lower(), good=program.up),
            str(program.pid or "-"),
            str(timedelta(seconds=program.uptime_seconds)) if program.pid else "-",
            str(program.restarts),
            str(next(iter(_ports_of(status, program).values()), "-")),
        )
    out.print(programs)

    cells = _table("CELL", "REGION", "RING", "TEMPORAL", "INGRESS", "HEALTH")
    for cell in status.cells:
        cells.add_row(
            cell.id,
            cell.region,
            str(cell.ring),
            cell.version or "-",
            cell.ingress.rpartition(":")[2],
            _coloured("; ".join(cell.problems) or "ok", good=not cell.problems),
        )
    out.print()
    out.print(cells)

    address = record.address
    out.print(f"\nCloud Ops API  {address('api')} (plaintext), {address('api-tls')} (TLS)")
    out.print(f"Fleet API      http://{address('api-http')}")
    out.print(f"Temporal UI    http://{address('engine-ui')}/namespaces/controlplane/workflows")
    if PROMETHEUS in record.ports:
        out.print(f"Prometheus     http://{address(PROMETHEUS)}")


def show_next_steps(home: Path | None) -> None:
    """Print what to do with a fleet that is up; `home` is the one named on the command line."""
    out = results()
    option = "" if home is None else f" --home {shlex.quote(str(home))}"
    out.print(f'\nUse it:   eval "$(controlplane env{option})"', markup=False)
    out.print(f"Stop it:  controlplane down{option}", markup=False)


def print_status(status: FleetStatus) -> None:
    """Print the whole state as JSON."""
    record = status.record
    print_json(
        {
            "home": record.home,
            "up": status.up,
            "zone": record.zone,
            "account": record.account,
            "versions": record.versions,
            "addresses": {name: record.address(name) for name in record.ports},
            "processes": [_program(status, program) for program in status.programs],
            "cells": [_cell(cell) for cell in status.cells],
        }
    )


def _program(status: FleetStatus, program: ProgramStatus) -> Json:
    return {
        "name": program.name,
        "state": program.state.name,
        "up": program.up,
        "pid": program.pid,
        "uptime_seconds": program.uptime_seconds,
        "restarts": program.restarts,
        "message": program.message,
        "ports": _ports_of(status, program),
    }


def _cell(cell: CellStatus) -> Json:
    return {
        "id": cell.id,
        "provider": cell.provider,
        "region": cell.region,
        "ring": cell.ring,
        "ingress": cell.ingress,
        "version": cell.version,
        "healthy": not cell.problems,
        "problems": list(cell.problems),
    }


def _table(*columns: str) -> Table:
    """Return a table of which only the last column is ever wrapped."""
    grid = table(*columns)
    for column in grid.columns[:-1]:
        column.no_wrap = True
    return grid


def _ports_of(status: FleetStatus, program: ProgramStatus) -> dict[str, int]:
    return {
        name: port
        for name, port in status.record.ports.items()
        if PROGRAM_OF_PORT[name] == program.name
    }


def _coloured(text: str, *, good: bool) -> Text:
    return Text(text, style="green" if good else "bold red")
