"""Envoy's question for each request without a client certificate: does its API key allow it?"""

import logging
from datetime import UTC, datetime

from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse, DeniedHttpResponse
from envoy.type.v3.http_status_pb2 import HttpStatus, StatusCode
from google.rpc.code_pb2 import OK, PERMISSION_DENIED, UNAUTHENTICATED
from google.rpc.status_pb2 import Status

from cells.ingress.gatekeeper.key_authorizer import (
    Forbidden,
    KeyAllowed,
    Unauthenticated,
    authorize_request,
)
from cells.ingress.gatekeeper.key_table import KeyTable
from cells.ingress.gatekeeper.table import RecordTable
from cells.ingress.gatekeeper.tokens import BadToken, TokenReader

_log = logging.getLogger(__name__)


class KeyAdmission:
    """Answers for requests, by the records and the keys that the tables have now."""

    def __init__(self, table: RecordTable, keys: KeyTable) -> None:
        self._table = table
        self._keys = keys
        self._tokens = TokenReader(keys.signing_key)

    def check(self, request: AttributeContext) -> CheckResponse:
        """Let the request pass, or answer it as gRPC's UNAUTHENTICATED or PERMISSION_DENIED."""
        connection = request.metadata_context.filter_metadata["ingress"].fields
        namespace = connection["namespace"].string_value
        match self._decide(namespace, request, connection["because"].string_value):
            case KeyAllowed():
                return CheckResponse(status=Status(code=OK))
            case Unauthenticated(reason):
                _log_refusal(namespace, request, reason)
                return _denied(UNAUTHENTICATED, StatusCode.Unauthorized, reason)
            case Forbidden(reason):
                _log_refusal(namespace, request, reason)
                return _denied(PERMISSION_DENIED, StatusCode.Forbidden, reason)

    def _decide(
        self, namespace: str, request: AttributeContext, because: str
    ) -> KeyAllowed | Unauthenticated | Forbidden:
        http = request.request.http
        scheme, _, token = http.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return Unauthenticated(f"the request has no API key, and {because}")
        try:
            claims = self._tokens.read(token.strip())
        except BadToken as error:
            return Unauthenticated(str(error))
        return authorize_request(
            self._table.of_namespace(namespace),
            claims,
            self._keys.of_account(claims.account),
            http.path,
            datetime.now(UTC),
        )


def _log_refusal(namespace: str, request: AttributeContext, reason: str) -> None:
    fields = {
        "namespace": namespace,
        "path": request.request.http.path,
        "reason": reason,
        "client_address": request.source.address.socket_address.address,
    }
    _log.warning("request refused", extra={"fields": fields})


def _denied(code: int, status: StatusCode.ValueType, reason: str) -> CheckResponse:
    # Envoy makes gRPC's status of the HTTP status, and its message of the body.
    return CheckResponse(
        status=Status(code=code, message=reason),
        denied_response=DeniedHttpResponse(status=HttpStatus(code=status), body=reason),
    )
