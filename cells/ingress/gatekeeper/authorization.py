"""Envoy's external authorization service: one question per connection, one per keyed request."""

import grpc
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from envoy.service.auth.v3.external_auth_pb2_grpc import AuthorizationServicer

from cells.ingress.gatekeeper.admission import Admission
from cells.ingress.gatekeeper.key_admission import KeyAdmission


class Authorization(AuthorizationServicer):  # type: ignore[misc]  # Untyped.
    """Hands each question to who answers it: only those about requests have an HTTP request."""

    def __init__(self, connections: Admission, requests: KeyAdmission) -> None:
        self._connections = connections
        self._requests = requests

    async def Check(
        self,
        request: CheckRequest,
        _context: grpc.aio.ServicerContext[CheckRequest, CheckResponse],
    ) -> CheckResponse:
        attributes = request.attributes
        if attributes.request.HasField("http"):
            return self._requests.check(attributes)
        return self._connections.check(attributes)
