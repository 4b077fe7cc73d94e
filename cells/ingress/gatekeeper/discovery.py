"""What the gatekeeper tells Envoy without being asked twice: certificates, policies, peers, routes.

This is the incremental xDS protocol on Envoy's aggregated stream
(https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol): Envoy subscribes to resources
by name, keeps what it is given, and takes changes as they are pushed.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

import grpc
from envoy.service.discovery.v3 import ads_pb2_grpc
from envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    Resource,
)
from google.protobuf.message import Message

from cells.ingress.gatekeeper.changes import Changes
from cells.ingress.gatekeeper.subscriptions import NONE, Subscriptions, nonce
from cells.ingress.gatekeeper.table import RecordTable

_log = logging.getLogger(__name__)

_Context = grpc.aio.ServicerContext[DeltaDiscoveryRequest, DeltaDiscoveryResponse]


class Resources(Protocol):
    """The resources of one type."""

    @property
    def type_url(self) -> str: ...

    @property
    def all_are_kept(self) -> bool:
        """Whether Envoy asks for all there are, and not by name."""
        ...

    def affected(self, server_names: set[str]) -> set[str]:
        """Return which resources may change with the records of these server names."""
        ...

    def version(self, name: str) -> str:
        """Return what changes whenever the resource does; NONE when there is none."""
        ...

    def resource(self, name: str) -> Message | None:
        """Return the resource as it is now, if there is one."""
        ...


class Discovery(ads_pb2_grpc.AggregatedDiscoveryServiceServicer):  # type: ignore[misc]  # Untyped.
    """Envoy's discovery service over the records of a table."""

    def __init__(self, table: RecordTable, resources: Sequence[Resources]) -> None:
        self._table = table
        self._resources = {each.type_url: each for each in resources}

    async def DeltaAggregatedResources(
        self, requests: AsyncIterator[DeltaDiscoveryRequest], context: _Context
    ) -> None:
        """Answer one Envoy's requests, and push what changes, until it goes away.

        Resources are told in their order, so that none refers to what Envoy does not know yet.
        """
        envoy = {
            type_url: _Subscriber(each, Subscriptions(everything=each.all_are_kept))
            for type_url, each in self._resources.items()
        }
        with (
            self._table.followers.following() as changes,
            # Cancelled when either side stops; the library would log that as an error.
            suppress(asyncio.CancelledError),
        ):
            async with asyncio.TaskGroup() as tasks:
                telling = tasks.create_task(self._tell(envoy, changes, context))
                async for request in requests:
                    if (subscriber := envoy.get(request.type_url)) is not None:
                        subscriber.pending |= subscriber.subscriptions.receive(request)
                        changes.add(())
                telling.cancel()

    async def _tell(
        self, envoy: Mapping[str, "_Subscriber"], changes: Changes, context: _Context
    ) -> None:
        while True:
            server_names = await changes.take()
            # Who knows nothing yet must not make Envoy forget what it was told before.
            if not self._table.loaded:
                continue
            for subscriber in envoy.values():
                for response in subscriber.news(server_names):
                    await context.write(response)


class _Subscriber:
    """One Envoy's interest in the resources of one type."""

    def __init__(self, resources: Resources, subscriptions: Subscriptions) -> None:
        self.resources = resources
        self.subscriptions = subscriptions
        self.pending: set[str] = set()
        """What it may be waiting for."""

    def news(self, server_names: set[str]) -> list[DeltaDiscoveryResponse]:
        """Return what it does not know yet, each resource by itself: a broken one must not hold up
        another."""
        names, self.pending = self.pending | self.resources.affected(server_names), set()
        responses = []
        for name in self.subscriptions.wanted(names):
            version = self.subscriptions.tell(name, self.resources.version(name))
            if version is not None:
                responses.append(self._response(name, version))
        if self.subscriptions.owe_an_answer() and not responses:
            # That there is none is an answer, too, and Envoy waits for it.
            responses.append(_nothing(self.resources.type_url))
        return responses

    def _response(self, name: str, version: str) -> DeltaDiscoveryResponse:
        content = None if version == NONE else self.resources.resource(name)
        type_url = self.resources.type_url
        if content is None:
            _log.warning("Envoy asks for what there is not", extra={"fields": {"name": name}})
            return DeltaDiscoveryResponse(
                type_url=type_url, nonce=nonce(name, NONE), removed_resources=[name]
            )
        resource = Resource(name=name, version=version)
        resource.resource.Pack(content)
        return DeltaDiscoveryResponse(
            type_url=type_url, nonce=nonce(name, version), resources=[resource]
        )


def _nothing(type_url: str) -> DeltaDiscoveryResponse:
    return DeltaDiscoveryResponse(type_url=type_url, nonce=nonce("", NONE))
