"""Who may connect to an endpoint, what certificate it shows, and what a change of either does."""

import asyncio
import ssl
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from uuid import uuid4

import grpc
import psutil
import pytest
from cryptography import x509

from cells.ingress.envoy import ConnectionLimits
from cells.ingress.gatekeeper.authorizer import prober_identity
from cells.ingress.records import CertificateFilter
from tests.cells.ingress.authorities import Authority, Credential
from tests.cells.ingress.handshakes import Refused, handshake, resume, tls_context
from tests.cells.ingress.small_cell import SmallCell, Tenant, new_tenant, small_cell
from tests.cells.ingress.wire import SERVICE, raw_channel
from tests.eventually import eventually
from tests.postgres import RunningPostgres


@pytest.fixture
def fresh() -> Tenant:
    """A tenant that the test can do with as it likes; the gatekeeper does not know it yet."""
    return new_tenant(f"t{uuid4().hex[:8]}.acme1")


async def refused(cell: SmallCell, server_name: str | None, credential: Credential | None) -> bool:
    try:
        await handshake(cell, server_name, credential)
    except Refused:
        return True
    return False


async def test_the_endpoint_shows_its_own_certificate(cell: SmallCell, fresh: Tenant) -> None:
    certificate = cell.fleet.server(fresh.server_name)
    await cell.enforce(cell.record(fresh, certificate=certificate))

    seen = await handshake(cell, fresh.server_name, fresh.credential)

    assert seen.server_certificate == certificate.certificate


async def test_a_client_without_a_good_certificate_is_refused(
    cell: SmallCell, orders: Tenant, pay: Tenant
) -> None:
    successor = Authority.create("orders clients, to come")
    for credential in (
        None,
        pay.credential,
        Authority.create("stranger").client(),
        orders.authority.client(ends_in=timedelta(seconds=-1)),
        successor.client(),
    ):
        assert await refused(cell, orders.server_name, credential)
    assert not await refused(cell, orders.server_name, orders.credential)


async def test_a_server_name_that_is_not_exactly_an_endpoints_is_refused(
    cell: SmallCell, orders: Tenant
) -> None:
    for server_name in (
        None,
        "nobody.acme1.fleet.test",
        orders.server_name.upper(),
        f"x.{orders.server_name}",
        "localhost",
    ):
        assert await refused(cell, server_name, orders.credential)


async def test_names_that_nobody_has_leave_nothing_behind(cell: SmallCell, orders: Tenant) -> None:
    async def certificates() -> int:
        return await cell.envoy_statistic("on_demand_secret.cert_active")

    assert not await refused(cell, orders.server_name, orders.credential)
    before = await certificates()
    for _ in range(50):
        assert await refused(cell, f"{uuid4()}.fleet.test", orders.credential)

    async def forgotten() -> bool:
        return await certificates() == before

    await eventually(forgotten)


async def test_a_namespace_is_closed_until_it_is_admitted_and_after_it_is_deleted(
    cell: SmallCell, fresh: Tenant
) -> None:
    assert await refused(cell, fresh.server_name, fresh.credential)

    await cell.write(cell.record(fresh, admitted=False))
    assert await refused(cell, fresh.server_name, fresh.credential)

    admitted = cell.record(fresh)
    await cell.enforce(admitted)
    assert not await refused(cell, fresh.server_name, fresh.credential)

    await cell.forget(admitted)
    assert await refused(cell, fresh.server_name, fresh.credential)


async def test_a_ca_is_rotated_without_a_gap(cell: SmallCell, fresh: Tenant) -> None:
    successor = Authority.create("successor")
    old, new = fresh.authority.pem, successor.pem
    await cell.enforce(cell.record(fresh))

    await cell.enforce(cell.record(fresh, client_ca=old + new))
    assert not await refused(cell, fresh.server_name, fresh.credential)
    assert not await refused(cell, fresh.server_name, successor.client())

    await cell.enforce(cell.record(fresh, client_ca=new))
    assert await refused(cell, fresh.server_name, fresh.credential)
    assert not await refused(cell, fresh.server_name, successor.client())


async def test_certificate_filters_decide_among_the_clients_of_a_ca(
    cell: SmallCell, fresh: Tenant
) -> None:
    await cell.enforce(cell.record(fresh, filters=[CertificateFilter(common_name="billing-*")]))

    assert await refused(cell, fresh.server_name, fresh.authority.client("worker-1"))
    assert not await refused(cell, fresh.server_name, fresh.authority.client("billing-7"))


async def test_the_prober_enters_the_one_namespace_that_its_certificate_names(
    cell: SmallCell, orders: Tenant, pay: Tenant
) -> None:
    name = x509.UniformResourceIdentifier(prober_identity(orders.namespace))
    prober = cell.prober.client("prober", names=[name])

    assert not await refused(cell, orders.server_name, prober)
    assert await refused(cell, pay.server_name, prober)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_no_session_is_resumed(
    cell: SmallCell, orders: Tenant, pay: Tenant, version: ssl.TLSVersion
) -> None:
    context = tls_context(cell, orders.credential)
    context.minimum_version = context.maximum_version = version

    first = await asyncio.to_thread(resume, cell, orders.server_name, context, None)
    again = await asyncio.to_thread(resume, cell, orders.server_name, context, first.session)

    assert first.session is None or not first.session.has_ticket
    assert not again.resumed
    with pytest.raises(Refused):
        await asyncio.to_thread(resume, cell, pay.server_name, context, first.session)


