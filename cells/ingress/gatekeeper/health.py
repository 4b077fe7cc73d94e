"""gRPC health: what the gatekeeper enforces, record by record, and which API keys it knows."""

from collections.abc import AsyncIterator

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from cells.ingress.gatekeeper.key_table import KeyTable
from cells.ingress.gatekeeper.table import RecordTable
from cells.ingress.keys import SERVICE_PREFIX
from cells.ingress.records import loaded_service

_SERVING = HealthCheckResponse.SERVING
_NOT_SERVING = HealthCheckResponse.NOT_SERVING
_UNKNOWN = HealthCheckResponse.SERVICE_UNKNOWN

_Context = grpc.aio.ServicerContext[HealthCheckRequest, HealthCheckResponse]


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # Generated, untyped.
    """The health service. The service `""` is the gatekeeper itself: SERVING once it has records.

    `loaded_service(namespace, digest)` is SERVING exactly while that record is admitted and
    enforced, and unknown otherwise; `keys_service(account, revision)` is SERVING once that revision
    of the account's API keys, or a later one, is enforced.
    """

    def __init__(self, table: RecordTable, keys: KeyTable) -> None:
        self._table = table
        self._keys = keys

    async def Check(self, request: HealthCheckRequest, context: _Context) -> HealthCheckResponse:
        status = self._status(request.service)
        if status == _UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"{request.service} is not enforced")
        return HealthCheckResponse(status=status)

    async def Watch(
        self,
        request: HealthCheckRequest,
        _context: _Context,
    ) -> AsyncIterator[HealthCheckResponse]:
        of_keys = request.service.startswith(SERVICE_PREFIX)
        followers = self._keys.followers if of_keys else self._table.followers
        with followers.following() as changes:
            told = None
            while True:
                status = self._status(request.service)
                if status != told:
                    yield HealthCheckResponse(status=status)
                    told = status
                await changes.take()

    def _status(self, service: str) -> HealthCheckResponse.ServingStatus.ValueType:
        if service == "":
            return _SERVING if self._table.loaded else _NOT_SERVING
        if service.startswith(SERVICE_PREFIX):
            return self._status_of_keys(service.removeprefix(SERVICE_PREFIX))
        record = self._table.of_namespace(service.partition("@")[0])
        if record is None or not record.admitted:
            return _UNKNOWN
        enforced = service == loaded_service(record.namespace, record.digest)
        return _SERVING if enforced else _UNKNOWN

    def _status_of_keys(self, asked: str) -> HealthCheckResponse.ServingStatus.ValueType:
        account, _, revision = asked.partition("@")
        known = self._keys.of_account(account)
        if known is None or not revision.isdecimal():
            return _UNKNOWN
        return _SERVING if known.revision >= int(revision) else _UNKNOWN
