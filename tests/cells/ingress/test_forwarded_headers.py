"""What reaches a cell's Temporal frontend of a request's headers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from cells.ingress.records import AdmissionRules
from controlplane.local.ports import LOOPBACK
from tests.cells.ingress.api_keys import Signer, key_row, know_keys, know_signers
from tests.cells.ingress.small_cell import SmallCell, new_tenant, small_cell
from tests.cells.ingress.wire import HEALTH, keyed_channel
from tests.postgres import RunningPostgres


class Frontend(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # Generated, untyped.
    """Stands where Temporal would, and remembers the headers of each request."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str | bytes]] = []

    async def Check(
        self,
        _request: HealthCheckRequest,
        context: grpc.aio.ServicerContext[HealthCheckRequest, HealthCheckResponse],
    ) -> HealthCheckResponse:
        self.seen.append(dict(context.invocation_metadata() or ()))
        return HealthCheckResponse(status=HealthCheckResponse.SERVING)


@pytest.fixture
def frontend() -> Frontend:
    return Frontend()


@pytest.fixture
async def cell(
    postgres: RunningPostgres, frontend: Frontend, tmp_path: Path
) -> AsyncIterator[SmallCell]:
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(frontend, server)
    port = server.add_insecure_port(f"{LOOPBACK}:0")
    await server.start()
    async with small_cell(postgres, tmp_path, f"{LOOPBACK}:{port}") as running:
        yield running
    await server.stop(None)


async def test_neither_an_api_key_nor_what_the_ingress_notes_is_forwarded(
    cell: SmallCell, frontend: Frontend
) -> None:
    tenant, signer = new_tenant("orders.acme1"), Signer()
    rules = AdmissionRules(client_ca=tenant.authority.pem, api_keys=True)
    await asyncio.gather(
        know_signers(cell, signer),
        know_keys(cell, "acme1", key_row("key-1", everywhere=True)),
        cell.enforce(cell.record(tenant, rules=rules)),
    )
    token = signer.token("key-1", "acme1")

    for credential in (None, tenant.credential):
        async with keyed_channel(cell, tenant, token, credential=credential) as channel:
            answer = await channel.call(HEALTH, b"", [("x-of-the-client", "1")])
            assert answer.code == grpc.StatusCode.OK

    for headers in frontend.seen:
        assert headers["x-of-the-client"] == "1"
        assert "authorization" not in headers
        assert not [name for name in headers if name.startswith("x-ingress")]
    assert len(frontend.seen) == 2
