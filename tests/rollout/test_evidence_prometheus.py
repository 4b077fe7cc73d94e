"""Gates over a real Prometheus that scrapes a real Temporal server, or remembers made-up days."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from temporalio.api.workflowservice.v1 import GetClusterInfoRequest
from temporalio.client import Client
from temporalio.service import RPCError

from controlplane.local.ports import LOOPBACK, free_port
from controlplane.secrets.memory import MemorySecretStore
from controlplane.secrets.port import PROMETHEUS_TOKEN
from rollout.bake import accrue, begin
from rollout.evidence.gathering import GatesEvidence
from rollout.evidence.ports import NoEvidence
from rollout.evidence.prometheus import Prometheus
from rollout.evidence.queried import QueriedGate
from rollout.evidence.queries import REPLICATION_LAG, standard_gates
from rollout.gates import QUERIED, Gate, GateKind, Reading, Verdict
from rollout.ports import WatchedCells
from tests.eventually import eventually
from tests.prometheus import RunningPrometheus, running_prometheus, scraping
from tests.provisioning.temporal_cell import running_temporal_server

CELL, GONE = "aws-us-east-1-c1", "aws-us-east-1-c2"
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
METRICS = [g for g in (*standard_gates(True), REPLICATION_LAG) if g.kind in QUERIED]
WITHIN_BOUNDS = [
    # How fast this machine is now is not what is tested.
    replace(g, minimum_samples=3, below=60.0 if "latency" in g.name else g.below)
    for g in METRICS
    if g.kind is not GateKind.COMPARISON
]
UP = Gate("up", GateKind.PROMETHEUS, 'up{job="cells",cell="$cell"}', above=0.5, minimum_samples=3)


@dataclass(frozen=True)
class Watched:
    """A Temporal server at some work, and the Prometheus that scrapes it as `CELL`."""

    prometheus: RunningPrometheus
    client: Client
    database: Path
    metrics: str


@pytest.fixture(scope="module")
async def watched(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    async with running_temporal_server(folder) as ports:
        metrics = f"{LOOPBACK}:{ports.metrics}"
        configuration = scraping({CELL: metrics})
        async with running_prometheus(folder / "prometheus", configuration) as prometheus:
            client = await Client.connect(ports.address)
            # As every cell is asked for its version all the time.
            asking = asyncio.create_task(_ask_for_ever(client))
            yield Watched(prometheus, client, folder / "cell.db", metrics)
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asking


async def _ask_for_ever(client: Client) -> None:
    while True:
        with contextlib.suppress(RPCError):
            await client.workflow_service.get_cluster_info(GetClusterInfoRequest())
        await asyncio.sleep(0.2)


def asked(url: str, secrets: MemorySecretStore | None = None) -> Prometheus:
    return Prometheus(url, secrets or MemorySecretStore(), resolution=SECOND)


def window(
    length: timedelta, gates: Sequence[Gate], cells: Sequence[str] = (CELL,)
) -> WatchedCells:
    """Return a window that ends now."""
    now = datetime.now(UTC)
    return WatchedCells(tuple(gates), tuple(cells), (), now - length, now - length, now)


async def seen(url: str, gate: Gate, *, length: timedelta = 10 * SECOND) -> Reading:
    (reading,) = await QueriedGate(asked(url)).ask([gate], window(length, [gate]))
    return reading


async def until(gate: Gate, url: str, verdict: Verdict) -> Reading:
    """Return what the gate says once it says so."""
    reading = await seen(url, gate)

    async def said() -> bool:
        nonlocal reading
        reading = await seen(url, gate)
        return reading.verdict is verdict

    await eventually(said, within=90, every=0.5)
    return reading


@pytest.mark.parametrize("gate", METRICS, ids=lambda gate: gate.name)
async def test_every_ready_made_query_finds_one_number_for_a_real_cell(
    watched: Watched, gate: Gate
) -> None:
    query = gate.query.replace("$cell", CELL)

    async def found() -> bool:
        values = await watched.prometheus.ask(query)
        return len(values) == 1 and np.isfinite(values[0])

    # A subquery has its first point at the next full half minute.
    await eventually(found, within=100, every=0.5)


@pytest.mark.parametrize("gate", WITHIN_BOUNDS, ids=lambda gate: gate.name)
async def test_a_healthy_server_passes(watched: Watched, gate: Gate) -> None:
    reading = await until(gate, watched.prometheus.url, Verdict.PASS)

    assert reading.cell == ""
    assert timedelta(0) < reading.covers <= 10 * SECOND


async def test_a_server_whose_database_is_locked_fails(watched: Watched) -> None:
    (gate,) = (gate for gate in WITHIN_BOUNDS if gate.name == "API errors")
    with _locked(watched.database):
        starts = [asyncio.create_task(_start(watched.client, number)) for number in range(20)]
        reading = await until(gate, watched.prometheus.url, Verdict.FAIL)
    await asyncio.gather(*starts)

    assert reading.cell == CELL
    assert "and has to be below 0.01" in reading.message


@contextlib.contextmanager
def _locked(database: Path) -> Iterator[None]:
    connection = sqlite3.connect(database, timeout=30, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


async def _start(client: Client, number: int) -> None:
    with contextlib.suppress(RPCError):
        await client.start_workflow(
            "AnyWorkflow", id=f"any-{number}", task_queue="nobody", rpc_timeout=5 * SECOND
        )


async def test_a_cell_that_nobody_scrapes_has_no_data(watched: Watched) -> None:
    (reading,) = await QueriedGate(asked(watched.prometheus.url)).ask(
        [UP], window(10 * SECOND, [UP], [GONE])
    )

    assert (reading.verdict, reading.cell) == (Verdict.NO_DATA, GONE)
    assert "see whether Prometheus scrapes the cell" in reading.message


async def test_when_scraping_stops_there_is_no_data_and_credit_stands_until_it_begins_again(
    watched: Watched,
) -> None:
    prometheus = watched.prometheus
    fresh = replace(UP, query='max(restarts{cell="$cell"})', fresh_within=3 * SECOND)
    source = GatesEvidence({GateKind.PROMETHEUS: QueriedGate(asked(prometheus.url))})
    bake = begin(DAY, datetime.now(UTC) - MINUTE)

    async def credited() -> bool:
        nonlocal bake
        before = bake.credit
        bake = accrue(bake, await source.gather(window(10 * SECOND, [fresh])))
        return bake.credit > before

    async def gone() -> bool:
        return not await prometheus.ask(f'restarts{{cell="{CELL}"}}')

    async def stands() -> bool:
        later = accrue(bake, await source.gather(window(10 * SECOND, [fresh])))
        return (later.credit, later.verdict) == (bake.credit, Verdict.NO_DATA)

    await eventually(credited, within=60, every=0.5)

    await prometheus.configure(scraping({CELL: f"{LOOPBACK}:{free_port()}"}))
    await eventually(gone, within=60, every=0.2)
    await until(fresh, prometheus.url, Verdict.NO_DATA)
    await eventually(stands, within=60, every=0.5)

    await prometheus.configure(scraping({CELL: watched.metrics}))
    await eventually(credited, within=60, every=0.5)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ('sum by (service_name) (restarts{cell="$cell"})', "returns 4 series for one cell"),
        ('restarts{cell="$cell"', "does not understand the query"),
        ('0 * restarts{cell="$cell",service_name="history"} / 0', "only NaN or Inf"),
        ('"$cell"', "does not understand the query"),
        ('restarts{cell="$cell"} + on (cell) restarts{cell="$cell"}', "cannot evaluate the query"),
    ],
    ids=["several series", "no PromQL", "not a number", "a string", "no evaluation"],
)
async def test_a_query_that_is_no_question_has_no_data_and_says_what_to_do(
    watched: Watched, query: str, told: str
) -> None:
    reading = await seen(watched.prometheus.url, replace(UP, query=query))

    assert reading.verdict is Verdict.NO_DATA
    assert told in reading.message


async def test_a_prometheus_that_is_not_there_has_no_data() -> None:
    reading = await seen(f"http://{LOOPBACK}:{free_port()}", UP)

    assert reading.verdict is Verdict.NO_DATA
    assert (
        "see whether it runs, and whether CONTROLPLANE_PROMETHEUS_URL is right" in reading.message
    )


@contextlib.asynccontextmanager
async def answering(answer: Callable[[bytes], bytes]) -> AsyncIterator[str]:
    """Run a server of HTTP that knows one answer; yield its URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            writer.write(answer(request))
            await writer.drain()
            writer.close()

    server = await asyncio.start_server(serve, LOOPBACK, 0)
    async with server:
        yield f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"


