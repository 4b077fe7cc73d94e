"""A replica in a second cell, whose ingress passes requests on to the first."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import grpc
import psycopg
import pytest
from temporalio.exceptions import ApplicationError

from cells.ingress.records import AdmissionRules
from controlplane.secrets.port import cell_database, cell_sealing_key, namespace_database
from provisioning.certificates.x509 import CertificateAndKey
from provisioning.database import Credential
from provisioning.handshake import Endpoint, client_context, knock
from provisioning.ports import Incarnation
from provisioning.proof import ProofFailed
from tests.cells.ingress.small_cell import CELL, SmallCell, Tenant, small_cell
from tests.cells.ingress.wire import HEALTH, RawChannel, raw_channel
from tests.eventually import eventually
from tests.postgres import RunningPostgres
from tests.provisioning.cell_databases import query
from tests.provisioning.whole_cell import WholeCell, addresses_of, running_whole_cell

WEST = "aws-us-west-2-c1"
NOBODY = "127.0.0.1:1"


@dataclass(frozen=True)
class Replicated:
    """A cell in which namespaces are active, and one in which they are passive: nothing answers
    behind its ingress, so that whatever is answered there was passed on."""

    active: WholeCell
    west: SmallCell

    async def newcomer(self) -> tuple[Incarnation, Tenant, str]:
        """Return a namespace that is active, and its certificate's fingerprint."""
        target, tenant = self.active.newcomer()
        certificate = await self.active.prepare(target, tenant)
        await self.active.admit(target, tenant)
        return target, tenant, certificate.fingerprint

    async def extend(self, target: Incarnation, tenant: Tenant, replica: int = 1) -> Incarnation:
        """Add a passive replica, up to what its ingress enforces."""
        passive = replace(target, cell=WEST, replica=replica)
        await self.active.databases.prepare(passive, tenant.server_name)
        await self.active.ingress.route(passive, CELL)
        await self.active.admit(passive, tenant)
        return passive

    async def prove(self, passive: Incarnation, tenant: Tenant, fingerprint: str) -> None:
        # Envoy hears of a route a moment after the gatekeeper has it.
        await answering(self.west, tenant, grpc.StatusCode.OK)
        await self.active.prober.prove(passive, tenant.server_name, fingerprint, False, at=WEST)

    async def route_of(self, target: Incarnation) -> object:
        [[active_cell]] = await query(
            self.west.database.conninfo,
            "SELECT active_cell FROM namespaces WHERE namespace = %s",
            target.namespace,
        )
        return active_cell


@pytest.fixture(scope="module")
async def cells(
    postgres: RunningPostgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Replicated]:
    async with (
        running_whole_cell(postgres, tmp_path_factory.mktemp("cell")) as active,
        small_cell(
            postgres,
            tmp_path_factory.mktemp("west"),
            NOBODY,
            name=WEST,
            authorities=active.cell.authorities,
        ) as west,
    ):
        active.directory.addresses[WEST] = addresses_of(west)
        await active.secrets.put(cell_database(WEST), west.database.password.encode())
        sealing_key = west.gatekeeper.sealing_key_file.read_bytes()
        await active.secrets.put(cell_sealing_key(WEST), sealing_key)
        yield Replicated(active, west)


async def test_a_passive_replica_is_proven_at_its_own_ingress_wherever_the_name_leads(
    cells: Replicated,
) -> None:
    target, tenant, fingerprint = await cells.newcomer()
    passive = await cells.extend(target, tenant)
    cells.active.unpublished.add(tenant.server_name)

    for _ in range(2):
        await cells.prove(passive, tenant, fingerprint)


async def test_an_ingress_that_passes_nothing_on_is_not_proven(cells: Replicated) -> None:
    target, tenant, fingerprint = await cells.newcomer()
    passive = await cells.extend(target, tenant)
    await cells.active.ingress.route(passive, "")
    await answering(cells.west, tenant, grpc.StatusCode.UNAVAILABLE)

    with pytest.raises(ProofFailed, match="a canary workflow: ") as failed:
        await cells.active.prober.prove(passive, tenant.server_name, fingerprint, False, at=WEST)
    assert cells.west.ingress.listen in str(failed.value)
    assert "its certificate" not in str(failed.value)


async def test_the_prober_is_passed_on_where_polls_are_not(cells: Replicated) -> None:
    target, tenant, fingerprint = await cells.newcomer()
    passive = await cells.extend(target, tenant)
    rules = AdmissionRules(client_ca=tenant.authority.pem, forward_polls=False)
    await cells.active.ingress.admit(passive, tenant.server_name, rules)

    await cells.prove(passive, tenant, fingerprint)


async def test_an_admission_leaves_requests_going_where_they_go(cells: Replicated) -> None:
    target, tenant, _ = await cells.newcomer()
    passive = await cells.extend(target, tenant)
    elsewhere = AdmissionRules(client_ca=tenant.authority.pem, active_cell="gcp-us-central1-c1")

    admission = await cells.active.ingress.admit(passive, tenant.server_name, elsewhere)

    assert await cells.route_of(passive) == admission.parts["active_cell"] == CELL
    assert await cells.active.ingress.observe(passive) == admission


async def test_a_route_is_part_of_what_is_seen_and_can_be_set_again(cells: Replicated) -> None:
    target, tenant, _ = await cells.newcomer()
    passive = await cells.extend(target, tenant)
    ingress = cells.active.ingress
    there = await ingress.observe(passive)

    for _ in range(2):
        await ingress.route(passive, "")
    here = await ingress.observe(passive)
    assert there is not None
    assert here is not None
    assert here.digest != there.digest
    assert "active_cell" not in here.parts

    await ingress.route(passive, CELL)
    assert await ingress.observe(passive) == there


