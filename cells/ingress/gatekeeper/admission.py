"""Envoy's question, once per connection: may this client in, and to which namespace?"""

import logging
from datetime import UTC, datetime
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from google.protobuf.struct_pb2 import Struct
from google.rpc.code_pb2 import OK, PERMISSION_DENIED
from google.rpc.status_pb2 import Status

from cells.ingress.gatekeeper.authorities import PEERS
from cells.ingress.gatekeeper.authorizer import (
    Allowed,
    KeyNeeded,
    OurAuthorities,
    PeerAllowed,
    ProberAllowed,
    Refused,
    authorize,
    serial_of,
)
from cells.ingress.gatekeeper.table import RecordTable

_log = logging.getLogger(__name__)


class Admission:
    """Answers for connections, by the records of a table."""

    def __init__(self, table: RecordTable, ours: OurAuthorities) -> None:
        self._table = table
        self._ours = ours

    def check(self, connection: AttributeContext) -> CheckResponse:
        """Answer with metadata for the connection, which tenant.lua reads, or refuse it."""
        server_name = connection.tls_session.sni
        certificate = unquote(connection.source.certificate)
        record = self._table.of_server_name(server_name)
        match authorize(record, certificate, self._ours, datetime.now(UTC)):
            case Allowed(namespace, serial, authority):
                return _admitted(
                    namespace=namespace,
                    server_name=server_name,
                    counted_for=namespace,
                    credential="certificate",
                    certificate=f"{namespace}/{serial}",
                    authority=f"{namespace}/{authority}",
                )
            case ProberAllowed(namespace):
                return _admitted(
                    namespace=namespace, server_name=server_name, credential="certificate"
                )
            case PeerAllowed(namespace, cell):
                # Without a server name, its requests are not passed on.
                return _admitted(
                    namespace=namespace,
                    peer=cell,
                    credential="certificate",
                    authority=f"{namespace}/{PEERS}",
                )
            case KeyNeeded(namespace, because):
                return _admitted(
                    namespace=namespace,
                    server_name=server_name,
                    counted_for=namespace,
                    credential="api_key",
                    because=because,
                )
            case Refused(reason):
                peer = connection.source.address.socket_address.address
                fields = {
                    "server_name": server_name,
                    "reason": reason,
                    "client_address": peer,
                    **_describe(certificate),
                }
                _log.warning("connection refused", extra={"fields": fields})
                return CheckResponse(status=Status(code=PERMISSION_DENIED, message=reason))


def _admitted(**metadata: str) -> CheckResponse:
    known = Struct()
    known.update(metadata)
    return CheckResponse(status=Status(code=OK), dynamic_metadata=known)


def _describe(certificate_pem: str) -> dict[str, str]:
    """Return what lets a person find the certificate again."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
    except ValueError:
        return {}
    return {
        "client_subject": certificate.subject.rfc4514_string(),
        "client_serial": serial_of(certificate),
        "client_fingerprint": certificate.fingerprint(hashes.SHA256()).hex(),
    }
