"""The control plane's own programs in an embedded fleet: engine, PostgreSQL, DNS, worker, API."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from controlplane.local.cells import CELLS
from controlplane.local.databases import CONTROLPLANE
from controlplane.local.home import FleetRecord, Home, keep_file
from controlplane.local.postgres import PostgresServer
from controlplane.local.prometheus import PROMETHEUS, SCRAPE_SECONDS
from controlplane.local.supervisord_config import Program
from controlplane.local.temporal_server import (
    ENGINE_NAMESPACE,
    TemporalPorts,
    engine_command,
    server_environment,
)

ENGINE, POSTGRES, DNS, WORKER, API = "engine", "postgres", "dns", "worker", "api"
PROGRAMS = (ENGINE, POSTGRES, DNS, WORKER, API)

PORTS = {
    "engine": ENGINE,
    "engine-http": ENGINE,
    "engine-metrics": ENGINE,
    "engine-ui": ENGINE,
    "postgres": POSTGRES,
    "dns": DNS,
    "api": API,
    "api-tls": API,
    "api-http": API,
}
"""The names of the control plane's ports in the record, and the program that listens on each."""

RUNTIME_HOME_VARIABLE = "CONTROLPLANE_RUNTIME_HOME"
"""Tells the worker in whose home the cells run that it changes."""


@dataclass(frozen=True)
class ControlPlaneLayout:
    """Where the control plane's programs answer, and how they are run."""

    home: Home
    record: FleetRecord
    postgres: PostgresServer

    def programs(self, dns_configuration: Path) -> Sequence[Program]:
        """Write what the programs read, and return how to run them."""
        # Temporal's own kind of configuration file: nobody's personal profile is used instead.
        profile = {"address": self.record.address("engine"), "namespace": ENGINE_NAMESPACE}
        keep_file(
            self.home.path / "temporal.toml",
            "[profile.default]\n{}\n".format(
                "\n".join(f"{name} = {json.dumps(value)}" for name, value in profile.items())
            ).encode(),
        )
        ports, ours = self.record.ports, self.record.versions["controlplane"]
        return [
            Program(
                ENGINE,
                engine_command(
                    self.home.folder("engine") / "temporal.db",
                    TemporalPorts(ports["engine"], ports["engine-http"], ports["engine-metrics"]),
                    ui=ports["engine-ui"],
                ),
                server_environment(self.home.path),
                version=self.record.versions["temporal"],
            ),
            Program(
                POSTGRES,
                self.postgres.command,
                user=self.postgres.user,
                version=self.record.versions["postgresql"],
                # "Fast": SIGTERM would wait for every client to leave by itself.
                stop_signal="INT",
            ),
            Program(DNS, _ourselves("dns", str(dns_configuration)), reads=[dns_configuration]),
            Program(
                WORKER,
                _ourselves("worker"),
                {
                    **service_environment(self.home, self.record),
                    RUNTIME_HOME_VARIABLE: str(self.home.path),
                    **self._metrics,
                },
                version=ours,
            ),
            Program(
                API,
                _ourselves("api"),
                {
                    **service_environment(self.home, self.record),
                    "CONTROLPLANE_API_GRPC_LISTEN": self.record.address("api"),
                    "CONTROLPLANE_API_TLS_LISTEN": self.record.address("api-tls"),
                    "CONTROLPLANE_API_HTTP_LISTEN": self.record.address("api-http"),
                    # One tries things out here.
                    "CONTROLPLANE_REPLICA_COOLDOWN": "0",
                },
                version=ours,
            ),
        ]

    @property
    def _metrics(self) -> dict[str, str]:
        if not self.record.prometheus_program:
            return {}
        return {
            "CONTROLPLANE_PROMETHEUS_URL": f"http://{self.record.address(PROMETHEUS)}",
            "CONTROLPLANE_PROMETHEUS_SCRAPE_SECONDS": str(SCRAPE_SECONDS),
        }


def service_environment(home: Home, record: FleetRecord) -> dict[str, str]:
    """Return the environment in which the worker and the API find everything else."""
    return {
        **server_environment(home.path),
        "CONTROLPLANE_DATABASE_URL": record.database_url(CONTROLPLANE, CONTROLPLANE),
        "CONTROLPLANE_SECRETS_DIR": str(home.secrets),
        "CONTROLPLANE_SECRETS_KEY_FILE": str(home.secrets_key),
        "CONTROLPLANE_ZONE": record.zone,
        "CONTROLPLANE_DNS_SERVERS": record.address("dns"),
        "CONTROLPLANE_REGIONS": ",".join(sorted({cell.region for cell in CELLS})),
    }


def _ourselves(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "controlplane", *arguments]
