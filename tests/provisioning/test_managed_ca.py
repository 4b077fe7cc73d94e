"""Clients of a namespace that brought no CA, through a real gatekeeper and a real Envoy."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from cells.ingress.records import AdmissionRules
from controlplane.secrets.port import namespace_client_ca
from provisioning.certificates.x509 import CertificateAndKey, Leaf, sign_leaf
from provisioning.ports import ClientTrust, Incarnation
from provisioning.types import ClientCertificate, SigningRequest
from tests.cells.ingress.authorities import Credential
from tests.cells.ingress.handshakes import Refused, handshake
from tests.cells.ingress.small_cell import Tenant
from tests.postgres import RunningPostgres
from tests.provisioning.whole_cell import MONTH, WEEK, WholeCell, running_whole_cell

MANAGED = ClientTrust("", managed_ca=True)
NOW = datetime.now(UTC)

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@pytest.fixture(scope="module")
async def cell(
    postgres: RunningPostgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[WholeCell]:
    async with running_whole_cell(postgres, tmp_path_factory.mktemp("cell")) as running:
        yield running


async def admit(cell: WholeCell, *revoked: str) -> tuple[Incarnation, Tenant]:
    """Return a namespace that its managed CA's clients may use."""
    target, tenant = cell.newcomer()
    await cell.databases.prepare(target, tenant.server_name)
    await cell.registrar.register(target, WEEK, {})
    facts = await cell.authority.ensure(target, tenant.server_name, MANAGED, MONTH)
    rules = AdmissionRules(client_ca=facts.managed_ca, revoked_serials=revoked)
    await cell.ingress.admit(target, tenant.server_name, rules)
    return target, tenant


async def issue(
    cell: WholeCell, target: Incarnation, key: Key, operation: str = "op-1"
) -> ClientCertificate:
    name = x509.Name.from_rfc4514_string("CN=worker")
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    csr = x509.CertificateSigningRequestBuilder(name).sign(key, algorithm)
    pem = csr.public_bytes(Encoding.PEM).decode()
    request = SigningRequest(operation, pem, timedelta(days=1), NOW)
    return await cell.authority.sign(target, request)


def credential(pem: str, key: Key) -> Credential:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Credential(pem, private.decode())


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["P-256", "P-384", "RSA"],
)
async def test_a_client_that_the_managed_ca_has_certified_gets_in(
    cell: WholeCell, key: Key
) -> None:
    target, tenant = await admit(cell)
    issued = await issue(cell, target, key)

    client = await cell.cell.connect(replace(tenant, credential=credential(issued.pem, key)))
    await client.start_workflow("Any", id="any", task_queue="nobody")


async def test_a_revoked_client_and_those_of_other_namespaces_stay_outside(
    cell: WholeCell,
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    target, tenant = await admit(cell)
    issued, other = await issue(cell, target, key), await issue(cell, target, key, "op-2")
    foreign = await issue(cell, (await admit(cell))[0], key)
    facts = await cell.authority.ensure(target, tenant.server_name, MANAGED, MONTH)
    rules = AdmissionRules(client_ca=facts.managed_ca, revoked_serials=(issued.serial,))
    await cell.ingress.admit(target, tenant.server_name, rules)

    await handshake(cell.cell, tenant.server_name, credential(other.pem, key))
    for refused in (issued, foreign):
        with pytest.raises(Refused):
            await handshake(cell.cell, tenant.server_name, credential(refused.pem, key))


async def test_the_ingress_takes_no_edwards_curves_which_is_why_none_are_certified(
    cell: WholeCell,
) -> None:
    target, tenant = await admit(cell)
    kept = await cell.secrets.get(namespace_client_ca(target.namespace))
    assert kept is not None
    key = ed25519.Ed25519PrivateKey.generate()
    leaf = Leaf(
        subject=x509.Name.from_rfc4514_string("CN=worker"),
        public_key=key.public_key(),
        usage=ExtendedKeyUsageOID.CLIENT_AUTH,
        alternative_names=(),
        serial=1,
        not_before=NOW - timedelta(minutes=5),
        not_after=NOW + timedelta(days=1),
    )
    pem = sign_leaf(CertificateAndKey.from_pem(kept), leaf).public_bytes(Encoding.PEM).decode()

    with pytest.raises(Refused):
        await handshake(cell.cell, tenant.server_name, credential(pem, key))
