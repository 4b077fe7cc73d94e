"""Requests that reach an ingress where their namespace is passive."""

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueRequest,
    PollNexusTaskQueueRequest,
    PollWorkflowTaskQueueRequest,
)

from cells.ingress.gatekeeper.authorizer import prober_identity
from cells.ingress.records import AdmissionRules
from controlplane.local.ports import LOOPBACK
from tests.cells.ingress import processes
from tests.cells.ingress.api_keys import Signer, key_row, know_keys, know_signers
from tests.cells.ingress.authorities import Authority, serial
from tests.cells.ingress.handshakes import Refused, handshake
from tests.cells.ingress.pair import (
    COUNT,
    EAST,
    WEST,
    Pair,
    bare_neighbour,
    comes_to,
    count,
    counting,
    enforce,
    fresh_tenant,
    hears,
    reaches,
    running_pair,
)
from tests.cells.ingress.small_cell import SmallCell, Tenant
from tests.cells.ingress.test_restarts import NO_DATABASE
from tests.cells.ingress.wire import HEALTH, SERVICE, keyed_channel, raw_channel
from tests.eventually import eventually
from tests.postgres import RunningPostgres

OK, UNAVAILABLE = grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE
FORBIDDEN = grpc.StatusCode.PERMISSION_DENIED
POLLS = {
    "PollActivityTaskQueue": PollActivityTaskQueueRequest,
    "PollNexusTaskQueue": PollNexusTaskQueueRequest,
    "PollWorkflowTaskQueue": PollWorkflowTaskQueueRequest,
}


@pytest.fixture(scope="module")
async def pair(
    postgres: RunningPostgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Pair]:
    async with running_pair(postgres, tmp_path_factory.mktemp("pair")) as running:
        yield running


@pytest.fixture
def tenant() -> Tenant:
    return fresh_tenant()


@pytest.fixture
async def bare(
    postgres: RunningPostgres, pair: Pair, tenant: Tenant, tmp_path: Path
) -> AsyncIterator[SmallCell]:
    """A third cell whose processes the test starts. The tenant is active in the west."""
    await pair.activate(tenant, WEST)
    async with bare_neighbour(postgres, tmp_path, pair) as cell:
        yield cell


def passive(tenant: Tenant, active_cell: str = WEST) -> AdmissionRules:
    return AdmissionRules(client_ca=tenant.authority.pem, active_cell=active_cell)


async def test_a_request_is_answered_where_the_namespace_is_active_whichever_ingress_it_reaches(
    pair: Pair, tenant: Tenant
) -> None:
    for active in (WEST, EAST):
        await pair.activate(tenant, active)
        for cell in (pair.east, pair.west):
            async with raw_channel(cell, tenant) as channel:
                await reaches(channel, tenant, active)
                assert (await channel.call(HEALTH, b"")).body == active.encode()


async def test_an_api_key_is_checked_by_the_first_ingress_alone_and_goes_no_further(
    pair: Pair, tenant: Tenant
) -> None:
    signer, account = Signer(), tenant.namespace.rpartition(".")[2]
    await know_signers(pair.east, signer)
    await know_keys(pair.east, account, key_row("key-1", everywhere=True))
    await pair.activate(tenant, WEST, AdmissionRules(api_keys=True))
    good, unknown = (signer.token(key, account) for key in ("key-1", "key-2"))
    async with (
        keyed_channel(pair.east, tenant, good) as channel,
        keyed_channel(pair.east, tenant, unknown) as stranger,
        # Nobody has told the west of the key.
        keyed_channel(pair.west, tenant, good) as at_west,
    ):
        await reaches(channel, tenant, WEST)

        assert (await count(stranger, tenant)).code is grpc.StatusCode.UNAUTHENTICATED
        assert (await count(at_west, tenant)).code is grpc.StatusCode.UNAUTHENTICATED
    headers = pair.west_frontend.seen[-1].headers
    assert "authorization" not in headers
    assert not [name for name in headers if name.startswith("x-ingress")]


async def test_nothing_is_passed_on_twice(pair: Pair, tenant: Tenant) -> None:
    await pair.route(tenant, east=WEST, west=EAST)
    async with raw_channel(pair.east, tenant) as east, raw_channel(pair.west, tenant) as west:
        await reaches(east, tenant, WEST)
        await reaches(west, tenant, EAST)
        before = len(pair.east_frontend.seen), len(pair.west_frontend.seen)

        assert (await count(east, tenant)).body == WEST.encode()

        after = len(pair.east_frontend.seen), len(pair.west_frontend.seen)
        assert after == (before[0], before[1] + 1)


