"""Nobody reads something older than what was there when they asked, through any of the APIs."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from temporalio.api.cloud.cloudservice.v1 import (
    GetNamespaceRequest,
    GetNamespaceResponse,
    GetNamespacesRequest,
    GetNamespacesResponse,
)
from temporalio.api.cloud.namespace.v1 import Namespace

from controlplane.api.calls import SERVICE
from controlplane.api.certificate import ApiCertificate
from controlplane.api.server import serving
from controlplane.identity.keys import ApiKeys
from controlplane.identity.limits import raise_limits
from controlplane.identity.signing_keys import ensure_signer
from controlplane.local.account import LIMITS
from controlplane.settings import ApiSettings
from controlplane.store.pool import Pool, open_pool_on
from controlplane.store.projections import Projections
from provisioning.types import NamespaceLife
from tests.api.running import ZONE, RunningApi, bearer
from tests.identity.people import new_owner
from tests.store.views import namespace_view

NAMESPACES = ("a", "b", "c")
ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
ABSENT = 1_000_000
"""Stands for the revision of a namespace that is deleted."""


@dataclass(frozen=True)
class World:
    """Two APIs that know nothing of each other, and who publishes beside them, on one database."""

    channels: Sequence[grpc.aio.Channel]
    keys: ApiKeys
    publishers: Pool


@pytest.fixture(scope="module")
async def world(api: RunningApi) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        ports = [api.ports.grpc, await stack.enter_async_context(another_api(api))]
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))
            for port in ports
        ]
        yield World(channels, api.keys, await stack.enter_async_context(another_pool(api)))


@asynccontextmanager
async def another_api(api: RunningApi) -> AsyncIterator[int]:
    """Serve the same database once more, with everything else of its own; yield gRPC's port."""

    async def engine_answers() -> bool:
        return True

    async with (
        another_pool(api) as pool,
        serving(
            pool,
            ApiKeys(pool, await ensure_signer(api.secrets)),
            api.writer,
            api.fleet.all(),
            ApiCertificate(api.secrets, ZONE),
            ZONE,
            ApiSettings("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"),
            engine_answers,
        ) as ports,
    ):
        yield ports.grpc


@asynccontextmanager
async def another_pool(api: RunningApi) -> AsyncIterator[Pool]:
    assert isinstance(api.pool.conninfo, str)
    pool = await open_pool_on(api.pool.conninfo)
    try:
        yield pool
    finally:
        await pool.close()


WRITES = st.lists(
    st.tuples(st.sampled_from(NAMESPACES), st.integers(2, 30)), min_size=1, max_size=12
)
"""Revisions to publish: in any order, some of them twice."""
READS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from((*NAMESPACES, ""))), min_size=1, max_size=12
)
"""From which API, and which namespace; "" lists all."""


@settings(
    max_examples=50,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    writers=st.lists(WRITES, min_size=1, max_size=3),
    readers=st.lists(READS, min_size=2, max_size=5),
    deleted=st.booleans(),
)
async def test_no_read_is_older_than_what_was_known_when_it_began(
    world: World,
    writers: list[list[tuple[str, int]]],
    readers: list[list[tuple[int, str]]],
    deleted: bool,
) -> None:
    history = await begin_history(world)

    async with asyncio.TaskGroup() as tasks:
        for writes in writers:
            tasks.create_task(history.write(writes, deleted=deleted))
        for reads in readers:
            tasks.create_task(history.read(reads))

    # At rest, both APIs show the newest of all.
    for number in range(len(world.channels)):
        await history.read([(number, name) for name in (*NAMESPACES, "")])


@dataclass(frozen=True)
class History:
    """One account's namespaces, and the newest revision of each that anybody knows to be there."""

    world: World
    account: str
    token: str
    known: dict[str, int]

    async def write(self, writes: Sequence[tuple[str, int]], *, deleted: bool) -> None:
        for name, revision in writes:
            await self.publish(name, revision)
        if deleted:
            await self.publish(NAMESPACES[0], ABSENT)

    async def publish(self, name: str, revision: int) -> None:
        view = namespace_view(
            f"{name}.{self.account}",
            revision=revision,
            life=NamespaceLife.DELETED if revision == ABSENT else NamespaceLife.ACTIVE,
        )
        view = replace(view, modified_at=ORIGIN + timedelta(seconds=revision))
        await Projections(self.world.publishers).publish_namespace(view)
        self.learn(name, revision)

    async def read(self, reads: Sequence[tuple[int, str]]) -> None:
        for number, name in reads:
            before = dict(self.known)
            if name:
                seen = {name: await self.get(number, name)}
            else:
                listed = await self.list(number)
                seen = {each: listed.get(each, ABSENT) for each in NAMESPACES}
            for each, revision in seen.items():
                assert revision >= before[each], (each, revision, before)
                self.learn(each, revision)

    def learn(self, name: str, revision: int) -> None:
        self.known[name] = max(self.known[name], revision)

    async def get(self, number: int, name: str) -> int:
        request = GetNamespaceRequest(namespace=f"{name}.{self.account}")
        try:
            answer = await self.call(number, "GetNamespace", request.SerializeToString())
        except grpc.aio.AioRpcError as refusal:
            if refusal.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            return ABSENT
        return revision_of(GetNamespaceResponse.FromString(answer).namespace)

    async def list(self, number: int) -> dict[str, int]:
        request = GetNamespacesRequest(page_size=10).SerializeToString()
        answer = GetNamespacesResponse.FromString(await self.call(number, "GetNamespaces", request))
        return {each.spec.name: revision_of(each) for each in answer.namespaces}

    async def call(self, number: int, rpc: str, request: bytes) -> bytes:
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self.world.channels[
            number
        ].unary_unary(f"/{SERVICE.full_name}/{rpc}")
        return await method(request, metadata=bearer(self.token))


async def begin_history(world: World) -> History:
    owner = await new_owner(world.keys)
    async with world.publishers.connection() as connection:
        await raise_limits(connection, owner.account, LIMITS)
    token = (await owner.key()).token
    history = History(world, owner.account, token, dict.fromkeys(NAMESPACES, 0))
    for name in NAMESPACES:
        await history.publish(name, 1)
    return history


def revision_of(namespace: Namespace) -> int:
    modified = namespace.last_modified_time.ToDatetime(UTC)
    return round((modified - ORIGIN).total_seconds())
