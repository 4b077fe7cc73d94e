"""The endpoints' server certificates, delivered to Envoy when a client asks for their names.

Envoy subscribes to a secret when a handshake names it (SNI), waits for the answer, keeps the
secret, and takes renewals as they are pushed; when told that there is none, it fails the handshake
and forgets the name.
"""

import hashlib
import logging

from envoy.config.core.v3.base_pb2 import DataSource
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import TlsCertificate
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret

from cells.ingress.gatekeeper.subscriptions import NONE
from cells.ingress.gatekeeper.table import RecordTable
from cells.ingress.records import IngressRecord
from cells.ingress.sealing import SealBroken, open_sealed, private_key_context

_log = logging.getLogger(__name__)


class Certificates:
    """Secrets by server name: `discovery.Resources`."""

    type_url = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
    all_are_kept = False

    def __init__(self, table: RecordTable, sealing_key: bytes) -> None:
        self._table = table
        self._sealing_key = sealing_key

    def affected(self, server_names: set[str]) -> set[str]:
        return server_names

    def version(self, server_name: str) -> str:
        record = self._table.of_server_name(server_name)
        if record is None or not record.admitted or not record.certificate_chain:
            return NONE
        parts = (record.uid.encode(), record.certificate_chain.encode(), record.sealed_key)
        return hashlib.sha256(b"\0".join(parts)).hexdigest()

    def resource(self, server_name: str) -> Secret | None:
        record = self._table.of_server_name(server_name)
        return None if record is None else self._secret(record)

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
