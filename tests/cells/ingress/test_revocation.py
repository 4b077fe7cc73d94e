"""Clients that are let in no longer, on the connections that they have already."""

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import grpc
import pytest
from cryptography import x509

from cells.ingress.gatekeeper.authorizer import prober_identity
from cells.ingress.records import AdmissionRules, IngressRecord
from tests.cells.ingress.authorities import Authority, serial
from tests.cells.ingress.handshakes import Refused, handshake
from tests.cells.ingress.small_cell import SmallCell, Tenant, new_tenant
from tests.cells.ingress.wire import HEALTH, RawChannel, raw_channel
from tests.eventually import eventually


@pytest.fixture
async def fresh(cell: SmallCell) -> Tenant:
    """A tenant that the test can do with as it likes; it is admitted."""
    tenant = new_tenant(f"t{uuid4().hex[:8]}.acme1")
    await cell.enforce(cell.record(tenant))
    return tenant


@pytest.fixture
async def opened(cell: SmallCell, fresh: Tenant) -> AsyncIterator[RawChannel]:
    """A connection of the tenant's that was open before anything happened."""
    async with raw_channel(cell, fresh) as channel:
        assert (await channel.call(HEALTH, b"")).code == grpc.StatusCode.OK
        yield channel


def revoking(cell: SmallCell, tenant: Tenant, *serials: str) -> IngressRecord:
    rules = AdmissionRules(client_ca=tenant.authority.pem, revoked_serials=tuple(sorted(serials)))
    return cell.record(tenant, rules=rules)


async def comes_to(channel: RawChannel, code: grpc.StatusCode, words: str = "") -> None:
    """Wait until requests on the connection are answered so."""

    async def answered() -> bool:
        answer = await channel.call(HEALTH, b"")
        return answer.code == code and words in answer.details

    await eventually(answered)


async def test_a_revoked_certificate_is_refused_on_new_and_on_open_connections(
    cell: SmallCell, fresh: Tenant, opened: RawChannel
) -> None:
    another = fresh.authority.client("worker-2")
    async with raw_channel(cell, replace(fresh, credential=another)) as other:
        assert (await other.call(HEALTH, b"")).code == grpc.StatusCode.OK
        await cell.enforce(revoking(cell, fresh, serial(fresh.credential)))

        with pytest.raises(Refused):
            await handshake(cell, fresh.server_name, fresh.credential)
        await comes_to(opened, grpc.StatusCode.PERMISSION_DENIED, "certificate was revoked")
        assert (await other.call(HEALTH, b"")).code == grpc.StatusCode.OK


async def test_a_certificate_that_is_no_longer_revoked_is_good_again(
    cell: SmallCell, fresh: Tenant, opened: RawChannel
) -> None:
    await cell.enforce(revoking(cell, fresh, serial(fresh.credential)))
    await comes_to(opened, grpc.StatusCode.PERMISSION_DENIED)

    await cell.enforce(revoking(cell, fresh))

    await comes_to(opened, grpc.StatusCode.OK)
    await handshake(cell, fresh.server_name, fresh.credential)


async def test_a_serial_is_revoked_in_its_own_namespace_only(
    cell: SmallCell, fresh: Tenant, opened: RawChannel
) -> None:
    neighbour = new_tenant(f"t{uuid4().hex[:8]}.acme1")
    await cell.enforce(revoking(cell, neighbour, serial(fresh.credential)))
    async with raw_channel(cell, neighbour) as revoked_soon:
        assert (await revoked_soon.call(HEALTH, b"")).code == grpc.StatusCode.OK
        await cell.enforce(
            revoking(cell, neighbour, serial(fresh.credential), serial(neighbour.credential))
        )
        # By then Envoy knows of both.
        await comes_to(revoked_soon, grpc.StatusCode.PERMISSION_DENIED)

    assert (await opened.call(HEALTH, b"")).code == grpc.StatusCode.OK


async def test_a_ca_that_is_trusted_no_longer_ends_open_connections_and_no_others(
    cell: SmallCell, fresh: Tenant, opened: RawChannel
) -> None:
    successor = Authority.create("successor")
    both = AdmissionRules(client_ca=fresh.authority.pem + successor.pem)
    await cell.enforce(cell.record(fresh, rules=both))
    async with raw_channel(cell, replace(fresh, credential=successor.client())) as new:
        assert (await new.call(HEALTH, b"")).code == grpc.StatusCode.OK
        await cell.enforce(cell.record(fresh, rules=AdmissionRules(client_ca=successor.pem)))

        await comes_to(opened, grpc.StatusCode.PERMISSION_DENIED, "no longer trusts the CA")
        assert (await new.call(HEALTH, b"")).code == grpc.StatusCode.OK

        await cell.enforce(cell.record(fresh, rules=both))
        await comes_to(opened, grpc.StatusCode.OK)


async def test_a_closed_namespace_refuses_open_connections(
    cell: SmallCell, fresh: Tenant, opened: RawChannel
) -> None:
    await cell.write(cell.record(fresh, admitted=False))

    await comes_to(opened, grpc.StatusCode.PERMISSION_DENIED)


async def test_a_record_that_is_simply_gone_leaves_open_connections_alone(
    cell: SmallCell, fresh: Tenant, opened: RawChannel
) -> None:
    """A database that has lost its rows must not stop the workers of a cell."""
    neighbour = new_tenant(f"t{uuid4().hex[:8]}.acme1")
    await cell.enforce(cell.record(neighbour))
    async with raw_channel(cell, neighbour) as witness:
        assert (await witness.call(HEALTH, b"")).code == grpc.StatusCode.OK
        await cell.forget(cell.record(fresh))
        await cell.enforce(revoking(cell, neighbour, serial(neighbour.credential)))
        await comes_to(witness, grpc.StatusCode.PERMISSION_DENIED)

    assert (await opened.call(HEALTH, b"")).code == grpc.StatusCode.OK


async def test_nobody_passes_for_another_by_naming_a_certificate(
    cell: SmallCell, fresh: Tenant, opened: RawChannel
) -> None:
    await cell.enforce(revoking(cell, fresh, serial(fresh.credential)))
    await comes_to(opened, grpc.StatusCode.PERMISSION_DENIED)
    claimed = f"{fresh.namespace}/{serial(fresh.authority.client())}"

    answer = await opened.call(HEALTH, b"", [("x-ingress-certificate", claimed)])

    assert answer.code == grpc.StatusCode.PERMISSION_DENIED


async def test_the_prober_is_not_revoked_with_a_tenants_certificates(
    cell: SmallCell, fresh: Tenant
) -> None:
    name = x509.UniformResourceIdentifier(prober_identity(fresh.namespace))
    prober = cell.prober.client("prober", names=[name])
    await cell.enforce(revoking(cell, fresh, serial(prober), serial(fresh.credential)))

    async with raw_channel(cell, replace(fresh, credential=prober)) as channel:
        assert (await channel.call(HEALTH, b"")).code == grpc.StatusCode.OK
