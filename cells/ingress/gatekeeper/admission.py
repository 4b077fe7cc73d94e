"""Envoy's question, once per connection: may this client in, and to which namespace?"""

import logging
from datetime import UTC, datetime
from urllib.parse import unquote

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc
from google.protobuf.struct_pb2 import Struct
from google.rpc.code_pb2 import OK, PERMISSION_DENIED
from google.rpc.status_pb2 import Status

from cells.ingress.gatekeeper.authorizer import Allowed, Refused, authorize
from cells.ingress.gatekeeper.table import RecordTable

_log = logging.getLogger(__name__)


class Admission(external_auth_pb2_grpc.AuthorizationServicer):  # type: ignore[misc]  # Untyped.
    """Envoy's external authorization service over the records of a table."""

    def __init__(self, table: RecordTable, prober_ca: str) -> None:
        self._table = table
        self._prober_ca = prober_ca

    async def Check(
        self,
        request: external_auth_pb2.CheckRequest,
        _context: grpc.aio.ServicerContext[
            external_auth_pb2.CheckRequest, external_auth_pb2.CheckResponse
        ],
    ) -> external_auth_pb2.CheckResponse:
        """Answer with the namespace as metadata of the connection, or refuse it."""
        server_name = request.attributes.tls_session.sni
        certificate = unquote(request.attributes.source.certificate)
        record = self._table.of_server_name(server_name)
        match authorize(record, certificate, self._prober_ca, datetime.now(UTC)):
            case Allowed(namespace=namespace):
                metadata = Struct()
                metadata.update({"namespace": namespace})
                return external_auth_pb2.CheckResponse(
                    status=Status(code=OK), dynamic_metadata=metadata
                )
            case Refused(reason=reason):
                peer = request.attributes.source.address.socket_address.address
                _log.warning(
                    "connection refused",
                    extra={
                        "fields": {
                            "server_name": server_name,
                            "reason": reason,
                            "client_address": peer,
                            **_describe(certificate),
                        }
                    },
                )
                return external_auth_pb2.CheckResponse(
                    status=Status(code=PERMISSION_DENIED, message=reason)
                )


def _describe(certificate_pem: str) -> dict[str, str]:
    """Return what lets a person find the certificate again."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
    except ValueError:
        return {}
    return {
        "client_subject": certificate.subject.rfc4514_string(),
        "client_fingerprint": certificate.fingerprint(hashes.SHA256()).hex(),
    }
