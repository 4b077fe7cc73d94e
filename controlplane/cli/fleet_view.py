"""The state of an embedded fleet, for people and for programs."""

from datetime import timedelta

from rich.table import Table
from rich.text import Text

from controlplane.cli.output import Json, print_json, results, table
from controlplane.local.preparation import PROGRAM_OF_PORT
from controlplane.local.status import CellStatus, FleetStatus
from controlplane.local.supervisor import ProgramStatus


def show_status(status: FleetStatus) -> None:
    """Print processes and cells as tables."""
    out = results()
    record = status.record
    out.print(f"home {record.home}   zone {record.zone}   account {record.account}", markup=False)
    versions = "   ".join(f"{name} {version}" for name, version in record.versions.items())
    out.print(f"{versions}\n", markup=False)

    programs = _table("PROCESS", "STATE", "PID", "UPTIME", "RESTARTS", "PORTS")
    for program in status.programs:
        programs.add_row(
            program.name,
            _coloured(program.state.name.lower(), good=program.up),
            str(program.pid or "-"),
            str(timedelta(seconds=program.uptime_seconds)) if program.pid else "-",
            str(program.restarts),
            _ports(status, program),
        )
    out.print(programs)

    cells = _table("CELL", "REGION", "RING", "TEMPORAL", "INGRESS", "HEALTH")
    for cell in status.cells:
        cells.add_row(
            cell.id,
            cell.region,
            str(cell.ring),
            cell.version or "-",
            cell.ingress,
            _coloured("; ".join(cell.problems) or "ok", good=not cell.problems),
        )
    out.print()
    out.print(cells)


def show_addresses(status: FleetStatus) -> None:
    """Print where the control plane answers, and what to do next."""
    out = results()
    address = status.record.address
    out.print(f"\nCloud Ops API  {address('api')} (plaintext), {address('api-tls')} (TLS)")
    out.print(f"Fleet API      http://{address('api-http')}")
    out.print(f"Temporal UI    http://{address('engine-ui')}/namespaces/controlplane/workflows")
    out.print('\nUse it:   eval "$(controlplane env)"')
    out.print("Stop it:  controlplane down")


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


def _ports(status: FleetStatus, program: ProgramStatus) -> str:
    prefixes = (f"{program.name}-", f"{program.name.partition('.')[0]}.")
    shown = []
    for name, port in _ports_of(status, program).items():
        for prefix in prefixes:
            name = name.removeprefix(prefix)
        shown.append(str(port) if name == program.name else f"{name} {port}")
    return ", ".join(shown)


def _ports_of(status: FleetStatus, program: ProgramStatus) -> dict[str, int]:
    return {
        name: port
        for name, port in status.record.ports.items()
        if PROGRAM_OF_PORT[name] == program.name
    }


def _coloured(text: str, *, good: bool) -> Text:
    return Text(text, style="green" if good else "bold red")
