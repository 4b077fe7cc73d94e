"""What a read costs: `python -m tests.benchmarks.api`.

Measures GetNamespace, and GetNamespaces with 100 of them, of the API as it runs in production,
PostgreSQL and the log included, against a handler of the same service that does nothing. The server
has one core to itself; its database and the generator of the load share the other.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import grpc
import psutil
from google.protobuf.message import Message
from temporalio.api.cloud.cloudservice.v1 import (
    GetNamespaceRequest,
    GetNamespaceResponse,
    GetNamespacesRequest,
)

from controlplane.api.calls import SERVICE
from controlplane.identity.accounts import ensure_first_account
from controlplane.identity.limits import LARGEST_LIMIT, set_limit
from controlplane.local.ports import free_port
from controlplane.secrets.file import FileSecretStore, create_key
from controlplane.secrets.port import CONTROLPLANE_DATABASE, FLEET_CA
from controlplane.store.pool import open_pool_on
from controlplane.store.projections import Projections
from controlplane.store.schema import migrate
from provisioning.certificates.x509 import new_ca
from tests.api.running import bearer
from tests.benchmarks.http2 import Call, Connection, connect
from tests.postgres import RunningPostgres, running_postgres
from tests.store.views import cell_view, namespace_view

NAMESPACES = 100
CONNECTIONS = 4
IN_FLIGHT = 64
ROUNDS = 3
PEAK_SECONDS = 4.0
HALF_SECONDS = 4.0

_SERVER_CORE, _OTHER_CORE = 0, 1
_TICK_SECONDS = 0.001
_API = "from controlplane.api import main; main()"


@dataclass(frozen=True)
class Server:
    process: psutil.Process
    port: int


@dataclass(frozen=True)
class Peak:
    calls_per_second: float
    microseconds_per_call: float
    """Of the server's CPU."""


@dataclass(frozen=True)
class Subject:
    name: str
    server: Server
    call: Call


async def main() -> None:
    psutil.Process().cpu_affinity([_OTHER_CORE])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with (
            running_postgres(folder) as postgres,
            _api(postgres, folder) as (api, account, token),
            _empty() as empty,
        ):
            one = _call(GetNamespaceRequest(namespace=f"n00.{account}"), token)
            page = _call(GetNamespacesRequest(page_size=NAMESPACES), token)
            await _measure(
                (
                    Subject("empty handler", empty, one),
                    Subject("GetNamespace", api, one),
                    Subject(f"GetNamespaces({NAMESPACES})", api, page),
                )
            )


async def _measure(subjects: Sequence[Subject]) -> None:
    peaks: dict[str, list[Peak]] = {subject.name: [] for subject in subjects}
    for _ in range(ROUNDS):
        # In turns, for the machine is not always as fast.
        for subject in subjects:
            peaks[subject.name].append(await _peak(subject))
    print(f"{'':20} {'calls/s':>9} {'ratio':>6} {'CPU µs/call':>12} {'ratio':>6} "
          f"{'p50 at half':>12} {'p99 at half':>12}")  # fmt: skip
    base: Peak | None = None
    for subject in subjects:
        peak = _median(peaks[subject.name])
        base = base or peak
        latencies = sorted(await _at_rate(subject, peak.calls_per_second / 2))
        p50, p99 = (1000 * latencies[int(len(latencies) * part)] for part in (0.5, 0.99))
        print(
            f"{subject.name:20} {peak.calls_per_second:9.0f} "
            f"{peak.calls_per_second / base.calls_per_second:6.2f} "
            f"{peak.microseconds_per_call:12.0f} "
            f"{base.microseconds_per_call / peak.microseconds_per_call:6.2f} "
            f"{p50:9.1f} ms {p99:9.1f} ms"
        )


