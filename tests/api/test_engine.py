import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from controlplane.api.engine import EngineWriter
from controlplane.api.ports import EngineUnavailable
from controlplane.local.ports import free_port
from provisioning.client import NamespaceClient
from provisioning.types import CreateNamespace, DeleteNamespace
from tests.store.views import namespace_view

CREATE = CreateNamespace("op-1", namespace_view().spec)
DELETE = DeleteNamespace("op-2", "")


async def writer(port: int) -> EngineWriter:
    client = await Client.connect(
        f"127.0.0.1:{port}", lazy=True, data_converter=pydantic_data_converter
    )
    return EngineWriter(NamespaceClient(client), accept_within_seconds=0.5)


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
    namespaces = await writer(free_port())

    with pytest.raises(EngineUnavailable, match="cannot be reached: send the same request again"):
        await namespaces.create("orders.acme1", CREATE)
    with pytest.raises(EngineUnavailable, match="cannot be reached"):
        await namespaces.delete("orders.acme1", DELETE)


async def test_an_engine_that_says_nothing_is_unavailable_in_time() -> None:
    async with mute_server() as port:
        namespaces = await writer(port)

        with pytest.raises(EngineUnavailable, match="in time"):
            await namespaces.create("orders.acme1", CREATE)
