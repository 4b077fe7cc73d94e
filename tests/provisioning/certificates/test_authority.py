from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from controlplane.secrets.memory import MemorySecretStore
from controlplane.secrets.port import (
    FLEET_CA,
    namespace_certificate,
    namespace_client_ca,
    namespace_prefix,
)
from provisioning.certificates.authority import FleetAuthority
from provisioning.certificates.x509 import CertificateAndKey, new_ca
from provisioning.ports import ClientTrust, Incarnation
from tests.provisioning.cell_databases import Died, DyingSecretStore

DAY = timedelta(days=1)
NAME = "orders.acme1.fleet.test"
TARGET = Incarnation("orders.acme1", "uid-1", "aws-us-east-1-c1")
BUNDLE = new_ca("Clients", validity=30 * DAY).certificate_pem.decode()
TRUST = ClientTrust(BUNDLE, managed_ca=False)
MANAGED = ClientTrust("", managed_ca=True)
SECRET = namespace_certificate(TARGET.namespace)


@pytest.fixture
async def secrets() -> MemorySecretStore:
    store = MemorySecretStore()
    await store.put(FLEET_CA, new_ca("Fleet CA", validity=3650 * DAY).to_pem())
    return store


async def test_what_is_stored_is_what_was_told_and_trusted_through_the_fleet_ca(
    secrets: MemorySecretStore,
) -> None:
    facts = await FleetAuthority(secrets).ensure(TARGET, NAME, TRUST, 30 * DAY)

    stored = CertificateAndKey.from_pem(secrets.values[SECRET])
    fleet_ca = CertificateAndKey.from_pem(secrets.values[FLEET_CA])
    assert stored.fingerprint == facts.fingerprint
    trusted = PolicyBuilder().store(Store([fleet_ca.certificate]))
    trusted.build_server_verifier(x509.DNSName(NAME)).verify(stored.certificate, [])


async def test_another_process_finds_the_certificate(secrets: MemorySecretStore) -> None:
    first = await FleetAuthority(secrets).ensure(TARGET, NAME, TRUST, 30 * DAY)

    assert await FleetAuthority(secrets).ensure(TARGET, NAME, TRUST, 30 * DAY) == first


async def test_a_certificate_near_its_end_is_renewed_once(secrets: MemorySecretStore) -> None:
    short = await FleetAuthority(secrets, validity=29 * DAY).ensure(TARGET, NAME, TRUST, DAY)

    authority = FleetAuthority(secrets)
    renewed = await authority.ensure(TARGET, NAME, TRUST, 30 * DAY)

    assert renewed.fingerprint != short.fingerprint
    assert renewed.not_after > short.not_after
    assert await authority.ensure(TARGET, NAME, TRUST, 30 * DAY) == renewed


async def test_a_certificate_for_another_name_is_replaced(secrets: MemorySecretStore) -> None:
    authority = FleetAuthority(secrets)
    await authority.ensure(TARGET, "orders.acme1.old.test", TRUST, 30 * DAY)

    assert (await authority.ensure(TARGET, NAME, TRUST, 30 * DAY)).server_name == NAME


async def test_a_replaced_fleet_ca_replaces_certificates(secrets: MemorySecretStore) -> None:
    first = await FleetAuthority(secrets).ensure(TARGET, NAME, TRUST, 30 * DAY)
    await secrets.put(FLEET_CA, new_ca("Fleet CA", validity=3650 * DAY).to_pem())

    second = await FleetAuthority(secrets).ensure(TARGET, NAME, TRUST, 30 * DAY)

    assert second.fingerprint != first.fingerprint


async def test_a_fleet_ca_about_to_expire_is_named_and_the_certificate_kept(
    secrets: MemorySecretStore,
) -> None:
    await secrets.put(FLEET_CA, new_ca("Fleet CA", validity=20 * DAY).to_pem())
    held = await FleetAuthority(secrets).ensure(TARGET, NAME, TRUST, 10 * DAY)

    with pytest.raises(RuntimeError, match="renewed 30 days before their end: replace secret"):
        await FleetAuthority(secrets).ensure(TARGET, NAME, TRUST, 30 * DAY)

    assert await FleetAuthority(secrets).observe(TARGET, TRUST) == held


async def test_a_missing_fleet_ca_is_named() -> None:
    with pytest.raises(RuntimeError, match="the secret store holds no 'fleet/ca'"):
        await FleetAuthority(MemorySecretStore()).ensure(TARGET, NAME, TRUST, 30 * DAY)


async def test_destroying_leaves_nothing_of_the_incarnation_in_the_store(
    secrets: MemorySecretStore,
) -> None:
    authority = FleetAuthority(secrets)
    await authority.ensure(TARGET, NAME, MANAGED, 30 * DAY)
    assert len(await secrets.names(namespace_prefix(TARGET.namespace))) == 2

    await authority.destroy(TARGET)

    assert await secrets.names(namespace_prefix(TARGET.namespace)) == []


async def test_what_a_destruction_that_died_has_left_is_still_seen() -> None:
    secrets = DyingSecretStore()
    await secrets.put(FLEET_CA, new_ca("Fleet CA", validity=3650 * DAY).to_pem())
    authority = FleetAuthority(secrets)
    await authority.ensure(TARGET, NAME, MANAGED, 30 * DAY)
    secrets.dies.append(("after", "delete"))
    with pytest.raises(Died):
        await authority.destroy(TARGET)

    assert await authority.observe(TARGET, MANAGED) is not None
    await authority.destroy(TARGET)
    assert await secrets.names(namespace_prefix(TARGET.namespace)) == []


async def test_a_lost_managed_ca_is_seen_and_made_anew(secrets: MemorySecretStore) -> None:
    authority = FleetAuthority(secrets)
    made = await authority.ensure(TARGET, NAME, MANAGED, 30 * DAY)
    await secrets.delete(namespace_client_ca(TARGET.namespace))

    seen = await authority.observe(TARGET, MANAGED)
    assert seen is not None
    assert seen.managed_ca == ""

    again = await authority.ensure(TARGET, NAME, MANAGED, 30 * DAY)
    assert again.managed_ca not in ("", made.managed_ca)
    assert again.fingerprint == made.fingerprint
