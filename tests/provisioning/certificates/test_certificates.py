"""What every adapter of the `Certificates` port must do.

Add an adapter to `certificates` and it is held to the same.
"""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from temporalio.exceptions import ApplicationError

from controlplane.errors import ErrorType
from controlplane.secrets.memory import MemorySecretStore
from controlplane.secrets.port import FLEET_CA
from provisioning.certificates.authority import FleetAuthority
from provisioning.certificates.x509 import fingerprint, new_ca
from provisioning.memory import MemoryCertificates, MemoryWorld
from provisioning.ports import Certificates, ClientTrust, Incarnation
from provisioning.types import SigningRequest

DAY = timedelta(days=1)
NAME = "orders.acme1.fleet.test"
TARGET = Incarnation("orders.acme1", "uid-1", "aws-us-east-1-c1")
SUCCESSOR = Incarnation("orders.acme1", "uid-2", "aws-us-east-1-c1")
CLIENT_CA = new_ca("Clients", validity=30 * DAY)
OTHER_CA = new_ca("More clients", validity=10 * DAY)
BUNDLE = CLIENT_CA.certificate_pem.decode()
TRUST = ClientTrust(BUNDLE, managed_ca=False)
MANAGED = ClientTrust("", managed_ca=True)
NOW = datetime.now(UTC)


async def fleet_authority() -> Certificates:
    secrets = MemorySecretStore()
    await secrets.put(FLEET_CA, new_ca("Fleet CA", validity=3650 * DAY).to_pem())
    return FleetAuthority(secrets)


async def memory_certificates() -> Certificates:
    return MemoryCertificates(MemoryWorld())


@pytest.fixture(params=[fleet_authority, memory_certificates])
async def certificates(request: pytest.FixtureRequest) -> Certificates:
    made: Certificates = await request.param()
    return made


async def test_nothing_is_there_before_it_is_made(certificates: Certificates) -> None:
    assert await certificates.observe(TARGET, TRUST) is None


async def test_a_certificate_is_issued_and_observed_as_issued(certificates: Certificates) -> None:
    issued = await certificates.ensure(TARGET, NAME, TRUST, 30 * DAY)

    assert issued.server_name == NAME
    assert issued.not_after - issued.not_before > 89 * DAY
    assert issued.client_ca_fingerprints == (CLIENT_CA.fingerprint,)
    assert issued.client_ca_not_after == CLIENT_CA.certificate.not_valid_after_utc
    assert await certificates.observe(TARGET, TRUST) == issued


async def test_a_repeated_call_finds_what_the_first_one_made(certificates: Certificates) -> None:
    first = await certificates.ensure(TARGET, NAME, TRUST, 30 * DAY)

    assert await certificates.ensure(TARGET, NAME, TRUST, 30 * DAY) == first


async def test_a_changed_bundle_changes_facts_and_not_the_certificate(
    certificates: Certificates,
) -> None:
    first = await certificates.ensure(TARGET, NAME, TRUST, 30 * DAY)
    both = ClientTrust(BUNDLE + OTHER_CA.certificate_pem.decode(), managed_ca=False)

    second = await certificates.ensure(TARGET, NAME, both, 30 * DAY)

    assert second.fingerprint == first.fingerprint
    assert second.client_ca_fingerprints == (CLIENT_CA.fingerprint, OTHER_CA.fingerprint)
    assert second.client_ca_not_after == OTHER_CA.certificate.not_valid_after_utc
    assert await certificates.observe(TARGET, both) == second


async def test_an_unusable_bundle_is_refused_and_nothing_is_issued(
    certificates: Certificates,
) -> None:
    with pytest.raises(ApplicationError, match="holds no certificate") as caught:
        await certificates.ensure(TARGET, NAME, ClientTrust("nonsense", managed_ca=False), 30 * DAY)

    assert caught.value.type == ErrorType.INVALID_ARGUMENT
    assert await certificates.observe(TARGET, TRUST) is None


async def test_without_a_bundle_there_is_nothing_to_tell_of_clients(
    certificates: Certificates,
) -> None:
    facts = await certificates.ensure(TARGET, NAME, ClientTrust("", managed_ca=False), 30 * DAY)

    assert facts.client_ca_fingerprints == ()
    assert facts.client_ca_not_after is None
    assert facts.managed_ca == ""