async def test_an_open_connection_under_load_follows_the_active_cell_there_and_back(
    pair: Pair, tenant: Tenant
) -> None:
    await pair.activate(tenant, WEST)
    answered: Counter[tuple[str, str]] = Counter()
    stopping = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        cells = (pair.east, pair.west)
        channels = [await stack.enter_async_context(raw_channel(c, tenant)) for c in cells]
        pair.east_frontend.is_standby = True
        stack.callback(_both_serve, pair)
        for channel in channels:
            await reaches(channel, tenant, WEST)

        async def load(ingress: str, number: int) -> None:
            while not stopping.is_set():
                answer = await count(channels[number], tenant)
                answered[ingress, answer.body.decode() or answer.code.name] += 1

        async with asyncio.TaskGroup() as clients:
            for number, ingress in enumerate((EAST, WEST)):
                for _ in range(4):
                    clients.create_task(load(ingress, number))
            try:
                for active in (EAST, WEST, EAST):
                    # First Temporal itself, then what leads there: clients come in between.
                    pair.east_frontend.is_standby = active != EAST
                    pair.west_frontend.is_standby = active != WEST
                    await comes_to(channels[0], tenant, lambda each: each.code is UNAVAILABLE)
                    await pair.activate(tenant, active)
                    for channel in channels:
                        await reaches(channel, tenant, active)
            finally:
                stopping.set()

    assert {outcome for _, outcome in answered} == {EAST, WEST, "UNAVAILABLE"}
    for ingress in (EAST, WEST):
        assert answered[ingress, EAST] > 0
        assert answered[ingress, WEST] > 0


def _both_serve(pair: Pair) -> None:
    pair.east_frontend.is_standby = pair.west_frontend.is_standby = False


async def test_a_namespace_that_is_not_active_after_all_may_be_tried_again(
    pair: Pair, tenant: Tenant
) -> None:
    await pair.activate(tenant, WEST)
    async with raw_channel(pair.east, tenant) as east, raw_channel(pair.west, tenant) as west:
        await reaches(east, tenant, WEST)
        pair.west_frontend.is_standby = True
        try:
            answers = await count(east, tenant), await count(west, tenant)
        finally:
            _both_serve(pair)
    assert {answer.code for answer in answers} == {UNAVAILABLE}
    assert all("is a standby cluster" in answer.details for answer in answers)


async def test_a_revoked_certificate_is_refused_where_the_namespace_is_passive(
    pair: Pair, tenant: Tenant
) -> None:
    other = replace(tenant, credential=tenant.authority.client("worker-2"))
    await pair.activate(tenant, WEST)
    async with raw_channel(pair.east, tenant) as revoked, raw_channel(pair.east, other) as good:
        await reaches(revoked, tenant, WEST)
        await reaches(good, tenant, WEST)
        rules = replace(passive(tenant), revoked_serials=(serial(tenant.credential),))
        await enforce(pair.east, tenant, rules)

        await hears(revoked, tenant, "was revoked")
        assert (await count(good, tenant)).body == WEST.encode()
        with pytest.raises(Refused):
            await handshake(pair.east, tenant.server_name, tenant.credential)


async def test_a_request_counts_once_where_it_came_in(pair: Pair, tenant: Tenant) -> None:
    await pair.activate(tenant, WEST)
    async with raw_channel(pair.east, tenant) as east, raw_channel(pair.west, tenant) as west:
        await reaches(east, tenant, WEST)

        async def limited(words: str) -> bool:
            answers = await asyncio.gather(*(count(east, tenant) for _ in range(20)))
            return any(words in answer.details for answer in answers)

        rules = replace(passive(tenant), requests_per_second=3)
        await enforce(pair.east, tenant, rules)
        await eventually(lambda: limited("limited to 3 requests per second"))

        await enforce(pair.east, tenant, passive(tenant))
        await enforce(pair.west, tenant, replace(rules, active_cell="", requests_per_second=1))

        async def limited_in_the_west() -> bool:
            answers = await asyncio.gather(*(count(west, tenant) for _ in range(20)))
            return any("limited to 1 requests" in answer.details for answer in answers)

        await eventually(limited_in_the_west)

        async def unlimited() -> bool:
            return not await limited("limited to")

        await eventually(unlimited)