async def test_a_server_certificate_is_renewed_without_cutting_connections(
    cell: SmallCell, fresh: Tenant
) -> None:
    await cell.enforce(cell.record(fresh))
    async with raw_channel(cell, fresh) as channel:
        assert (await channel.call("/grpc.health.v1.Health/Check", b"")).code.name == "OK"
        renewed = cell.fleet.server(fresh.server_name)
        await cell.enforce(cell.record(fresh, certificate=renewed))

        async def shown() -> bool:
            seen = await handshake(cell, fresh.server_name, fresh.credential)
            return seen.server_certificate == renewed.certificate

        await eventually(shown)
        assert (await channel.call("/grpc.health.v1.Health/Check", b"")).code.name == "OK"


def mismatched(cell: SmallCell, tenant: Tenant) -> Credential:
    """Return a certificate with another certificate's private key."""
    certificate = cell.fleet.server(tenant.server_name).certificate
    return Credential(certificate, cell.fleet.server(tenant.server_name).private_key)


async def test_a_broken_certificate_closes_its_own_endpoint_only(
    cell: SmallCell, fresh: Tenant
) -> None:
    broken = new_tenant(f"broken{uuid4().hex[:8]}.acme1")
    await cell.enforce(cell.record(broken, certificate=mismatched(cell, broken)))
    await cell.enforce(cell.record(fresh))

    async with asyncio.timeout(9):  # Before the handshake's time is up, which is 10 s.
        seen = await asyncio.gather(
            refused(cell, broken.server_name, broken.credential),
            refused(cell, fresh.server_name, fresh.credential),
            refused(cell, broken.server_name, broken.credential),
        )
    await cell.enforce(cell.record(broken))

    assert list(seen) == [True, False, True]
    assert not await refused(cell, broken.server_name, broken.credential)


async def test_a_broken_renewal_leaves_the_certificate_before_in_place(
    cell: SmallCell, fresh: Tenant
) -> None:
    good, renewed = cell.fleet.server(fresh.server_name), cell.fleet.server(fresh.server_name)

    async def shown() -> str:
        return (await handshake(cell, fresh.server_name, fresh.credential)).server_certificate

    await cell.enforce(cell.record(fresh, certificate=good))
    assert await shown() == good.certificate

    await cell.enforce(cell.record(fresh, certificate=mismatched(cell, fresh)))
    assert await shown() == good.certificate

    await cell.enforce(cell.record(fresh, certificate=renewed))

    async def renewed_shown() -> bool:
        return await shown() == renewed.certificate

    await eventually(renewed_shown)


async def test_connections_opened_and_dropped_in_a_hurry_are_never_mixed_up(
    cell: SmallCell, orders: Tenant, pay: Tenant
) -> None:
    async def own_only(tenant: Tenant, other: Tenant) -> tuple[bool, bool]:
        def described(whose: Tenant) -> bytes:
            return b"\x0a" + bytes([len(whose.namespace)]) + whose.namespace.encode()

        async with raw_channel(cell, tenant) as channel:
            mine = await channel.call(SERVICE + "DescribeNamespace", described(tenant))
            others = await channel.call(SERVICE + "DescribeNamespace", described(other))
        return mine.code == grpc.StatusCode.OK, others.code == grpc.StatusCode.OK

    for _ in range(5):
        seen = await asyncio.gather(
            *(own_only(*pair) for pair in [(orders, pay), (pay, orders)] * 10)
        )
        assert set(seen) == {(True, False)}


async def test_a_new_namespace_is_open_within_50_ms(cell: SmallCell) -> None:
    tenants = [new_tenant(f"fast{n}{uuid4().hex[:6]}.acme1") for n in range(9)]
    seconds = []
    for tenant in tenants:
        record = cell.record(tenant)
        await cell.write(record)
        started = perf_counter()
        await cell.wait(record, 1)
        seconds.append(perf_counter() - started)
        assert not await refused(cell, tenant.server_name, tenant.credential)

    # The quickest: the machine may be busy with other things.
    assert min(seconds) < 0.05


async def test_the_gatekeeper_and_envoy_listen_on_loopback_and_private_sockets_only(
    cell: SmallCell,
) -> None:
    listening = [
        connection
        for connection in psutil.Process(cell.envoy_pid).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]

    assert {connection.laddr.ip for connection in listening} == {"127.0.0.1"}
    assert cell.gatekeeper.socket.parent.stat().st_mode & 0o777 == 0o700


async def test_a_connection_that_says_nothing_is_closed(
    postgres: RunningPostgres, frontend: str, tmp_path: Path
) -> None:
    silence = ConnectionLimits(idle=timedelta(seconds=1))
    async with small_cell(postgres, tmp_path, frontend, silence) as cell:
        tenant = new_tenant("orders.acme1")
        await cell.enforce(cell.record(tenant))
        host, _, port = cell.ingress.listen.partition(":")
        async with asyncio.timeout(60):
            reader, writer = await asyncio.open_connection(
                host,
                int(port),
                ssl=tls_context(cell, tenant.credential),
                server_hostname=tenant.server_name,
            )
            assert await reader.read() == b""
        writer.close()
