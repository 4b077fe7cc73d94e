from dataclasses import replace
from datetime import UTC, datetime, timedelta

from controlplane.store.client_certificates import (
    ClientCertificateReads,
    RecordedClientCertificates,
)
from controlplane.store.pool import Pool
from controlplane.store.projections import Projections
from provisioning.types import ClientCertificate, NamespaceLife
from tests.store.views import namespace_view

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
VIEW = namespace_view("orders.acme1")


def issued(serial: str) -> ClientCertificate:
    return ClientCertificate(
        serial, "CN=worker", "f" * 64, NOW, NOW + timedelta(days=1), f"PEM of {serial}"
    )


async def record(pool: Pool, operation: str, serial: str, uid: str = VIEW.uid) -> None:
    await RecordedClientCertificates(pool).record(VIEW.id, uid, operation, issued(serial))


async def test_the_first_certificate_of_an_operation_stays(pool: Pool) -> None:
    await Projections(pool).publish_namespace(VIEW)
    await record(pool, "op-1", "a1")
    await record(pool, "op-1", "a1")
    await record(pool, "op-1", "b2")

    reads = ClientCertificateReads(pool)
    (only,) = await reads.list("acme1", VIEW.id, limit=10)
    assert (only.operation, only.certificate) == ("op-1", issued("a1"))
    assert await reads.of_operation("acme1", VIEW.id, "op-1") == only
    assert await reads.of_serial("acme1", VIEW.id, "a1") == only
    assert await reads.of_serial("acme1", VIEW.id, "b2") is None


async def test_pages_follow_one_another_in_the_order_of_issue(pool: Pool) -> None:
    await Projections(pool).publish_namespace(VIEW)
    serials = [f"{number:x}" for number in range(20, 13, -1)]
    for serial in serials:
        await record(pool, f"op-{serial}", serial)
    reads = ClientCertificateReads(pool)

    found = list(await reads.list("acme1", VIEW.id, limit=3))
    while page := await reads.list("acme1", VIEW.id, after=found[-1].number, limit=3):
        found.extend(page)

    assert [one.certificate.serial for one in found] == serials


async def test_an_account_sees_nothing_of_anothers(pool: Pool) -> None:
    await Projections(pool).publish_namespace(VIEW)
    await record(pool, "op-1", "a1")
    reads = ClientCertificateReads(pool)

    assert list(await reads.list("other1", VIEW.id, limit=10)) == []
    assert await reads.of_operation("other1", VIEW.id, "op-1") is None
    assert await reads.of_serial("other1", VIEW.id, "a1") is None


async def test_only_the_present_incarnation_counts(pool: Pool) -> None:
    await Projections(pool).publish_namespace(VIEW)
    await record(pool, "op-1", "a1", uid="an-earlier-one")
    reads = ClientCertificateReads(pool)
    assert list(await reads.list("acme1", VIEW.id, limit=10)) == []

    await record(pool, "op-1", "b2")
    assert (await reads.of_operation("acme1", VIEW.id, "op-1")) is not None

    gone = replace(VIEW, life=NamespaceLife.DELETED, revision=VIEW.revision + 1)
    await Projections(pool).publish_namespace(gone)
    assert list(await reads.list("acme1", VIEW.id, limit=10)) == []


async def test_forgetting_one_incarnation_leaves_its_successors(pool: Pool) -> None:
    await Projections(pool).publish_namespace(VIEW)
    await record(pool, "op-1", "a1", uid="an-earlier-one")
    await record(pool, "op-1", "b2")

    for _ in range(2):
        await RecordedClientCertificates(pool).forget(VIEW.id, "an-earlier-one")
    reads = ClientCertificateReads(pool)
    assert await reads.of_serial("acme1", VIEW.id, "b2") is not None

    await RecordedClientCertificates(pool).forget(VIEW.id, VIEW.uid)
    assert list(await reads.list("acme1", VIEW.id, limit=10)) == []