async def test_polls_stay_where_they_are_to_stay_and_all_else_is_passed_on(
    pair: Pair, tenant: Tenant
) -> None:
    polls = {
        SERVICE + method: request(namespace=tenant.namespace).SerializeToString()
        for method, request in POLLS.items()
    }
    uri = x509.UniformResourceIdentifier(prober_identity(tenant.namespace))
    prober = replace(tenant, credential=pair.east.prober.client("prober", names=[uri]))
    await pair.activate(tenant, WEST)
    async with (
        raw_channel(pair.east, tenant) as channel,
        raw_channel(pair.east, prober) as probing,
    ):
        for connection in (channel, probing):
            await reaches(connection, tenant, WEST)
        for path, body in polls.items():
            assert (await channel.call(path, body)).body == WEST.encode()

        await enforce(pair.east, tenant, replace(passive(tenant), forward_polls=False))

        for path, body in polls.items():

            async def stays(path: str = path, body: bytes = body) -> bool:
                return (await channel.call(path, body)).body == EAST.encode()

            await eventually(stays)
            # What is proven is that requests are passed on.
            assert (await probing.call(path, body)).body == WEST.encode()
        assert (await count(channel, tenant)).body == WEST.encode()


async def test_a_cell_that_cannot_be_reached_is_named_and_clients_may_try_again(
    pair: Pair, tenant: Tenant
) -> None:
    await pair.east.know("gone", f"{LOOPBACK}:1")
    for cell in ("gone", "never-heard-of"):
        await enforce(pair.east, tenant, passive(tenant, cell))
        expected = (
            f"the namespace is active in cell {cell}, which cannot be reached from here: try again"
        )
        async with raw_channel(pair.east, tenant) as channel:
            await hears(channel, tenant, expected)
            assert (await count(channel, tenant)).code is UNAVAILABLE


async def test_a_cell_that_dies_under_open_connections_is_reached_again_once_it_is_back(
    pair: Pair, bare: SmallCell, tenant: Tenant, tmp_path: Path
) -> None:
    there = bare.gatekeeper.cell
    await pair.east.know(there, bare.ingress.listen)
    await enforce(pair.east, tenant, passive(tenant, there))
    async with (
        processes.gatekeeper(bare.gatekeeper, tmp_path),
        raw_channel(pair.east, tenant) as channel,
    ):
        await bare.enforce(bare.record(tenant, rules=passive(tenant, "")))
        for _ in range(2):
            async with processes.envoy(bare.ingress):
                await reaches(channel, tenant, there)
            await hears(channel, tenant, f"active in cell {there}, which cannot be reached")


async def test_a_peer_that_moves_is_found_again(pair: Pair, tenant: Tenant) -> None:
    await enforce(pair.west, tenant, replace(passive(tenant), active_cell=""))
    await pair.east.know("moving", f"{LOOPBACK}:1")
    await enforce(pair.east, tenant, passive(tenant, "moving"))
    async with raw_channel(pair.east, tenant) as channel:
        await hears(channel, tenant, "cell moving")

        await pair.east.know("moving", pair.west.ingress.listen)

        await reaches(channel, tenant, WEST)


async def test_nobody_steers_a_request_by_its_headers(pair: Pair, tenant: Tenant) -> None:
    neighbour = fresh_tenant()
    await pair.activate(neighbour, WEST)
    await pair.activate(tenant, EAST)
    async with (
        raw_channel(pair.east, tenant) as channel,
        raw_channel(pair.east, neighbour) as witness,
    ):
        await reaches(witness, neighbour, WEST)
        await reaches(channel, tenant, EAST)
        claims = [
            ("x-ingress-namespace", neighbour.namespace),
            ("x-ingress-server-name", neighbour.server_name),
            ("x-ingress-prober", "1"),
        ]

        answer = await channel.call(COUNT, counting(tenant), claims)

        assert answer.body == EAST.encode()
        assert not [
            name for name in pair.east_frontend.seen[-1].headers if name.startswith("x-ingress")
        ]


async def test_a_cell_gets_in_for_the_namespace_whose_name_it_asks_for_and_no_other(
    pair: Pair, tenant: Tenant
) -> None:
    neighbour = fresh_tenant()
    await pair.activate(neighbour, WEST)
    await pair.activate(tenant, WEST)
    cell = replace(tenant, credential=pair.east.authorities.of_cell(EAST))

    async with raw_channel(pair.west, cell) as channel:
        assert (await count(channel, tenant)).body == WEST.encode()
        assert (await count(channel, neighbour)).code is FORBIDDEN

    impostor = Authority.create("peer")
    strangers = (impostor.client("ingress"), pair.east.authorities.peer.client("no cell"))
    for credential in strangers:
        with pytest.raises(Refused):
            await handshake(pair.west, tenant.server_name, credential)


