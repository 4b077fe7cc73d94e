"""Prometheus beside a fleet: what it scrapes, and the program where the machine has one.

Whoever runs a Prometheus of their own gives it `<home>/prometheus.yml`.
"""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from controlplane.local.cells import CellLayout
from controlplane.local.failures import FleetFailed
from controlplane.local.home import FleetRecord, Home, keep_file
from controlplane.local.ports import LOOPBACK
from controlplane.local.supervisord_config import Program

PROMETHEUS = "prometheus"
"""The program, and its port in the record."""
PROGRAM_VARIABLE = "CONTROLPLANE_PROMETHEUS_PROGRAM"
SCRAPE_SECONDS = 5

_RETENTION = "30d"


class NoPrometheus(FleetFailed):
    """The program that was asked for is not there."""


def prometheus_program(recorded: str, env: Mapping[str, str] = os.environ) -> str:
    """Return the program asked for, else the one on the path, else the one `recorded` before.

    Empty when there is none.
    """
    path = env.get("PATH")
    if wanted := env.get(PROGRAM_VARIABLE):
        found = shutil.which(wanted, path=path)
        if found is None:
            raise NoPrometheus(f"{PROGRAM_VARIABLE} names {wanted!r}, which is no program")
    else:
        found = shutil.which(PROMETHEUS, path=path) or shutil.which(recorded)
    return str(Path(found).absolute()) if found else ""


def write_scraping(home: Home, cells: Iterable[CellLayout]) -> Path:
    """Write the configuration that scrapes the server of every cell, and return its file."""
    targets = [_target(layout) for layout in cells]
    found_in = home.folder(PROMETHEUS) / "cells.json"
    keep_file(found_in, json.dumps(targets, indent=2).encode() + b"\n")
    interval = f"{SCRAPE_SECONDS}s"
    # Relative to this file. Prometheus reads the targets again whenever they change.
    job = {
        "job_name": "cells",
        "file_sd_configs": [{"files": [f"{PROMETHEUS}/{found_in.name}"]}],
    }
    configuration = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "scrape_configs": [job],
    }
    file = home.path / "prometheus.yml"
    keep_file(file, yaml.safe_dump(configuration, sort_keys=False).encode())
    return file


def scraper(record: FleetRecord, configuration: Path) -> Program:
    """Return how to run the fleet's own Prometheus."""
    data = configuration.with_name(PROMETHEUS) / "data"
    return Program(
        PROMETHEUS,
        [
            record.prometheus_program,
            f"--config.file={configuration}",
            f"--storage.tsdb.path={data}",
            f"--storage.tsdb.retention.time={_RETENTION}",
            f"--web.listen-address={LOOPBACK}:{record.ports[PROMETHEUS]}",
            "--log.level=warn",
        ],
        reads=[configuration],
    )


def _target(layout: CellLayout) -> dict[str, object]:
    cell = layout.cell
    return {
        "targets": [layout.record.address(f"{cell.id}.metrics")],
        "labels": {
            "cell": cell.id,
            "ring": str(cell.ring),
            "region": cell.region,
            "provider": cell.provider.value,
        },
    }