def http(status: str, body: str) -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        ("503 Service Unavailable", "Service Unavailable", "is overloaded or starting (503"),
        ("401 Unauthorized", "", f"into the secret store as {PROMETHEUS_TOKEN}"),
        ("404 Not Found", "no such page", "is not the base of a Prometheus API"),
        ("302 Found", "", "answers 302"),
        ("500 Internal Server Error", '{"status":"error","error":"disk"}', "answers 500: disk"),
        ("200 OK", "<html>Welcome</html>", "does not answer as a Prometheus does (<html>"),
        ("200 OK", '{"status":"success","data":{"resultType":"vector","result":[]}}', "vector"),
        ("200 OK", "[" * 10_000, "does not answer as a Prometheus does"),
        ("200 OK", "x" * (9 << 20), "returns more than 8 MiB"),
    ],
    ids=["503", "401", "404", "302", "500", "html", "vector", "nested", "large"],
)
async def test_whatever_else_answers_there_is_no_data_and_the_reason(
    status: str, body: str, told: str
) -> None:
    async with answering(lambda _: http(status, body)) as url:
        reading = await seen(url, UP)

    assert reading.verdict is Verdict.NO_DATA
    assert told in reading.message
    assert len(reading.message) < 500


async def test_the_token_goes_to_prometheus_and_nowhere_else() -> None:
    secrets, requests = MemorySecretStore(), []
    await secrets.put(PROMETHEUS_TOKEN, b"s3cret\n")

    def refuse(request: bytes) -> bytes:
        requests.append(request)
        return http("403 Forbidden", "s3cret is not allowed")

    async with answering(refuse) as url:
        prometheus = asked(url, secrets)
        async with prometheus.connected() as connection:
            now = datetime.now(UTC)
            with pytest.raises(NoEvidence) as told:
                await connection.range("up", now - MINUTE, now, SECOND)

    assert b"authorization: bearer s3cret\r\n" in requests[0].lower()
    assert "s3cret" not in f"{told.value} {prometheus} {connection}"