async def test_a_namespace_that_is_closed_is_closed_to_cells_on_open_connections(
    pair: Pair, tenant: Tenant
) -> None:
    await pair.activate(tenant, WEST)
    async with raw_channel(pair.east, tenant) as channel:
        await reaches(channel, tenant, WEST)

        await pair.west.write(pair.west.record(tenant, admitted=False))
        await comes_to(channel, tenant, lambda answer: answer.code is FORBIDDEN)

        await pair.activate(tenant, WEST)
        await reaches(channel, tenant, WEST)


async def test_a_server_that_is_not_the_namespaces_endpoint_gets_no_request(
    pair: Pair, tenant: Tenant, tmp_path: Path
) -> None:
    fleet = pair.east.fleet
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            heard.append(await reader.read(1))
        writer.close()

    for name, certificate in {
        "of-another-ca": Authority.create("fleet").server(tenant.server_name),
        "of-another-name": fleet.server("pay.globex.fleet.test"),
    }.items():
        pem = tmp_path / f"{name}.pem"
        pem.write_text(certificate.certificate + certificate.private_key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        context.set_alpn_protocols(["h2"])
        async with await asyncio.start_server(listen, LOOPBACK, 0, ssl=context) as server:
            await pair.east.know(name, f"{LOOPBACK}:{server.sockets[0].getsockname()[1]}")
            await enforce(pair.east, tenant, passive(tenant, name))
            async with raw_channel(pair.east, tenant) as channel:
                await hears(channel, tenant, f"active in cell {name}")
    assert set(heard) <= {b""}


async def test_requests_are_passed_on_after_a_start_without_the_database(
    bare: SmallCell, tenant: Tenant, tmp_path: Path
) -> None:
    async with processes.gatekeeper(bare.gatekeeper, tmp_path):
        await bare.enforce(bare.record(tenant, rules=passive(tenant)))
    alone = replace(bare.gatekeeper, database_url=NO_DATABASE)

    async with (
        processes.gatekeeper(alone, tmp_path),
        processes.envoy(bare.ingress),
        raw_channel(bare, tenant) as channel,
    ):
        await reaches(channel, tenant, WEST)


async def test_requests_are_passed_on_while_the_gatekeeper_is_away_and_after_its_return(
    bare: SmallCell, tenant: Tenant, tmp_path: Path
) -> None:
    there = bare.gatekeeper.cell
    async with contextlib.AsyncExitStack() as stack, contextlib.AsyncExitStack() as gatekeeper:
        await gatekeeper.enter_async_context(processes.gatekeeper(bare.gatekeeper, tmp_path))
        await stack.enter_async_context(processes.envoy(bare.ingress))
        await bare.enforce(bare.record(tenant, rules=passive(tenant)))
        channel = await stack.enter_async_context(raw_channel(bare, tenant))
        await reaches(channel, tenant, WEST)

        await gatekeeper.aclose()
        assert (await count(channel, tenant)).body == WEST.encode()

        await bare.write(bare.record(tenant, rules=passive(tenant, "")))
        await stack.enter_async_context(processes.gatekeeper(bare.gatekeeper, tmp_path))
        await reaches(channel, tenant, there)


async def test_a_cells_certificate_is_replaced_while_its_ingress_runs(
    bare: SmallCell, tenant: Tenant, tmp_path: Path
) -> None:
    """As Kubernetes replaces what it has mounted: files are links into a folder that is swapped."""
    unknown = Authority.create("peer").client("ingress")
    mounted, first, second = (tmp_path / name for name in ("mounted", "first", "second"))
    for folder in (mounted, first, second):
        folder.mkdir()
    (first / "peer.pem").write_text(unknown.certificate + unknown.private_key)
    (second / "peer.pem").write_bytes(bare.ingress.peer_certificate_file.read_bytes())
    (mounted / "..data").symlink_to(first)
    (mounted / "peer.pem").symlink_to(Path("..data") / "peer.pem")
    ingress = replace(bare.ingress, peer_certificate_file=mounted / "peer.pem")
    async with processes.gatekeeper(bare.gatekeeper, tmp_path), processes.envoy(ingress):
        await bare.enforce(bare.record(tenant, rules=passive(tenant)))
        async with raw_channel(bare, tenant) as channel:
            await hears(channel, tenant, "cannot be reached")

            (mounted / "..new").symlink_to(second)
            (mounted / "..new").replace(mounted / "..data")

            await reaches(channel, tenant, WEST)
