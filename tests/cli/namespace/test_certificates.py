"""Client certificates of a namespace's managed CA, as its entity would issue them."""

import json
import stat
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography import x509

from controlplane.cli.namespace.signing import request_for
from controlplane.store.client_certificates import RecordedClientCertificates
from provisioning.certificates import managed_ca
from provisioning.certificates.x509 import CertificateAndKey
from provisioning.ports import Incarnation
from tests.api.running import Tenant
from tests.cli.command import Cli, Finished, running
from tests.cli.entity import settled
from tests.eventually import eventually
from tests.store.views import CELL

CERT = ("namespace", "cert")


@dataclass(frozen=True)
class Orders:
    """A namespace with a managed CA, and its entity."""

    tenant: Tenant
    id: str
    uid: str
    ca: CertificateAndKey

    async def issue(self) -> None:
        """Do what the entity does with the request that waits, then end its operation."""
        state = self.tenant.api.writer.namespaces[self.id]
        [request] = state.signing_requests
        incarnation = Incarnation(self.id, self.uid, CELL)
        issued = managed_ca.sign(self.ca, incarnation, request)
        records = RecordedClientCertificates(self.tenant.api.pool)
        await records.record(self.id, self.uid, request.operation, issued)
        state.signing_requests.clear()
        await self.tenant.api.settle(self.id)


@pytest.fixture
async def orders(tenant: Tenant) -> Orders:
    namespace = await tenant.create("orders")
    state = tenant.api.writer.namespaces[namespace]
    assert state.spec is not None
    state.spec = replace(state.spec, client_ca="", managed_ca=True)
    await tenant.api.settle(namespace)
    return Orders(
        tenant, namespace, state.uid, managed_ca.make(Incarnation(namespace, state.uid, CELL))
    )


async def issued(cli: Cli, orders: Orders, *options: object) -> Finished:
    """Run `cert issue`, and let the certificate be issued."""

    async with running(cli, *CERT, "issue", "orders", *options) as command:

        async def asked() -> bool:
            known = orders.tenant.api.writer.namespaces[orders.id].signing_requests
            return command.done() or bool(known)

        await eventually(asked, within=60)
        if not command.done():
            await orders.issue()
    return command.result()


async def test_a_key_is_made_here_and_its_certificate_is_of_the_managed_ca(
    cli: Cli, orders: Orders, tmp_path: Path
) -> None:
    key, certificate = tmp_path / "worker.key", tmp_path / "worker.pem"

    result = await issued(
        *(cli, orders, "--name", "billing", "--organization", "Acme"),
        *("--key-out", key, "--cert-out", certificate, "--days", "30"),
    )

    assert result.exit_code == 0, result.stderr
    assert "Subject      CN=billing,O=Acme" in result.stdout
    assert "--client-cert" in result.stderr
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    pair = CertificateAndKey.from_pem(certificate.read_bytes() + key.read_bytes())
    pair.certificate.verify_directly_issued_by(orders.ca.certificate)


async def test_a_certificate_for_ones_own_request_goes_to_stdout(
    cli: Cli, orders: Orders, tmp_path: Path
) -> None:
    made = await issued(cli, orders, "--key-out", tmp_path / "first.key")
    request = tmp_path / "worker.csr"
    request.write_text(request_for(tmp_path / "own.key", "own", None, None))

    result = await issued(cli, orders, "--csr", request)

    assert made.stdout.count("BEGIN CERTIFICATE") == 2
    assert result.exit_code == 0, result.stderr
    issued_here = x509.load_pem_x509_certificate(result.stdout.encode())
    assert issued_here.subject.rfc4514_string() == "CN=own"


async def test_what_was_issued_is_listed_revoked_and_restored(
    cli: Cli, orders: Orders, tmp_path: Path
) -> None:
    file = tmp_path / "worker.pem"
    await issued(cli, orders, "--key-out", tmp_path / "worker.key", "--cert-out", file)
    serial = f"{x509.load_pem_x509_certificate(file.read_bytes()).serial_number:x}"

    revoked = await settled(cli, orders.tenant, *CERT, "revoke", "orders", "--cert", file)
    listed = await cli.run(*CERT, "list", "orders")
    restored = await settled(cli, orders.tenant, *CERT, "restore", "orders", f"0{serial.upper()}")
    programs = json.loads((await cli.run(*CERT, "list", "orders", "-o", "json")).stdout)

    assert (revoked.exit_code, restored.exit_code) == (0, 0), revoked.stderr + restored.stderr
    assert listed.stdout.splitlines()[-1].split()[:3] == [serial, "CN=worker", "revoked"]
    assert [each["serial"] for each in programs["certificates"]] == [serial]
    assert programs["revoked_serials"] == []
    printed = await cli.run(*CERT, "get", "orders", serial)
    assert printed.stdout == file.read_text()


async def test_a_certificate_of_any_ca_can_be_revoked_and_is_listed(
    cli: Cli, orders: Orders
) -> None:
    await settled(cli, orders.tenant, *CERT, "revoke", "orders", "0A:1B")

    listed = await cli.run(*CERT, "list", "orders")

    assert listed.stdout.splitlines()[-1].split() == ["a1b", "of", "another", "CA", "revoked"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("issue", "orders"), "give a signing request with --csr, or a file for a key"),
        (("issue", "orders", "--csr", "/nonexistent"), "cannot read the signing request"),
        (("revoke", "orders"), "which certificate?"),
        (("revoke", "orders", "worker"), "'worker' is not hexadecimal"),
        (("revoke", "orders", "1b", "--cert", "x"), "which certificate?"),
    ],
)
async def test_what_makes_no_sense_is_refused_before_anything_is_sent(
    cli: Cli, orders: Orders, arguments: tuple[str, ...], says: str
) -> None:
    result = await cli.run(*CERT, *arguments)

    assert result.exit_code == 2
    assert says in result.stderr
    assert orders.tenant.api.writer.namespaces[orders.id].signing_requests == []


async def test_a_file_is_never_written_over_and_a_key_never_sent(
    cli: Cli, orders: Orders, tmp_path: Path
) -> None:
    key = tmp_path / "worker.key"
    key.write_bytes(orders.ca.key_pem)

    over = await cli.run(*CERT, "issue", "orders", "--key-out", tmp_path / "k", "--cert-out", key)
    sent = await cli.run(*CERT, "issue", "orders", "--csr", key)

    assert over.exit_code == sent.exit_code == 2
    assert f"{key} exists" in over.stderr
    assert "holds a private key, which must not leave this machine" in sent.stderr
    assert key.read_bytes() == orders.ca.key_pem


async def test_a_request_whose_answer_got_lost_is_repeated_with_the_same_key(
    cli: Cli, orders: Orders, tmp_path: Path
) -> None:
    key, certificate = tmp_path / "worker.key", tmp_path / "worker.pem"
    once = ("--key-out", key, "--cert-out", certificate, "--operation-id", "op-cert")
    orders.tenant.api.writer.reply_lost = True
    try:
        lost = await cli.run(*CERT, "issue", "orders", *once)
    finally:
        orders.tenant.api.writer.reply_lost = False
    made = key.read_bytes()

    repeated = await issued(cli, orders, *once)

    assert lost.exit_code == 1
    assert "Repeat it with --operation-id op-cert" in lost.stderr
    assert repeated.exit_code == 0, repeated.stderr
    assert key.read_bytes() == made
    CertificateAndKey.from_pem(certificate.read_bytes() + made)
