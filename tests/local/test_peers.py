"""How the cells of a fleet know each other's ingresses."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from psycopg import AsyncConnection

from cells.ingress.gatekeeper.authorizer import OurAuthorities, PeerAllowed, authorize
from cells.ingress.peers import read_peer, write_peer
from cells.ingress.records import AdmissionRules, IngressRecord
from controlplane.local.cells import CELLS
from controlplane.local.databases import prepare_databases
from controlplane.local.fleet_secrets import ensure_secrets, read, read_text
from controlplane.local.home import FleetRecord
from controlplane.local.postgres import superuser
from controlplane.secrets.memory import MemorySecretStore
from controlplane.secrets.port import (
    PEER_CA,
    PROBER_CA,
    cell_database,
    cell_gatekeeper_database,
    cell_peer_certificate,
)
from provisioning.certificates.x509 import CertificateAndKey
from tests.postgres import running_postgres

EAST, WEST = CELLS[3], CELLS[1]
RECORD = IngressRecord(
    namespace="orders.acme1",
    uid="u1",
    server_name="orders.acme1.fleet.test",
    admitted=True,
    rules=AdmissionRules(),
    certificate_chain="",
    sealed_key=b"",
)


async def test_every_cell_has_a_certificate_by_which_the_others_know_it() -> None:
    store, cells = MemorySecretStore(), [EAST.id, WEST.id]
    await ensure_secrets(store, cells)
    authorities = [
        CertificateAndKey.from_pem(await read(store, name)).certificate_pem.decode()
        for name in (PROBER_CA, PEER_CA)
    ]
    before = dict(store.values)

    for cell in cells:
        held = CertificateAndKey.from_pem(await read(store, cell_peer_certificate(cell)))
        shown = held.certificate_pem.decode()
        decision = authorize(RECORD, shown, OurAuthorities(*authorities), datetime.now(UTC))
        assert decision == PeerAllowed(RECORD.namespace, cell)

    await ensure_secrets(store, cells)
    assert store.values == before


async def test_a_home_of_an_earlier_version_keeps_its_gatekeepers_passwords() -> None:
    former, store = f"local/cells/{EAST.id}/gatekeeper-database", MemorySecretStore()
    await store.put(former, b"kept")

    for _ in range(2):
        await ensure_secrets(store, [EAST.id])

    assert await store.get(cell_gatekeeper_database(EAST.id)) == b"kept"
    assert await store.get(former) is None


async def test_a_fleet_that_starts_at_other_ports_corrects_what_its_cells_know(
    tmp_path: Path,
) -> None:
    store = MemorySecretStore()
    await ensure_secrets(store, [cell.id for cell in CELLS])
    async with running_postgres(tmp_path) as postgres:
        ports = {f"{cell.id}.ingress": 7001 + number for number, cell in enumerate(CELLS)}
        record = FleetRecord("", "", ports={**ports, "postgres": postgres.server.port})

        async def start(record: FleetRecord) -> None:
            async with superuser(postgres.server, postgres.password) as connection:
                await prepare_databases(record, connection, store)

        await start(record)
        async with await AsyncConnection.connect(
            record.database_url(EAST.database, EAST.database),
            password=await read_text(store, cell_database(EAST.id)),
            autocommit=True,
        ) as connection:
            await write_peer(connection, WEST.id, record.address(f"{WEST.id}.ingress"))
            moved = replace(record, ports={**record.ports, f"{WEST.id}.ingress": 7999})
            await start(moved)

            assert await read_peer(connection, WEST.id) == "127.0.0.1:7999"
            # What it never passed a request on to is nothing that it has to know.
            assert await read_peer(connection, CELLS[0].id) is None
