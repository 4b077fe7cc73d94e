"""Looks at a cell through its addresses: Temporal, Envoy, the gatekeeper, the database."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass

import grpc
import httpx
import psycopg
from grpc_health.v1 import health_pb2, health_pb2_grpc
from psycopg.conninfo import make_conninfo
from temporalio.api.workflowservice.v1 import GetClusterInfoRequest, GetClusterInfoResponse

from cells.stores.tls import verified
from cells.types import CellAddresses, CellSpec, ObservedCell
from controlplane.secrets.port import SecretStore, cell_database

ANSWER_SECONDS = 5.0


@dataclass(frozen=True)
class AddressObserver:
    """Asks each part of a cell the cheapest question that shows it works.

    Which version its server should have is not for it to judge: a visit goes through several.
    """

    secrets: SecretStore

    async def observe(self, cell: str, spec: CellSpec) -> ObservedCell:
        where = spec.addresses
        version, *parts = await asyncio.gather(
            _problem("Temporal", where.frontend, self._server_version(where.frontend)),
            _problem("the ingress", where.ingress_admin, self._ask_ingress(where.ingress_admin)),
            _problem("the gatekeeper", where.gatekeeper, self._ask_gatekeeper(where.gatekeeper)),
            _problem("the database", where.database, self._ask_database(cell, where)),
        )
        problems = [answer.problem for answer in (version, *parts) if answer.problem]
        return ObservedCell(server_version=version.value or None, problems=problems)

    async def _server_version(self, frontend: str) -> str:
        async with grpc.aio.insecure_channel(frontend) as channel:
            ask = channel.unary_unary(
                "/temporal.api.workflowservice.v1.WorkflowService/GetClusterInfo",
                request_serializer=GetClusterInfoRequest.SerializeToString,
                response_deserializer=GetClusterInfoResponse.FromString,
            )
            info = await ask(GetClusterInfoRequest(), timeout=ANSWER_SECONDS)
            return info.server_version

    async def _ask_ingress(self, admin: str) -> str:
        async with httpx.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False) as client:
            answer = await client.get(f"http://{admin}/ready")
            if answer.text.strip() != "LIVE":
                raise RuntimeError(f"is {answer.text.strip()}, not LIVE")
            return answer.text

    async def _ask_gatekeeper(self, address: str) -> str:
        async with grpc.aio.insecure_channel(address) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=ANSWER_SECONDS)
            if answer.status != health_pb2.HealthCheckResponse.SERVING:
                raise RuntimeError("is not serving")
            return "SERVING"

    async def _ask_database(self, cell: str, where: CellAddresses) -> str:
        password = await self.secrets.get(cell_database(cell))
        if password is None:
            raise RuntimeError(f"has no password in the secret store ({cell_database(cell)})")
        server = verified(where.database, where.database_ca)
        conninfo = make_conninfo(server, password=password.decode(), connect_timeout=5)
        async with await psycopg.AsyncConnection.connect(conninfo) as connection:
            await connection.execute("SELECT FROM namespaces LIMIT 1")
        return "answers"


@dataclass(frozen=True)
class _Answer:
    value: str = ""
    problem: str = ""


async def _problem(part: str, address: str, question: Awaitable[str]) -> _Answer:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return _Answer(value=await question)
    except TimeoutError:
        return _Answer(problem=f"{part} at {address} does not answer")
    except (grpc.aio.AioRpcError, httpx.HTTPError, psycopg.Error, RuntimeError, OSError) as error:
        detail = error.details() if isinstance(error, grpc.aio.AioRpcError) else str(error)
        return _Answer(problem=f"{part} at {address} fails: {detail or type(error).__name__}")
