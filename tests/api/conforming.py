"""What conformance tests do with namespaces, through whatever door."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from google.protobuf.message import Message
from temporalio.api.cloud.cloudservice.v1 import (
    CreateNamespaceRequest,
    CreateNamespaceResponse,
    GetNamespaceRequest,
    GetNamespaceResponse,
    UpdateNamespaceRequest,
    UpdateNamespaceResponse,
)
from temporalio.api.cloud.namespace.v1 import Namespace, NamespaceSpec
from temporalio.service import RPCStatusCode

from tests.api.doors import Answer, Door, Refused
from tests.api.running import RunningApi, declared

KEYWORD = NamespaceSpec.SearchAttributeType.SEARCH_ATTRIBUTE_TYPE_KEYWORD


@asynccontextmanager
async def refused(code: RPCStatusCode, told: str = "") -> AsyncIterator[None]:
    """Expect that the block's call is refused with that code, and is told so."""
    with pytest.raises(Refused) as refusal:
        yield
    assert refusal.value.code is code, refusal.value
    assert told in refusal.value.message


async def read(door: Door, namespace: str, version: str = "") -> Namespace:
    request = GetNamespaceRequest(namespace=namespace)
    return (await door.call(request, GetNamespaceResponse, version)).namespace


async def active(
    api: RunningApi, door: Door, change: Callable[[NamespaceSpec], object] = lambda _: None
) -> Namespace:
    """Return a namespace that was created, as it is read."""
    spec = declared("orders")
    change(spec)
    created = await door.call(CreateNamespaceRequest(spec=spec), CreateNamespaceResponse)
    await api.settle(created.namespace)
    return await read(door, created.namespace)


async def done(api: RunningApi, door: Door, request: Message, answer: type[Answer]) -> Namespace:
    """Return the namespace once the request's operation is finished."""
    await door.call(request, answer)
    namespace: str = request.namespace  # type: ignore[attr-defined]  # Of all of these.
    await api.settle(namespace)
    return await read(door, namespace)


async def update(
    api: RunningApi, door: Door, namespace: Namespace, version: str | None = None
) -> Namespace:
    """Send the namespace's spec as it was changed by the test."""
    request = UpdateNamespaceRequest(
        namespace=namespace.namespace,
        spec=namespace.spec,
        resource_version=namespace.resource_version if version is None else version,
    )
    return await done(api, door, request, UpdateNamespaceResponse)
