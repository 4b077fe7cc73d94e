"""Two cells of one fleet, each in front of something that stands where Temporal would."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import grpc
from temporalio.api.workflowservice.v1 import CountWorkflowExecutionsRequest

from cells.ingress.records import AdmissionRules
from controlplane.local.ports import LOOPBACK
from tests.cells.ingress.small_cell import (
    FleetAuthorities,
    SmallCell,
    Tenant,
    new_tenant,
    prepared_cell,
    small_cell,
)
from tests.cells.ingress.wire import SERVICE, Answer, RawChannel
from tests.eventually import eventually
from tests.postgres import RunningPostgres

EAST, WEST = "aws-us-east-1-c1", "aws-us-west-2-c1"
COUNT = SERVICE + "CountWorkflowExecutions"
NOT_ACTIVE = (
    "Namespace: orders is active in cluster: there, while current cluster here is a standby "
    "cluster."
)


@dataclass(frozen=True)
class Request:
    path: str
    headers: dict[str, str | bytes]


class Frontend(grpc.GenericRpcHandler):
    """Answers every request with the name of its cell, and remembers it."""

    def __init__(self, cell: str) -> None:
        self.cell = cell
        self.seen: list[Request] = []
        self.is_standby = False
        """Whether it answers as Temporal does where a namespace is not active."""

    def service(
        self, details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        async def answer(_request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            headers = dict(context.invocation_metadata() or ())
            self.seen.append(Request(details.method, headers))
            if self.is_standby:
                await context.abort(
                    grpc.StatusCode.FAILED_PRECONDITION,
                    NOT_ACTIVE,
                    (("grpc-status-details-bin", b"\x08\x09"),),
                )
            return self.cell.encode()

        return grpc.unary_unary_rpc_method_handler(answer)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve, and yield the address."""
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((self,))
        port = server.add_insecure_port(f"{LOOPBACK}:0")
        await server.start()
        try:
            yield f"{LOOPBACK}:{port}"
        finally:
            await server.stop(None)


@dataclass(frozen=True)
class Pair:
    """Both cells know where the other's ingress is."""

    east: SmallCell
    west: SmallCell
    east_frontend: Frontend
    west_frontend: Frontend

    async def activate(
        self, tenant: Tenant, cell: str, rules: AdmissionRules | None = None
    ) -> None:
        """Let the namespace be active in the cell, and the other ingress pass requests on."""
        await self.route(tenant, east=cell, west=cell, rules=rules)

    async def route(
        self, tenant: Tenant, *, east: str, west: str, rules: AdmissionRules | None = None
    ) -> None:
        """Let each ingress take that cell for the active one."""
        rules = rules or AdmissionRules(client_ca=tenant.authority.pem)
        await asyncio.gather(
            enforce(self.east, tenant, replace(rules, active_cell="" if east == EAST else east)),
            enforce(self.west, tenant, replace(rules, active_cell="" if west == WEST else west)),
        )


async def enforce(cell: SmallCell, tenant: Tenant, rules: AdmissionRules) -> None:
    """Let the cell's gatekeeper enforce the rules; Envoy hears of them a moment later."""
    await cell.enforce(cell.record(tenant, rules=rules))


def counting(tenant: Tenant) -> bytes:
    """Return a request of the tenant's namespace, as bytes."""
    return CountWorkflowExecutionsRequest(namespace=tenant.namespace).SerializeToString()


async def count(channel: RawChannel, tenant: Tenant) -> Answer:
    return await channel.call(COUNT, counting(tenant))


async def comes_to(channel: RawChannel, tenant: Tenant, wanted: Callable[[Answer], bool]) -> None:
    """Wait until the tenant's requests on the connection are answered so."""
    heard: set[Answer] = set()

    async def answered() -> bool:
        answer = await count(channel, tenant)
        heard.add(answer)
        return wanted(answer)

    try:
        await eventually(answered)
    except TimeoutError:
        raise AssertionError(f"the answers were {heard}") from None


async def hears(channel: RawChannel, tenant: Tenant, words: str) -> None:
    """Wait until the tenant's requests on the connection are refused with these words."""
    await comes_to(channel, tenant, lambda answer: words in answer.details)


async def reaches(channel: RawChannel, tenant: Tenant, cell: str) -> None:
    """Wait until the tenant's requests on the connection are answered by that cell."""
    await comes_to(channel, tenant, lambda answer: answer.body == cell.encode())


def fresh_tenant() -> Tenant:
    return new_tenant(f"t{uuid4().hex[:8]}.acme1")


@contextlib.asynccontextmanager
async def joined_cells(
    postgres: RunningPostgres, folder: Path, *, east: str, west: str
) -> AsyncIterator[tuple[SmallCell, SmallCell]]:
    """Run two cells in front of these frontends; each knows where the other's ingress is."""
    authorities = FleetAuthorities()
    for name in (EAST, WEST):
        (folder / name).mkdir()
    async with (
        small_cell(postgres, folder / EAST, east, name=EAST, authorities=authorities) as one,
        small_cell(postgres, folder / WEST, west, name=WEST, authorities=authorities) as other,
    ):
        await one.know(WEST, other.ingress.listen)
        await other.know(EAST, one.ingress.listen)
        yield one, other


@contextlib.asynccontextmanager
async def running_pair(postgres: RunningPostgres, folder: Path) -> AsyncIterator[Pair]:
    east, west = Frontend(EAST), Frontend(WEST)
    async with (
        east.serving() as in_the_east,
        west.serving() as in_the_west,
        joined_cells(postgres, folder, east=in_the_east, west=in_the_west) as cells,
    ):
        yield Pair(*cells, east, west)


@contextlib.asynccontextmanager
async def bare_neighbour(
    postgres: RunningPostgres, folder: Path, pair: Pair
) -> AsyncIterator[SmallCell]:
    """Lay out a third cell, whose processes are not started, and let it know the west's ingress."""
    frontend = Frontend("gcp-us-central1-c1")
    async with (
        frontend.serving() as address,
        prepared_cell(
            postgres, folder, address, name=frontend.cell, authorities=pair.west.authorities
        ) as cell,
    ):
        await cell.know(WEST, pair.west.ingress.listen)
        yield cell