async def test_a_managed_ca_is_made_once_and_stays_while_it_is_switched_off(
    certificates: Certificates,
) -> None:
    first = await certificates.ensure(TARGET, NAME, MANAGED, 30 * DAY)
    ca = x509.load_pem_x509_certificate(first.managed_ca.encode())
    assert ca.subject.rfc4514_string() == "CN=orders.acme1 managed CA"
    assert first.client_ca_fingerprints == (fingerprint(ca),)
    assert first.client_ca_not_after == ca.not_valid_after_utc
    assert ca.not_valid_after_utc - NOW > 3650 * DAY
    assert await certificates.ensure(TARGET, NAME, MANAGED, 30 * DAY) == first
    assert await certificates.observe(TARGET, MANAGED) == first

    off = await certificates.ensure(TARGET, NAME, TRUST, 30 * DAY)
    assert off.managed_ca == first.managed_ca
    assert off.client_ca_fingerprints == (CLIENT_CA.fingerprint,)
    assert await certificates.observe(TARGET, TRUST) == off

    assert await certificates.ensure(TARGET, NAME, MANAGED, 30 * DAY) == first


async def test_a_managed_ca_signs_one_request_alike_every_time(
    certificates: Certificates,
) -> None:
    facts = await certificates.ensure(TARGET, NAME, MANAGED, 30 * DAY)
    key, asked = request("op-1")

    first = await certificates.sign(TARGET, asked)

    assert await certificates.sign(TARGET, asked) == first
    leaf, ca = x509.load_pem_x509_certificates(first.pem.encode())
    assert fingerprint(ca) == facts.client_ca_fingerprints[0]
    leaf.verify_directly_issued_by(ca)
    assert leaf.public_key() == key.public_key()
    assert first.serial == f"{leaf.serial_number:x}"
    assert first.subject == "CN=worker"
    assert first.fingerprint == fingerprint(leaf)
    assert first.not_after == asked.asked_at.replace(microsecond=0) + asked.lifetime
    another = await certificates.sign(TARGET, request("op-2")[1])
    assert another.serial != first.serial


async def test_without_a_managed_ca_nothing_is_signed(certificates: Certificates) -> None:
    await certificates.ensure(TARGET, NAME, TRUST, 30 * DAY)

    with pytest.raises(ApplicationError, match="no CA of its own") as caught:
        await certificates.sign(TARGET, request("op-1")[1])

    assert caught.value.type == ErrorType.REJECTED


async def test_a_successor_has_another_ca_and_an_earlier_incarnation_has_none(
    certificates: Certificates,
) -> None:
    first = await certificates.ensure(TARGET, NAME, MANAGED, 30 * DAY)
    await certificates.destroy(TARGET)
    second = await certificates.ensure(SUCCESSOR, NAME, MANAGED, 30 * DAY)
    assert second.managed_ca != first.managed_ca

    with pytest.raises(ApplicationError, match="no CA of its own"):
        await certificates.sign(TARGET, request("op-1")[1])
    await certificates.destroy(TARGET)
    assert await certificates.observe(SUCCESSOR, MANAGED) == second


async def test_destroying_twice_is_destroying_once(certificates: Certificates) -> None:
    await certificates.ensure(TARGET, NAME, TRUST, 30 * DAY)
    await certificates.destroy(TARGET)
    await certificates.destroy(TARGET)

    assert await certificates.observe(TARGET, TRUST) is None


async def test_late_calls_for_an_earlier_incarnation_do_nothing_to_its_successor(
    certificates: Certificates,
) -> None:
    present = await certificates.ensure(SUCCESSOR, NAME, TRUST, 30 * DAY)

    with pytest.raises(ApplicationError, match="another incarnation") as caught:
        await certificates.ensure(TARGET, NAME, TRUST, 30 * DAY)
    assert caught.value.type == ErrorType.REJECTED
    await certificates.destroy(TARGET)

    assert await certificates.observe(TARGET, TRUST) is None
    assert await certificates.observe(SUCCESSOR, TRUST) == present


def request(operation: str) -> tuple[ec.EllipticCurvePrivateKey, SigningRequest]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name.from_rfc4514_string("CN=worker")
    csr = x509.CertificateSigningRequestBuilder(name).sign(key, hashes.SHA256())
    pem = csr.public_bytes(Encoding.PEM).decode()
    return key, SigningRequest(operation, pem, lifetime=30 * DAY, asked_at=NOW)