async def test_a_peer_whose_address_is_not_what_it_should_be_is_seen_and_put_right(
    cells: Replicated,
) -> None:
    target, tenant, fingerprint = await cells.newcomer()
    passive = await cells.extend(target, tenant)
    before = await cells.active.ingress.observe(passive)
    await cells.west.know(CELL, NOBODY)

    seen = await cells.active.ingress.observe(passive)
    assert before is not None
    assert seen is not None
    assert seen.digest != before.digest
    expected = cells.active.cell.ingress.listen
    assert seen.parts["active_cell"] == f"{CELL}, believed to be at {NOBODY} and not at {expected}"

    await cells.active.ingress.route(passive, CELL)
    assert await cells.active.ingress.observe(passive) == before
    await cells.prove(passive, tenant, fingerprint)


async def test_nobody_is_let_in_by_a_route_alone(cells: Replicated) -> None:
    target, tenant, _ = await cells.newcomer()
    passive = replace(target, cell=WEST, replica=1)
    await cells.active.ingress.route(passive, CELL)
    await cells.active.databases.prepare(passive, tenant.server_name)
    await cells.active.ingress.route(passive, CELL)
    assert await cells.active.ingress.observe(passive) is None

    await cells.active.admit(passive, tenant)
    assert await cells.route_of(passive) == CELL


async def test_a_dismissed_replica_is_closed_and_forgets_its_route(cells: Replicated) -> None:
    target, tenant, fingerprint = await cells.newcomer()
    passive = await cells.extend(target, tenant)

    for _ in range(2):
        await cells.active.ingress.dismiss(passive)
        assert await cells.route_of(passive) == ""
        assert await shown_at(cells.west, tenant) is None

    await cells.active.prober.prove(target, tenant.server_name, fingerprint, False)


async def test_a_replica_comes_back_to_a_cell_at_once_and_late_calls_for_the_earlier_one_do_nothing(
    cells: Replicated,
) -> None:
    target, tenant, fingerprint = await cells.newcomer()
    former = await cells.extend(target, tenant)
    await cells.active.ingress.dismiss(former)
    await cells.active.databases.remove(former)

    with pytest.raises(ApplicationError, match=f"{target.uid}.1 was removed"):
        await cells.active.databases.prepare(former, tenant.server_name)
    successor = await cells.extend(target, tenant, replica=2)
    await cells.prove(successor, tenant, fingerprint)

    await cells.active.ingress.route(former, "")
    await cells.active.ingress.dismiss(former)
    await cells.active.databases.remove(former)
    with pytest.raises(ApplicationError, match=f"has uid {target.uid}.2, not {target.uid}.1"):
        await cells.active.admit(former, tenant)
    await cells.prove(successor, tenant, fingerprint)


async def test_each_replica_has_a_credential_of_its_own(cells: Replicated) -> None:
    """Also where both cells' databases are on one server: roles are the server's."""
    target, tenant, _ = await cells.newcomer()
    databases = cells.active.databases
    passive = await cells.extend(target, tenant)
    names = namespace_database(target.namespace), namespace_database(target.namespace, 1)
    before = [await cells.active.secrets.get(name) for name in names]
    seen = await databases.observe(target), await databases.observe(passive)
    assert [facts.flaw for facts in seen if facts is not None] == ["", ""]
    assert [facts.credential for facts in seen if facts is not None] == list(names)

    assert seen[1] is not None
    await databases.rotate(passive, seen[1].rotated_at)
    after = [await cells.active.secrets.get(name) for name in names]
    assert after[0] == before[0]
    assert after[1] != before[1]
    for value, cell in zip(after, (cells.active.cell, cells.west), strict=True):
        assert value is not None
        assert await own_rows(cell, Credential.from_json(value)) == [target.namespace]

    await databases.remove(passive)
    assert await cells.active.secrets.get(names[1]) is None
    facts = await databases.observe(target)
    assert facts is not None
    assert not facts.flaw


async def answering(cell: SmallCell, tenant: Tenant, code: grpc.StatusCode) -> None:
    """Wait until what the tenant asks at the cell's ingress is answered so, on two connections that
    are likely to be those of two of Envoy's threads."""
    for _ in range(2):
        async with raw_channel(cell, tenant) as channel:

            async def answered(channel: RawChannel = channel) -> bool:
                return (await channel.call(HEALTH, b"")).code is code

            await eventually(answered)


async def own_rows(cell: SmallCell, credential: Credential) -> list[object]:
    """Return the namespaces that whoever has the credential sees."""
    async with await psycopg.AsyncConnection.connect(
        cell.database.url, user=credential.username, password=credential.password
    ) as connection:
        rows = await connection.execute("SELECT namespace FROM namespaces")
        return [namespace for (namespace,) in await rows.fetchall()]


async def shown_at(cell: SmallCell, tenant: Tenant) -> str | None:
    """Return the fingerprint of what the cell's ingress shows the tenant, if it lets it in."""
    pem = f"{tenant.credential.certificate}{tenant.credential.private_key}".encode()
    host, _, port = cell.ingress.listen.rpartition(":")
    context = client_context(cell.fleet.pem.encode(), CertificateAndKey.from_pem(pem))
    answer = await knock(Endpoint(host, int(port), tenant.server_name), context)
    return None if answer is None else answer.fingerprint