async def _peak(subject: Subject, seconds: float = PEAK_SECONDS) -> Peak:
    """Return how much the server can do, with so many calls always in flight."""
    async with _connections(subject) as connections:
        for connection in connections:
            connection.endless = True
            connection.begin(IN_FLIGHT // CONNECTIONS)
        await asyncio.sleep(seconds / 4)
        calls, cpu, began = _answered(connections), _cpu(subject.server), time.perf_counter()
        await asyncio.sleep(seconds)
        calls = _answered(connections) - calls
        cpu, elapsed = _cpu(subject.server) - cpu, time.perf_counter() - began
        return Peak(calls / elapsed, 1e6 * cpu / max(calls, 1))


async def _at_rate(subject: Subject, rate: float, seconds: float = HALF_SECONDS) -> list[float]:
    """Return the latencies of calls that come at a rate, whether earlier ones are answered."""
    async with _connections(subject) as connections:
        began, begun = time.perf_counter(), 0
        while (elapsed := time.perf_counter() - began) < seconds:
            while begun < elapsed * rate:
                connections[begun % CONNECTIONS].begin(1, due=began + begun / rate)
                begun += 1
            await asyncio.sleep(_TICK_SECONDS)
        async with asyncio.timeout(30):
            for connection in connections:
                await connection.idle()
        return [each for connection in connections for each in connection.latencies]


@asynccontextmanager
async def _connections(subject: Subject) -> AsyncIterator[list[Connection]]:
    connections = [await connect(subject.server.port, subject.call) for _ in range(CONNECTIONS)]
    try:
        yield connections
        failures = {connection.failure for connection in connections} - {""}
        assert not failures, f"{subject.name}: {failures}"
    finally:
        for connection in connections:
            connection.close()


def _answered(connections: Sequence[Connection]) -> int:
    return sum(len(connection.latencies) for connection in connections)


def _cpu(server: Server) -> float:
    times = server.process.cpu_times()
    return times.user + times.system


def _median(peaks: Sequence[Peak]) -> Peak:
    return Peak(
        statistics.median(peak.calls_per_second for peak in peaks),
        statistics.median(peak.microseconds_per_call for peak in peaks),
    )


def _call(request: Message, token: str) -> Call:
    rpc = request.DESCRIPTOR.name.removesuffix("Request")
    return Call(f"/{SERVICE.full_name}/{rpc}", bearer(token), request.SerializeToString())


@asynccontextmanager
async def _api(postgres: RunningPostgres, folder: Path) -> AsyncIterator[tuple[Server, str, str]]:
    """Run the API with an account of so many namespaces; yield it with the account and its key."""
    database = await postgres.create_database()
    create_key(folder / "key")
    secrets = FileSecretStore(folder / "secrets", folder / "key")
    await secrets.put(CONTROLPLANE_DATABASE, database.password.encode())
    await secrets.put(FLEET_CA, new_ca("fleet", validity=timedelta(days=1)).to_pem())
    await migrate(database.conninfo)
    first = await ensure_first_account(
        database.conninfo, secrets, name="Acme", owner_email="olga@example.com"
    )
    assert first.token is not None
    pool = await open_pool_on(database.conninfo)
    for limit in ("requests_per_second", "user_requests_per_second"):
        await set_limit(pool, first.account_id, limit, LARGEST_LIMIT)
    await Projections(pool).publish_cell(cell_view())
    for number in range(NAMESPACES):
        view = namespace_view(f"n{number:02}.{first.account_id}")
        await Projections(pool).publish_namespace(view)
    await pool.close()
    port = free_port()
    environment = {
        "CONTROLPLANE_DATABASE_URL": database.url,
        "CONTROLPLANE_SECRETS_DIR": str(folder / "secrets"),
        "CONTROLPLANE_SECRETS_KEY_FILE": str(folder / "key"),
        "CONTROLPLANE_ZONE": "fleet.test",
        "CONTROLPLANE_DNS_SERVERS": "127.0.0.1:1",
        "CONTROLPLANE_REGIONS": "aws-us-east-1",
        "CONTROLPLANE_API_GRPC_LISTEN": f"127.0.0.1:{port}",
        "CONTROLPLANE_API_TLS_LISTEN": "127.0.0.1:0",
        "CONTROLPLANE_API_HTTP_LISTEN": "127.0.0.1:0",
        "TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}",
    }
    async with _server(port, folder / "api.log", "-c", _API, **environment) as server:
        yield server, first.account_id, first.token
    codes = {json.loads(line).get("code", "OK") for line in (folder / "api.log").open()}
    assert codes == {"OK"}, codes


@asynccontextmanager
async def _empty() -> AsyncIterator[Server]:
    port = free_port()
    async with _server(port, Path(os.devnull), "-m", "tests.benchmarks.api", str(port)) as server:
        yield server


@asynccontextmanager
async def _server(
    port: int, log: Path, *arguments: str, **environment: str
) -> AsyncIterator[Server]:
    """Run Python with the arguments, on the core of the server, until it listens."""
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            env={"PATH": os.environ["PATH"], **environment},
            cwd=Path(__file__).parents[2],
            stderr=stderr,
        )
    running = psutil.Process(process.pid)
    try:
        running.cpu_affinity([_SERVER_CORE])
        async with asyncio.timeout(60), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            await channel.channel_ready()
        yield Server(running, port)
    finally:
        process.terminate()
        await process.wait()


async def _serve_nothing(port: int) -> None:
    async def answer(_: Message, __: object) -> Message:
        return GetNamespaceResponse()

    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    handler = grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=GetNamespaceRequest.FromString,
        response_serializer=GetNamespaceResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE.full_name, {"GetNamespace": handler}),)
    )
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(_serve_nothing(int(sys.argv[1])) if len(sys.argv) > 1 else main())
