"""The proof, of endpoints that deserve it and of endpoints that do not."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueRequest
from temporalio.client import Client

from cells.ingress.records import AdmissionRules
from provisioning.canary import WORKFLOW_TYPE, canary_id
from provisioning.ports import Incarnation
from provisioning.proof import ProofFailed
from tests.cells.ingress.authorities import Authority
from tests.cells.ingress.small_cell import CELL, Tenant
from tests.eventually import eventually
from tests.postgres import RunningPostgres
from tests.provisioning.whole_cell import WholeCell, running_whole_cell

NO_FINGERPRINT = "0" * 64


@pytest.fixture(scope="module")
async def cell(
    postgres: RunningPostgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[WholeCell]:
    async with running_whole_cell(postgres, tmp_path_factory.mktemp("cell")) as running:
        yield running


async def canaries(cell: WholeCell, target: Incarnation) -> list[tuple[str, bool]]:
    """Return the ids of the namespace's workflows, and whether each is still open."""
    client = await Client.connect(cell.cell.ingress.frontend, namespace=target.namespace)
    return [(found.id, found.close_time is None) async for found in client.list_workflows()]


@contextlib.asynccontextmanager
async def endpoint_run_by(
    cell: WholeCell, tenant: Tenant, authority: Authority, folder: Path, answer: bytes
) -> AsyncIterator[None]:
    """Let the cell's ingress be a server that asks nobody for a certificate."""
    certificate = authority.server(tenant.server_name)
    pem = folder / "server.pem"
    pem.write_text(certificate.certificate + certificate.private_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read(1)
            writer.write(answer)
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    addresses = cell.directory.addresses[CELL]
    port = server.sockets[0].getsockname()[1]
    cell.directory.addresses[CELL] = replace(addresses, ingress=f"127.0.0.1:{port}")
    try:
        yield
    finally:
        cell.directory.addresses[CELL] = addresses
        server.close()
        await server.wait_closed()


async def test_a_good_endpoint_is_proven_as_often_as_one_likes_and_leaves_nothing_open(
    cell: WholeCell,
) -> None:
    target, tenant = cell.newcomer()
    certificate = await cell.prepare(target, tenant)
    await cell.admit(target, tenant)

    for _ in range(3):
        await cell.prober.prove(target, tenant.server_name, certificate.fingerprint, api_keys=False)

    async def all_closed() -> bool:
        return await canaries(cell, target) == [(canary_id(target.uid), False)] * 3

    await eventually(all_closed)


async def test_concurrent_proofs_of_many_namespaces_succeed(cell: WholeCell) -> None:
    async def create() -> None:
        target, tenant = cell.newcomer()
        certificate = await cell.prepare(target, tenant)
        await cell.admit(target, tenant)
        await cell.prober.prove(target, tenant.server_name, certificate.fingerprint, api_keys=False)

    await asyncio.gather(*(create() for _ in range(16)))


async def test_another_certificate_than_expected_is_told(cell: WholeCell) -> None:
    target, tenant = cell.newcomer()
    certificate = await cell.prepare(target, tenant)
    await cell.admit(target, tenant)
    with pytest.raises(ProofFailed) as failed:
        await cell.prober.prove(target, tenant.server_name, NO_FINGERPRINT, api_keys=False)
    assert str(failed.value) == (
        f"{tenant.server_name} ({cell.cell.ingress.listen}) fails with its certificate: "
        f"it shows {certificate.fingerprint}, expected {NO_FINGERPRINT}"
    )


async def test_an_endpoint_that_is_not_open_yet_is_not_proven(cell: WholeCell) -> None:
    target, tenant = cell.newcomer()
    certificate = await cell.prepare(target, tenant)
    with pytest.raises(ProofFailed) as failed:
        await cell.prober.prove(target, tenant.server_name, certificate.fingerprint, api_keys=False)
    assert "its certificate: the control plane's own client is refused" in str(failed.value)
    assert "a canary workflow: " in str(failed.value)
    assert "let in" not in str(failed.value)

    await cell.admit(target, tenant)
    await cell.prober.prove(target, tenant.server_name, certificate.fingerprint, api_keys=False)


async def test_a_namespace_missing_behind_the_ingress_is_told(cell: WholeCell) -> None:
    target, tenant = cell.newcomer()
    certificate = await cell.prepare(target, tenant)
    await cell.admit(target, tenant)
    await cell.registrar.deregister(target)
    with pytest.raises(ProofFailed, match=f"a canary workflow: .*{target.namespace}") as failed:
        await cell.prober.prove(target, tenant.server_name, certificate.fingerprint, api_keys=False)
    assert "its certificate" not in str(failed.value)


async def test_an_endpoint_that_lets_strangers_in_is_found_out(
    cell: WholeCell, tmp_path: Path
) -> None:
    target, tenant = cell.newcomer()
    async with endpoint_run_by(cell, tenant, cell.cell.fleet, tmp_path, answer=b"welcome"):
        with pytest.raises(ProofFailed) as failed:
            await cell.prober.prove(target, tenant.server_name, NO_FINGERPRINT, api_keys=False)
    assert "a client without a certificate: it is let in" in str(failed.value)
    assert "a client with a foreign certificate: it is let in" in str(failed.value)


async def test_an_endpoint_of_another_authority_is_not_trusted(
    cell: WholeCell, tmp_path: Path
) -> None:
    target, tenant = cell.newcomer()
    impostor = Authority.create("impostor")
    async with endpoint_run_by(cell, tenant, impostor, tmp_path, answer=b""):
        with pytest.raises(ProofFailed) as failed:
            await cell.prober.prove(target, tenant.server_name, NO_FINGERPRINT, api_keys=False)
    # Closing on everyone is no refusal of strangers: it may have been anybody who closed.
    assert str(failed.value).count("certificate verify failed") == 3


async def test_an_endpoint_where_nobody_listens_is_told(cell: WholeCell) -> None:
    target, tenant = cell.newcomer()
    addresses = cell.directory.addresses[CELL]
    cell.directory.addresses[CELL] = replace(addresses, ingress="127.0.0.1:1")
    try:
        with pytest.raises(ProofFailed) as failed:
            await cell.prober.prove(target, tenant.server_name, NO_FINGERPRINT, api_keys=False)
    finally:
        cell.directory.addresses[CELL] = addresses
    for check in ("its certificate", "without a certificate", "foreign certificate", "canary"):
        assert check in str(failed.value)
    assert "Connect call failed" in str(failed.value)


async def test_a_name_without_address_is_told(cell: WholeCell) -> None:
    target, tenant = cell.newcomer()
    cell.unpublished.add(tenant.server_name)
    with pytest.raises(LookupError, match=f"{tenant.server_name} has no address"):
        await cell.prober.prove(target, tenant.server_name, NO_FINGERPRINT, api_keys=False)


async def test_a_canary_left_behind_by_a_prober_that_died_is_replaced(cell: WholeCell) -> None:
    target, tenant = cell.newcomer()
    certificate = await cell.prepare(target, tenant)
    await cell.admit(target, tenant)
    client = await Client.connect(cell.cell.ingress.frontend, namespace=target.namespace)
    name = canary_id(target.uid)
    for task_is_taken in (False, True):
        queue = f"{name}-{task_is_taken}"
        await client.start_workflow(WORKFLOW_TYPE, "left behind", id=name, task_queue=queue)
        if task_is_taken:
            await client.workflow_service.poll_workflow_task_queue(
                PollWorkflowTaskQueueRequest(
                    namespace=target.namespace, task_queue=TaskQueue(name=queue)
                )
            )
        await cell.prober.prove(target, tenant.server_name, certificate.fingerprint, api_keys=False)

    async def all_closed() -> bool:
        return [is_open for _, is_open in await canaries(cell, target)] == [False] * 4

    await eventually(all_closed)


async def test_an_endpoint_that_takes_api_keys_lets_strangers_connect_and_ask_nothing(
    cell: WholeCell,
) -> None:
    target, tenant = cell.newcomer()
    certificate = await cell.prepare(target, tenant)
    both = AdmissionRules(client_ca=tenant.authority.pem, api_keys=True)
    for rules in (both, AdmissionRules(api_keys=True)):
        await cell.ingress.admit(target, tenant.server_name, rules)

        await cell.prober.prove(target, tenant.server_name, certificate.fingerprint, api_keys=True)
        with pytest.raises(ProofFailed) as failed:
            await cell.prober.prove(
                target, tenant.server_name, certificate.fingerprint, api_keys=False
            )
        assert str(failed.value).count("it is let in") == 2


async def test_an_endpoint_that_refuses_api_keys_is_no_proof_of_one_that_takes_them(
    cell: WholeCell,
) -> None:
    target, tenant = cell.newcomer()
    certificate = await cell.prepare(target, tenant)
    await cell.admit(target, tenant)

    with pytest.raises(ProofFailed) as failed:
        await cell.prober.prove(target, tenant.server_name, certificate.fingerprint, api_keys=True)
    assert str(failed.value).count("without an API key is answered UNAVAILABLE") == 2
