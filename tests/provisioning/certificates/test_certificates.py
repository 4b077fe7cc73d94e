"""What every adapter of the `Certificates` port must do.

Add an adapter to `certificates` and it is held to the same.
"""

from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError

from controlplane.errors import ErrorType
from controlplane.secrets.memory import MemorySecretStore
from controlplane.secrets.port import FLEET_CA
from provisioning.certificates.authority import FleetAuthority
from provisioning.certificates.x509 import new_ca
from provisioning.memory import MemoryCertificates, MemoryWorld
from provisioning.ports import Certificates, Incarnation

DAY = timedelta(days=1)
NAME = "orders.acme1.fleet.test"
TARGET = Incarnation("orders.acme1", "uid-1", "aws-us-east-1-c1")
SUCCESSOR = Incarnation("orders.acme1", "uid-2", "aws-us-east-1-c1")
CLIENT_CA = new_ca("Clients", validity=30 * DAY)
OTHER_CA = new_ca("More clients", validity=10 * DAY)
BUNDLE = CLIENT_CA.certificate_pem.decode()


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
    assert await certificates.observe(TARGET, BUNDLE) is None


async def test_a_certificate_is_issued_and_observed_as_issued(certificates: Certificates) -> None:
    issued = await certificates.ensure(TARGET, NAME, BUNDLE, 30 * DAY)

    assert issued.server_name == NAME
    assert issued.not_after - issued.not_before > 89 * DAY
    assert issued.client_ca_fingerprints == (CLIENT_CA.fingerprint,)
    assert issued.client_ca_not_after == CLIENT_CA.certificate.not_valid_after_utc
    assert await certificates.observe(TARGET, BUNDLE) == issued


async def test_a_repeated_call_finds_what_the_first_one_made(certificates: Certificates) -> None:
    first = await certificates.ensure(TARGET, NAME, BUNDLE, 30 * DAY)

    assert await certificates.ensure(TARGET, NAME, BUNDLE, 30 * DAY) == first


async def test_a_changed_bundle_changes_facts_and_not_the_certificate(
    certificates: Certificates,
) -> None:
    first = await certificates.ensure(TARGET, NAME, BUNDLE, 30 * DAY)
    both = BUNDLE + OTHER_CA.certificate_pem.decode()

    second = await certificates.ensure(TARGET, NAME, both, 30 * DAY)

    assert second.fingerprint == first.fingerprint
    assert second.client_ca_fingerprints == (CLIENT_CA.fingerprint, OTHER_CA.fingerprint)
    assert second.client_ca_not_after == OTHER_CA.certificate.not_valid_after_utc
    assert await certificates.observe(TARGET, both) == second


async def test_an_unusable_bundle_is_refused_and_nothing_is_issued(
    certificates: Certificates,
) -> None:
    with pytest.raises(ApplicationError, match="holds no certificate") as caught:
        await certificates.ensure(TARGET, NAME, "nonsense", 30 * DAY)

    assert caught.value.type == ErrorType.INVALID_ARGUMENT
    assert await certificates.observe(TARGET, BUNDLE) is None


async def test_destroying_twice_is_destroying_once(certificates: Certificates) -> None:
    await certificates.ensure(TARGET, NAME, BUNDLE, 30 * DAY)
    await certificates.destroy(TARGET)
    await certificates.destroy(TARGET)

    assert await certificates.observe(TARGET, BUNDLE) is None


async def test_late_calls_for_an_earlier_incarnation_do_nothing_to_its_successor(
    certificates: Certificates,
) -> None:
    present = await certificates.ensure(SUCCESSOR, NAME, BUNDLE, 30 * DAY)

    with pytest.raises(ApplicationError, match="another incarnation") as caught:
        await certificates.ensure(TARGET, NAME, BUNDLE, 30 * DAY)
    assert caught.value.type == ErrorType.REJECTED
    await certificates.destroy(TARGET)

    assert await certificates.observe(TARGET, BUNDLE) is None
    assert await certificates.observe(SUCCESSOR, BUNDLE) == present
