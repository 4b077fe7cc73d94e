import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from controlplane.api.engine import EngineWriter
from controlplane.api.ports import EngineUnavailable
from controlplane.errors import ErrorType
from controlplane.local.ports import free_port
from controlplane.payloads import data_converter
from provisioning.client import NamespaceClient
from provisioning.types import CreateNamespace, DeleteNamespace
from tests.engine import fresh_namespace, namespace_spec, working

NAMESPACE = "orders.acme1"
CREATE = CreateNamespace("op-1", namespace_spec())
DELETE = DeleteNamespace("op-2", "")


async def writer(port: int, *, accept_within_seconds: float = 0.5) -> EngineWriter:
    client = await Client.connect(f"127.0.0.1:{port}", lazy=True, data_converter=data_converter)
    return EngineWriter(NamespaceClient(client), accept_within_seconds=accept_within_seconds)


@asynccontextmanager
async def mute_server() -> AsyncIterator[int]:
    """Accept connections and never say a word."""

    async def hold(reader: asyncio.StreamReader, stream: asyncio.StreamWriter) -> None:
        await reader.read()
        stream.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_an_engine_that_is_not_there_is_unavailable() -> None:
    namespaces = await writer(free_port(), accept_within_seconds=60)

    with pytest.raises(EngineUnavailable, match="cannot be reached: send the same request again"):
        await namespaces.create(NAMESPACE, CREATE)
    with pytest.raises(EngineUnavailable, match="cannot be reached"):
        await namespaces.delete(NAMESPACE, DELETE)


async def test_an_engine_that_says_nothing_is_unavailable_in_time() -> None:
    async with mute_server() as port:
        namespaces = await writer(port)

        with pytest.raises(EngineUnavailable, match="in time"):
            await namespaces.create(NAMESPACE, CREATE)


async def test_without_a_worker_a_request_is_unavailable_in_time_and_kept_for_its_repetition(
    engine: WorkflowEnvironment,
) -> None:
    client = await fresh_namespace(engine.client)
    namespaces = EngineWriter(NamespaceClient(client), accept_within_seconds=0.5)
    with pytest.raises(EngineUnavailable, match="in time"):
        await namespaces.create(NAMESPACE, CREATE)

    async with working(client):
        view = await EngineWriter(NamespaceClient(client)).create(NAMESPACE, CREATE)

    assert [operation.id for operation in view.operations] == ["op-1"]


async def test_what_the_entity_refuses_is_a_refusal_for_good(engine: WorkflowEnvironment) -> None:
    client = await fresh_namespace(engine.client)
    namespaces = EngineWriter(NamespaceClient(client))
    async with working(client):
        await namespaces.create(NAMESPACE, CREATE)

        for request, reason in (
            (
                namespaces.create(NAMESPACE, CreateNamespace("op-2", namespace_spec())),
                ErrorType.ALREADY_EXISTS,
            ),
            (
                namespaces.delete(NAMESPACE, DeleteNamespace("op-3", "stale")),
                ErrorType.FAILED_PRECONDITION,
            ),
            (namespaces.delete("absent.acme1", DELETE), ErrorType.NOT_FOUND),
        ):
            with pytest.raises(ApplicationError) as refusal:
                await request
            assert refusal.value.type == reason
            assert refusal.value.non_retryable
