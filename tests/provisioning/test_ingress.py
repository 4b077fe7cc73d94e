"""Admission through a real gatekeeper and a real Envoy."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from cryptography import x509
from temporalio.exceptions import ApplicationError

from cells.ingress.enforcement import Gatekeepers
from cells.ingress.records import AdmissionRules, CertificateFilter
from cells.ingress.sealing import new_key, open_sealed, private_key_context
from controlplane.secrets.port import cell_sealing_key, namespace_certificate
from provisioning.certificates.x509 import CertificateAndKey
from provisioning.handshake import Endpoint, client_context, knock
from provisioning.ingress import GatekeeperIngress
from provisioning.ports import ClientTrust, Incarnation
from tests.cells.ingress.authorities import Authority, Credential
from tests.cells.ingress.small_cell import CELL, Tenant
from tests.postgres import RunningPostgres
from tests.provisioning.cell_databases import query
from tests.provisioning.whole_cell import MONTH, WholeCell, running_whole_cell


@pytest.fixture(scope="module")
async def cell(
    postgres: RunningPostgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[WholeCell]:
    async with running_whole_cell(postgres, tmp_path_factory.mktemp("cell")) as running:
        yield running


def trust(tenant: Tenant) -> ClientTrust:
    return ClientTrust(tenant.authority.pem, managed_ca=False)


async def fingerprint_shown(
    cell: WholeCell, tenant: Tenant, credential: Credential | None = None
) -> str | None:
    """Return what the endpoint shows a client of the tenant; None when it turns it away."""
    credential = credential or tenant.credential
    pem = f"{credential.certificate}{credential.private_key}".encode()
    ip, _, port = cell.cell.ingress.listen.rpartition(":")
    context = client_context(cell.cell.fleet.pem.encode(), CertificateAndKey.from_pem(pem))
    answer = await knock(Endpoint(ip, int(port), tenant.server_name), context)
    return None if answer is None else answer.fingerprint


async def record(cell: WholeCell, target: Incarnation) -> tuple[object, ...]:
    [row] = await query(
        cell.cell.database.conninfo,
        "SELECT admitted, client_ca, certificate_filters, certificate_chain, sealed_key,"
        " updated_at FROM namespaces WHERE namespace = %s",
        target.namespace,
    )
    return row


async def test_an_admitted_endpoint_is_open_when_the_call_returns(cell: WholeCell) -> None:
    target, tenant = cell.newcomer()
    certificate = await cell.prepare(target, tenant)
    assert await fingerprint_shown(cell, tenant) is None

    await cell.admit(target, tenant)

    assert await fingerprint_shown(cell, tenant) == certificate.fingerprint
    client = await cell.cell.connect(tenant)
    await client.start_workflow("Any", id="any", task_queue="nobody")


async def test_admitting_again_changes_nothing(cell: WholeCell) -> None:
    target, tenant = cell.newcomer()
    await cell.prepare(target, tenant)
    admission = await cell.admit(target, tenant)
    before = await record(cell, target)

    assert await cell.admit(target, tenant) == admission
    assert await cell.ingress.observe(target) == admission
    assert await record(cell, target) == before


async def test_a_dismissed_endpoint_is_closed_and_empty_when_the_call_returns(
    cell: WholeCell,
) -> None:
    target, tenant = cell.newcomer()
    await cell.prepare(target, tenant)
    await cell.admit(target, tenant)

    for _ in range(2):
        await cell.ingress.dismiss(target)
        assert await fingerprint_shown(cell, tenant) is None
        assert await cell.ingress.observe(target) is None
        assert (await record(cell, target))[:-1] == (False, "", [], "", b"")

    await cell.admit(target, tenant)
    assert await fingerprint_shown(cell, tenant) is not None


async def test_what_never_was_admitted_can_be_dismissed(cell: WholeCell) -> None:
    target, tenant = cell.newcomer()
    await cell.ingress.dismiss(target)
    await cell.prepare(target, tenant)
    await cell.ingress.dismiss(target)
    assert await cell.ingress.observe(target) is None


async def test_a_new_authority_or_filter_holds_when_the_call_returns(cell: WholeCell) -> None:
    target, tenant = cell.newcomer()
    await cell.prepare(target, tenant)
    first = await cell.admit(target, tenant)
    another = Authority.create("another authority")
    await cell.ingress.admit(target, tenant.server_name, AdmissionRules(another.pem))

    assert await fingerprint_shown(cell, tenant) is None
    assert await fingerprint_shown(cell, tenant, another.client()) is not None

    only = AdmissionRules(another.pem, (CertificateFilter(common_name="payments-*"),))
    second = await cell.ingress.admit(target, tenant.server_name, only)
    assert second != first
    assert await fingerprint_shown(cell, tenant, another.client("worker-1")) is None
    assert await fingerprint_shown(cell, tenant, another.client("payments-1")) is not None


async def test_a_renewed_certificate_is_shown_once_admitted(cell: WholeCell) -> None:
    target, tenant = cell.newcomer()
    first = await cell.prepare(target, tenant)
    await cell.admit(target, tenant)
    await cell.authority.destroy(target)
    second = await cell.authority.ensure(target, tenant.server_name, trust(tenant), MONTH)
    assert second.fingerprint != first.fingerprint
    assert await fingerprint_shown(cell, tenant) == first.fingerprint

    await cell.admit(target, tenant)

    assert await fingerprint_shown(cell, tenant) == second.fingerprint


async def test_an_incarnation_is_fenced_from_its_successor(cell: WholeCell) -> None:
    target, tenant = cell.newcomer()
    await cell.prepare(target, tenant)
    admission = await cell.admit(target, tenant)
    late = replace(target, uid="0123456789abcdef")

    with pytest.raises(ApplicationError, match=f"{target.uid}, not {late.uid}") as refused:
        await cell.admit(late, tenant)
    assert refused.value.non_retryable
    assert await cell.ingress.observe(late) is None
    await cell.ingress.dismiss(late)

    assert await cell.ingress.observe(target) == admission
    assert await fingerprint_shown(cell, tenant) is not None


async def test_nobody_is_admitted_without_a_record_or_a_certificate(cell: WholeCell) -> None:
    target, tenant = cell.newcomer()
    with pytest.raises(ApplicationError, match=r"has no namespaces/.*/certificate: issue"):
        await cell.admit(target, tenant)
    await cell.authority.ensure(target, tenant.server_name, trust(tenant), MONTH)
    with pytest.raises(ApplicationError, match="has no record of namespace"):
        await cell.admit(target, tenant)


async def test_a_gatekeeper_that_is_away_is_named_and_the_next_call_completes(
    cell: WholeCell,
) -> None:
    target, tenant = cell.newcomer()
    await cell.prepare(target, tenant)
    rules = AdmissionRules(tenant.authority.pem)
    addresses = cell.directory.addresses[CELL]
    gatekeepers = Gatekeepers(within=0.3)
    impatient = GatekeeperIngress(cell.directory, cell.connections, cell.secrets, gatekeepers)
    cell.directory.addresses[CELL] = replace(addresses, gatekeeper="127.0.0.1:1")
    try:
        away = rf"{CELL} at 127\.0\.0\.1:1 does not enforce the record {target.namespace}@[0-9a-f]+"
        with pytest.raises(TimeoutError, match=away):
            await impatient.admit(target, tenant.server_name, rules)
        cell.directory.addresses[CELL] = addresses
        await cell.ingress.admit(target, tenant.server_name, rules)

        cell.directory.addresses[CELL] = replace(addresses, gatekeeper="127.0.0.1:1")
        with pytest.raises(TimeoutError, match=r"127\.0\.0\.1:1 still enforces, or"):
            await impatient.dismiss(target)
        # Refused already, and still known: the next call has something to wait for.
        admitted, _, _, chain, _, _ = await record(cell, target)
        assert not admitted
        assert chain
        cell.directory.addresses[CELL] = addresses
        await cell.ingress.dismiss(target)
        assert (await record(cell, target))[:-1] == (False, "", [], "", b"")
    finally:
        cell.directory.addresses[CELL] = addresses
        await gatekeepers.close()


async def test_the_database_holds_the_private_key_sealed_for_its_cell_alone(
    cell: WholeCell,
) -> None:
    target, tenant = cell.newcomer()
    await cell.prepare(target, tenant)
    await cell.admit(target, tenant)
    pem = await cell.secrets.get(namespace_certificate(target.namespace))
    assert pem is not None
    held = CertificateAndKey.from_pem(pem)

    _, _, _, chain, sealed, _ = await record(cell, target)

    assert isinstance(chain, str)
    assert isinstance(sealed, bytes)
    assert x509.load_pem_x509_certificate(chain.encode()) == held.certificate
    assert "PRIVATE" not in chain
    key = await cell.secrets.get(cell_sealing_key(CELL))
    assert key is not None
    context = private_key_context(target.namespace, target.uid)
    assert open_sealed(key, sealed, context) == held.key_pem


async def test_a_private_key_sealed_with_an_older_key_is_sealed_anew(cell: WholeCell) -> None:
    target, tenant = cell.newcomer()
    await cell.prepare(target, tenant)
    await cell.admit(target, tenant)
    old, new = await cell.secrets.get(cell_sealing_key(CELL)), new_key()
    assert old is not None
    await cell.secrets.put(cell_sealing_key(CELL), new)
    try:
        await cell.admit(target, tenant)
        sealed = (await record(cell, target))[4]
        assert isinstance(sealed, bytes)
        assert open_sealed(new, sealed, private_key_context(target.namespace, target.uid))
    finally:
        await cell.secrets.put(cell_sealing_key(CELL), old)


async def test_every_enforced_part_can_be_told_apart(cell: WholeCell) -> None:
    target, tenant = cell.newcomer()
    await cell.prepare(target, tenant)
    plain = AdmissionRules(client_ca=tenant.authority.pem)
    before = await cell.ingress.admit(target, tenant.server_name, plain)
    assert before.parts["server_name"] == tenant.server_name
    assert before.parts["api_keys"] == "off"

    for part, changed in {
        "client_ca": replace(plain, client_ca=Authority.create("another").pem),
        "certificate_filters": replace(
            plain, certificate_filters=(CertificateFilter(common_name="payments-*"),)
        ),
        "api_keys": replace(plain, api_keys=True),
        "revoked_serials": replace(plain, revoked_serials=("1f", "2a")),
        "requests_per_second": replace(plain, requests_per_second=10),
        "forward_polls": replace(plain, forward_polls=False),
    }.items():
        after = await cell.ingress.admit(target, tenant.server_name, changed)

        assert await cell.ingress.observe(target) == after
        assert after.digest != before.digest
        differing = {name for name in after.parts if after.parts[name] != before.parts.get(name)}
        assert differing == {part}
    assert after.parts["forward_polls"] == "off"
