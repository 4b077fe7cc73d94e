"""The ingress while its parts, and the database, are away or come back."""

import stat
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from controlplane.local.postgres import superuser
from tests.cells.ingress import processes
from tests.cells.ingress.conftest import ORDERS
from tests.cells.ingress.handshakes import Refused, handshake
from tests.cells.ingress.small_cell import SmallCell, Tenant, new_tenant, prepared_cell, small_cell
from tests.cells.ingress.wire import raw_channel
from tests.eventually import eventually
from tests.postgres import RunningPostgres

NO_DATABASE = "postgresql://nobody@127.0.0.1:1/nothing"
HEALTH = "/grpc.health.v1.Health/Check"


@pytest.fixture
async def bare(
    postgres: RunningPostgres, frontend: str, tmp_path: Path
) -> AsyncIterator[SmallCell]:
    """A cell of the test's own, whose processes the test starts."""
    async with prepared_cell(postgres, tmp_path, frontend) as cell:
        yield cell


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant(ORDERS)


async def admitted(cell: SmallCell, tenant: Tenant) -> bool:
    try:
        await handshake(cell, tenant.server_name, tenant.credential)
    except Refused:
        return False
    return True


async def test_a_cell_starts_and_serves_without_its_database(
    bare: SmallCell, tenant: Tenant, tmp_path: Path
) -> None:
    async with processes.gatekeeper(bare.gatekeeper, tmp_path):
        await bare.enforce(bare.record(tenant))
    alone = replace(bare.gatekeeper, database_url=NO_DATABASE)

    async with (
        processes.gatekeeper(alone, tmp_path),
        processes.envoy(bare.ingress),
        raw_channel(bare, tenant) as channel,
    ):
        assert (await channel.call(HEALTH, b"")).code.name == "OK"


async def test_a_killed_gatekeeper_has_kept_what_it_last_enforced(
    bare: SmallCell, tenant: Tenant, tmp_path: Path
) -> None:
    snapshot = bare.gatekeeper.snapshot
    async with processes.gatekeeper(bare.gatekeeper, tmp_path):
        await bare.enforce(bare.record(tenant))

        async def kept() -> bool:
            return snapshot.exists() and ORDERS in snapshot.read_text()

        await eventually(kept)


async def test_open_connections_go_on_without_the_gatekeeper_and_new_ones_are_refused(
    bare: SmallCell, tenant: Tenant, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack, AsyncExitStack() as gatekeeper:
        await gatekeeper.enter_async_context(processes.gatekeeper(bare.gatekeeper, tmp_path))
        await stack.enter_async_context(processes.envoy(bare.ingress))
        await bare.enforce(bare.record(tenant))
        channel = await stack.enter_async_context(raw_channel(bare, tenant))
        assert (await channel.call(HEALTH, b"")).code.name == "OK"

        await gatekeeper.aclose()
        assert (await channel.call(HEALTH, b"")).code.name == "OK"
        assert not await admitted(bare, tenant)

        await stack.enter_async_context(processes.gatekeeper(bare.gatekeeper, tmp_path))
        await eventually(lambda: admitted(bare, tenant))


async def test_envoy_takes_up_what_changed_while_the_gatekeeper_was_away(
    bare: SmallCell, tenant: Tenant, tmp_path: Path
) -> None:
    gone = new_tenant("gone.acme1")
    async with AsyncExitStack() as stack, AsyncExitStack() as gatekeeper:
        await gatekeeper.enter_async_context(processes.gatekeeper(bare.gatekeeper, tmp_path))
        await stack.enter_async_context(processes.envoy(bare.ingress))
        for one in (tenant, gone):
            await bare.enforce(bare.record(one))
            assert await admitted(bare, one)
        await gatekeeper.aclose()

        renewed = bare.fleet.server(tenant.server_name)
        await bare.write(
            bare.record(tenant, certificate=renewed), bare.record(gone, admitted=False)
        )
        await stack.enter_async_context(processes.gatekeeper(bare.gatekeeper, tmp_path))

        async def shown() -> bool:
            seen = await handshake(bare, tenant.server_name, tenant.credential)
            return seen.server_certificate == renewed.certificate

        await eventually(lambda: admitted(bare, tenant))
        await eventually(shown)
        assert not await admitted(bare, gone)


async def test_changes_are_followed_again_after_the_database_was_away(
    postgres: RunningPostgres, bare: SmallCell, tenant: Tenant, tmp_path: Path
) -> None:
    async with processes.gatekeeper(bare.gatekeeper, tmp_path):
        await bare.enforce(bare.record(new_tenant("first.acme1")))
        async with superuser(postgres.server, postgres.password) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                [bare.database.name],
            )

        await bare.enforce(bare.record(tenant))


def files_with(text: str, folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if text.encode() in file.read_bytes()]


async def test_no_private_key_is_on_disk_or_in_a_log(
    postgres: RunningPostgres, frontend: str, tenant: Tenant, tmp_path: Path
) -> None:
    async with small_cell(postgres, tmp_path, frontend) as cell:
        certificate = cell.fleet.server(tenant.server_name)
        await cell.enforce(cell.record(tenant, certificate=certificate))
        assert await admitted(cell, tenant)

    secret = certificate.private_key.splitlines()[1]
    assert not files_with(secret, tmp_path)
    assert stat.S_IMODE(cell.gatekeeper.snapshot.stat().st_mode) == 0o600
