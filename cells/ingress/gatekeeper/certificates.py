"""The endpoints' server certificates, delivered to Envoy when a client asks for their names.

Envoy subscribes to a secret when a handshake names it (SNI), waits for the answer, keeps the
secret, and takes renewals as they are pushed; when told that there is none, it fails the handshake
and forgets the name. This is the incremental xDS protocol on Envoy's aggregated stream
(https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol).
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator
from contextlib import suppress

import grpc
from envoy.config.core.v3.base_pb2 import DataSource
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import TlsCertificate
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from envoy.service.discovery.v3 import ads_pb2_grpc
from envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    Resource,
)

from cells.ingress.gatekeeper.subscriptions import NONE, Subscriptions, nonce
from cells.ingress.gatekeeper.table import Changes, RecordTable
from cells.ingress.records import IngressRecord
from cells.ingress.sealing import SealBroken, open_sealed, private_key_context

SECRET_TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105

_log = logging.getLogger(__name__)

_Context = grpc.aio.ServicerContext[DeltaDiscoveryRequest, DeltaDiscoveryResponse]


class Certificates(ads_pb2_grpc.AggregatedDiscoveryServiceServicer):  # type: ignore[misc]  # Untyped.
    """Envoy's discovery service over the records of a table."""

    def __init__(self, table: RecordTable, sealing_key: bytes) -> None:
        self._table = table
        self._sealing_key = sealing_key

    async def DeltaAggregatedResources(
        self, requests: AsyncIterator[DeltaDiscoveryRequest], context: _Context
    ) -> None:
        """Answer one Envoy's requests, and push what changes, until it goes away."""
        subscriptions = Subscriptions()
        with (
            self._table.following() as changes,
            # Cancelled when either side stops; the library would log that as an error.
            suppress(asyncio.CancelledError),
        ):
            async with asyncio.TaskGroup() as tasks:
                telling = tasks.create_task(self._tell(subscriptions, changes, context))
                async for request in requests:
                    changes.add(subscriptions.receive(request))
                telling.cancel()

    async def _tell(
        self, subscriptions: Subscriptions, changes: Changes, context: _Context
    ) -> None:
        while True:
            for server_name in subscriptions.wanted(await changes.take()):
                record = self._table.of_server_name(server_name)
                version = subscriptions.tell(server_name, _version(record))
                if version is not None:
                    await context.write(self._response(server_name, version, record))

    def _response(
        self, server_name: str, version: str, record: IngressRecord | None
    ) -> DeltaDiscoveryResponse:
        """Return the answer for one name: a broken certificate must not hold up another's."""
        secret = self._secret(record) if record is not None and version != NONE else None
        if secret is None:
            _log.warning(
                "no certificate for the server name", extra={"fields": {"server_name": server_name}}
            )
            return DeltaDiscoveryResponse(
                type_url=SECRET_TYPE,
                nonce=nonce(server_name, NONE),
                removed_resources=[server_name],
            )
        resource = Resource(name=server_name, version=version)
        resource.resource.Pack(secret)
        return DeltaDiscoveryResponse(
            type_url=SECRET_TYPE, nonce=nonce(server_name, version), resources=[resource]
        )

    def _secret(self, record: IngressRecord) -> Secret | None:
        context = private_key_context(record.namespace, record.uid)
        try:
            key = open_sealed(self._sealing_key, record.sealed_key, context)
        except SealBroken as error:
            _log.error("broken seal", extra={"fields": {"reason": str(error)}})
            return None
        return Secret(
            name=record.server_name,
            tls_certificate=TlsCertificate(
                certificate_chain=DataSource(inline_string=record.certificate_chain),
                private_key=DataSource(inline_bytes=key),
            ),
        )


def _version(record: IngressRecord | None) -> str:
    if record is None or not record.admitted or not record.certificate_chain:
        return NONE
    parts = (record.uid.encode(), record.certificate_chain.encode(), record.sealed_key)
    return hashlib.sha256(b"\0".join(parts)).hexdigest()
