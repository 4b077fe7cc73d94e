"""Requests per second of a namespace: counted over all its connections, changed while it runs."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from time import perf_counter
from uuid import uuid4

import grpc
import pytest
from cryptography import x509

from cells.ingress.gatekeeper.authorizer import prober_identity
from cells.ingress.records import AdmissionRules
from tests.cells.ingress.small_cell import SmallCell, Tenant, new_tenant
from tests.cells.ingress.test_worker import run_workflow, worker
from tests.cells.ingress.wire import HEALTH, SERVICE, Answer, RawChannel, raw_channel
from tests.eventually import eventually

LIMITED = grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.fixture
def fresh() -> Tenant:
    return new_tenant(f"t{uuid4().hex[:8]}.acme1")


async def limit(cell: SmallCell, tenant: Tenant, requests_per_second: int) -> None:
    rules = AdmissionRules(client_ca=tenant.authority.pem, requests_per_second=requests_per_second)
    await cell.enforce(cell.record(tenant, rules=rules))


async def burst(channel: RawChannel, requests: int) -> list[Answer]:
    return await asyncio.gather(*(channel.call(HEALTH, b"") for _ in range(requests)))


async def becomes_limited(channel: RawChannel, requests_per_second: int) -> None:
    async def limited() -> bool:
        words = f"limited to {requests_per_second} requests per second"
        return any(words in answer.details for answer in await burst(channel, 20))

    await eventually(limited)


async def test_a_limit_holds_on_open_connections_and_can_be_lifted(
    cell: SmallCell, fresh: Tenant
) -> None:
    await limit(cell, fresh, 0)
    async with raw_channel(cell, fresh) as channel:
        assert all(answer.code.name == "OK" for answer in await burst(channel, 50))

        await limit(cell, fresh, 3)
        await becomes_limited(channel, 3)
        await limit(cell, fresh, 7)
        await becomes_limited(channel, 7)
        await limit(cell, fresh, 0)

        async def lifted() -> bool:
            return all(answer.code.name == "OK" for answer in await burst(channel, 50))

        await eventually(lifted)


async def test_the_answer_names_the_namespace_and_its_limit(cell: SmallCell, fresh: Tenant) -> None:
    await limit(cell, fresh, 2)
    async with raw_channel(cell, fresh) as channel:
        await becomes_limited(channel, 2)
        answers = await burst(channel, 20)

    assert {answer.details for answer in answers if answer.code == LIMITED} == {
        f"namespace {fresh.namespace} is limited to 2 requests per second"
    }


async def test_all_connections_of_a_namespace_share_its_limit(
    cell: SmallCell, fresh: Tenant
) -> None:
    """Envoy has two threads here, and each of eight connections belongs to one of them."""
    await limit(cell, fresh, 10)
    async with AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(raw_channel(cell, fresh)) for _ in range(8)]
        await becomes_limited(channels[0], 10)
        started = perf_counter()
        answers = [
            a for _ in range(5) for a in await asyncio.gather(*(burst(c, 10) for c in channels))
        ]
        seconds = perf_counter() - started

    served = sum(answer.code.name == "OK" for some in answers for answer in some)
    assert served <= 10 * (seconds + 1) + 1


async def test_one_namespaces_limit_is_not_anothers(
    cell: SmallCell, fresh: Tenant, orders: Tenant
) -> None:
    await limit(cell, fresh, 1)
    async with raw_channel(cell, fresh) as limited, raw_channel(cell, orders) as free:
        await becomes_limited(limited, 1)

        assert all(answer.code.name == "OK" for answer in await burst(free, 50))


async def test_the_control_planes_own_requests_are_not_counted(
    cell: SmallCell, fresh: Tenant
) -> None:
    await limit(cell, fresh, 1)
    name = x509.UniformResourceIdentifier(prober_identity(fresh.namespace))
    prober = replace(fresh, credential=cell.prober.client("prober", names=[name]))
    async with raw_channel(cell, fresh) as limited, raw_channel(cell, prober) as free:
        await becomes_limited(limited, 1)

        assert all(answer.code.name == "OK" for answer in await burst(free, 50))


async def test_what_an_sdk_asks_when_it_connects_is_not_counted(
    cell: SmallCell, fresh: Tenant
) -> None:
    """Refused, it gives up instead of trying again."""
    await limit(cell, fresh, 1)
    async with raw_channel(cell, fresh) as channel:
        await becomes_limited(channel, 1)
        calls = (channel.call(SERVICE + "GetSystemInfo", b"") for _ in range(20))
        answers = await asyncio.gather(*calls)

    assert {answer.code for answer in answers} == {grpc.StatusCode.OK}


async def test_an_sdk_tries_again_and_gets_its_work_done(cell: SmallCell, orders: Tenant) -> None:
    unlimited = cell.record(orders)
    await limit(cell, orders, 5)
    async with raw_channel(cell, orders) as channel:
        await becomes_limited(channel, 5)
    try:
        client, queue = await cell.connect(orders), str(uuid4())
        async with worker(client, queue):
            results = await asyncio.gather(
                *(run_workflow(client, queue, "hello") for _ in range(3))
            )
    finally:
        await cell.enforce(unlimited)

    assert results == [5, 5, 5]
