"""API keys at the ingress: an SDK's client, and what is refused."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import grpc
import pytest
from cryptography import x509
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from cells.ingress.gatekeeper.authorizer import prober_identity
from cells.ingress.records import AdmissionRules
from tests.cells.ingress.api_keys import Signer, key_row, know_keys, know_signers
from tests.cells.ingress.authorities import Authority
from tests.cells.ingress.handshakes import Refused, handshake
from tests.cells.ingress.small_cell import SmallCell, Tenant, new_tenant
from tests.cells.ingress.test_worker import run_workflow, worker
from tests.cells.ingress.wire import HEALTH, SERVICE, keyed_channel, raw_channel
from tests.eventually import eventually

OK = grpc.StatusCode.OK
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
FORBIDDEN = grpc.StatusCode.PERMISSION_DENIED
KEYS_ONLY = AdmissionRules(api_keys=True)


@pytest.fixture(scope="module")
async def signer(cell: SmallCell) -> Signer:
    signer = Signer()
    await know_signers(cell, signer)
    return signer


@pytest.fixture
def fresh() -> Tenant:
    """A tenant of an account of its own."""
    return new_tenant(f"orders.{uuid4().hex[:8]}")


@pytest.fixture
async def tenant(cell: SmallCell, fresh: Tenant) -> Tenant:
    """A tenant that takes API keys and has one that may write."""
    await cell.enforce(cell.record(fresh, rules=KEYS_ONLY))
    await know_keys(cell, account(fresh), key_row(key_of(fresh), {fresh.namespace: "write"}))
    return fresh


@pytest.fixture
async def keyed_orders(
    cell: SmallCell, orders: Tenant, signer: Signer
) -> AsyncIterator[tuple[Tenant, str]]:
    """A tenant that has a namespace in Temporal and takes both; and a key of its account."""
    both = AdmissionRules(client_ca=orders.authority.pem, api_keys=True)
    before = cell.record(orders)
    await cell.enforce(cell.record(orders, rules=both))
    await know_keys(cell, "acme1", key_row("orders-key", {orders.namespace: "write"}))
    yield orders, signer.token("orders-key", "acme1")
    await know_keys(cell, "acme1")
    await cell.enforce(before)


def account(tenant: Tenant) -> str:
    return tenant.namespace.rpartition(".")[2]


def key_of(tenant: Tenant) -> str:
    return f"key-of-{account(tenant)}"


async def answer_to(
    cell: SmallCell, tenant: Tenant, token: str, path: str = HEALTH
) -> tuple[grpc.StatusCode, str]:
    async with keyed_channel(cell, tenant, token) as channel:
        answer = await channel.call(path, b"")
    return answer.code, answer.details


async def test_an_sdk_runs_a_workflow_with_an_api_key(
    cell: SmallCell, keyed_orders: tuple[Tenant, str]
) -> None:
    tenant, token = keyed_orders
    client, queue = await cell.connect(replace(tenant, token=token)), str(uuid4())

    async with worker(client, queue):
        assert await run_workflow(client, queue, "x" * 100_000) == 100_000


async def test_certificates_and_keys_get_in_side_by_side(
    cell: SmallCell, keyed_orders: tuple[Tenant, str]
) -> None:
    tenant, token = keyed_orders
    by_key = await cell.connect(replace(tenant, token=token))
    by_certificate, queue = await cell.connect(tenant), str(uuid4())

    async with worker(by_certificate, queue):
        assert await run_workflow(by_key, queue, "hello") == 5
    async with raw_channel(cell, tenant) as channel:
        for authorization in ("Bearer nonsense", f"Bearer {token}"):
            answer = await channel.call(HEALTH, b"", [("authorization", authorization)])
            assert answer.code == OK


async def test_a_revoked_key_is_refused_at_its_next_call(
    cell: SmallCell, keyed_orders: tuple[Tenant, str]
) -> None:
    tenant, token = keyed_orders
    client = await cell.connect(replace(tenant, token=token))
    await start(client)

    await know_keys(cell, "acme1")

    with pytest.raises(RPCError, match="revoked") as refused:
        await start(client)
    assert refused.value.status == RPCStatusCode.UNAUTHENTICATED


async def test_a_namespace_that_no_longer_takes_keys_refuses_open_connections(
    cell: SmallCell, keyed_orders: tuple[Tenant, str]
) -> None:
    tenant, token = keyed_orders
    client = await cell.connect(replace(tenant, token=token))
    await start(client)

    await cell.enforce(cell.record(tenant))

    with pytest.raises(RPCError, match="does not take API keys"):
        await start(client)


async def test_a_key_is_as_bound_to_its_namespace_as_a_certificate(
    cell: SmallCell, keyed_orders: tuple[Tenant, str], pay: Tenant
) -> None:
    tenant, token = keyed_orders
    client = await cell.connect(replace(tenant, token=token), namespace=pay.namespace)

    with pytest.raises(RPCError, match="RBAC: access denied"):
        await start(client)


async def start(client: Client) -> None:
    await client.start_workflow("Any", id=str(uuid4()), task_queue="nobody")


async def test_whoever_has_no_good_key_is_told_why(
    cell: SmallCell, tenant: Tenant, signer: Signer
) -> None:
    name = account(tenant)
    impostor = Signer(kid=signer.kid)
    tokens = {
        "has no API key, and the client shows no certificate": "",
        "is not a token": "nonsense",
        "signed with a key that is not in force": Signer().token(key_of(tenant), name),
        "not signed as it says": impostor.token(key_of(tenant), name),
        "expired at": signer.token(key_of(tenant), name, ends_in=timedelta(seconds=-1)),
        "of another issuer": signer.token(key_of(tenant), name, iss="somebody"),
        "revoked, disabled or unknown": signer.token("nobody's", name),
    }
    for why, token in tokens.items():
        code, words = await answer_to(cell, tenant, token)
        assert (code, why in words) == (UNAUTHENTICATED, True), (why, words)
    assert (await answer_to(cell, tenant, signer.token(key_of(tenant), name)))[0] == OK


async def test_a_key_does_what_its_permission_allows(
    cell: SmallCell, tenant: Tenant, signer: Signer
) -> None:
    name = account(tenant)
    await know_keys(
        cell,
        name,
        key_row("reader", {tenant.namespace: "read"}),
        key_row("owner", everywhere=True),
        key_row("elsewhere", {"other.acme1": "admin"}),
    )
    await know_keys(cell, "globex", key_row("foreign", everywhere=True))
    start, describe = SERVICE + "StartWorkflowExecution", SERVICE + "DescribeNamespace"

    async def says(token: str, path: str) -> str:
        code, words = await answer_to(cell, tenant, token, path)
        return words if code == FORBIDDEN else code.name

    reader, owner = signer.token("reader", name), signer.token("owner", name)
    scoped = signer.token("owner", name, namespaces=["other." + name])
    # What the key allows is then denied because the request names no namespace.
    passed = "RBAC: access denied"
    assert "takes permission write" in await says(reader, start)
    assert await says(reader, describe) == passed
    assert await says(reader, SERVICE + "GetSystemInfo") == "OK"
    assert await says(owner, start) == passed
    assert "not made for namespace" in await says(scoped, describe)
    assert "no access to namespace" in await says(signer.token("elsewhere", name), describe)
    assert "no access to namespace" in await says(signer.token("foreign", "globex"), describe)


async def test_without_a_certificate_nobody_connects_where_keys_are_not_taken(
    cell: SmallCell, fresh: Tenant
) -> None:
    await cell.enforce(cell.record(fresh))
    for credential in (None, Authority.create("stranger").client()):
        with pytest.raises(Refused):
            await handshake(cell, fresh.server_name, credential)


async def test_an_untrusted_certificate_is_as_good_as_none(
    cell: SmallCell, tenant: Tenant, signer: Signer
) -> None:
    stranger = Authority.create("stranger").client()
    token = signer.token(key_of(tenant), account(tenant))

    async with keyed_channel(cell, tenant, token, credential=stranger) as channel:
        assert (await channel.call(HEALTH, b"")).code == OK
    async with keyed_channel(cell, tenant, "", credential=stranger) as channel:
        answer = await channel.call(HEALTH, b"")
    assert (answer.code, "no CA bundle" in answer.details) == (UNAUTHENTICATED, True)


async def test_the_prober_needs_no_key(cell: SmallCell, tenant: Tenant) -> None:
    name = x509.UniformResourceIdentifier(prober_identity(tenant.namespace))
    prober = replace(tenant, credential=cell.prober.client("prober", names=[name]))

    async with raw_channel(cell, prober) as channel:
        assert (await channel.call(HEALTH, b"")).code == OK


async def test_signing_keys_are_replaced_while_both_are_in_force(
    cell: SmallCell, tenant: Tenant, signer: Signer
) -> None:
    successor, name = Signer(), account(tenant)
    old, new = signer.token(key_of(tenant), name), successor.token(key_of(tenant), name)

    async def codes() -> list[str]:
        return [(await answer_to(cell, tenant, token))[0].name for token in (old, new)]

    for signers, expected in (
        ([signer], ["OK", "UNAUTHENTICATED"]),
        ([signer, successor], ["OK", "OK"]),
        ([successor], ["UNAUTHENTICATED", "OK"]),
        ([signer], ["OK", "UNAUTHENTICATED"]),
    ):
        await know_signers(cell, *signers)

        async def as_expected(expected: list[str] = expected) -> bool:
            return await codes() == expected

        await eventually(as_expected)
