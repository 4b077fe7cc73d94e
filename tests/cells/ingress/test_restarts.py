"""The ingress while its parts, and the database, are away or come back."""

import stat
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from grpc_health.v1.health_pb2 import HealthCheckResponse

from cells.ingress.records import AdmissionRules
from controlplane.local.postgres import superuser
from tests.cells.ingress import processes
from tests.cells.ingress.api_keys import Signer, key_row, know_keys, know_signers
from tests.cells.ingress.authorities import serial
from tests.cells.ingress.conftest import ORDERS
from tests.cells.ingress.handshakes import Refused, handshake
from tests.cells.ingress.small_cell import SmallCell, Tenant, new_tenant, prepared_cell, small_cell
from tests.cells.ingress.wire import HEALTH, RawChannel, keyed_channel, raw_channel
from tests.eventually import eventually
from tests.postgres import RunningPostgres

NO_DATABASE = "postgresql://nobody@127.0.0.1:1/nothing"


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


async def test_envoy_starts_without_the_gatekeeper_and_serves_once_it_is_there(
    bare: SmallCell, tenant: Tenant, tmp_path: Path
) -> None:
    await bare.write(bare.record(tenant))
    async with processes.envoy(bare.ingress), processes.gatekeeper(bare.gatekeeper, tmp_path):
        await eventually(lambda: admitted(bare, tenant))


async def test_a_gatekeeper_that_knows_nothing_makes_envoy_forget_nothing(
    bare: SmallCell, tenant: Tenant, tmp_path: Path
) -> None:
    rules = AdmissionRules(
        client_ca=tenant.authority.pem, revoked_serials=(serial(tenant.credential),)
    )
    async with AsyncExitStack() as stack, AsyncExitStack() as gatekeeper:
        await gatekeeper.enter_async_context(processes.gatekeeper(bare.gatekeeper, tmp_path))
        await stack.enter_async_context(processes.envoy(bare.ingress))
        await bare.enforce(bare.record(tenant))
        channel = await stack.enter_async_context(raw_channel(bare, tenant))

        async def refused() -> bool:
            return (await channel.call(HEALTH, b"")).code.name == "PERMISSION_DENIED"

        assert not await refused()
        await bare.enforce(bare.record(tenant, rules=rules))
        await eventually(refused)
        await gatekeeper.aclose()

        bare.gatekeeper.snapshot.unlink()
        ignorant = replace(bare.gatekeeper, database_url=NO_DATABASE)
        not_serving = HealthCheckResponse.NOT_SERVING
        await stack.enter_async_context(
            processes.gatekeeper(ignorant, tmp_path, status=not_serving)
        )

        async def connected() -> bool:
            return await bare.envoy_statistic("control_plane.connected_state") == 1

        await eventually(connected)
        assert await refused()


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


async def test_keys_revocations_and_limits_outlast_the_database_and_a_restart(
    bare: SmallCell, tenant: Tenant, tmp_path: Path
) -> None:
    signer, keyed = Signer(), new_tenant("keyed.acme1")
    token = signer.token("key-1", "acme1")
    other = replace(tenant, credential=tenant.authority.client("worker-2"))
    rules = AdmissionRules(
        client_ca=tenant.authority.pem,
        revoked_serials=(serial(tenant.credential),),
        requests_per_second=1,
    )
    async with processes.gatekeeper(bare.gatekeeper, tmp_path):
        await know_signers(bare, signer)
        await know_keys(bare, "acme1", key_row("key-1", everywhere=True))
        await bare.enforce(bare.record(keyed, rules=AdmissionRules(api_keys=True)))
        await bare.enforce(bare.record(tenant, rules=rules))
    alone = replace(bare.gatekeeper, database_url=NO_DATABASE)

    async with (
        processes.gatekeeper(alone, tmp_path),
        processes.envoy(bare.ingress),
        keyed_channel(bare, keyed, token) as by_key,
        raw_channel(bare, other) as by_certificate,
    ):
        assert (await by_key.call(HEALTH, b"")).code.name == "OK"
        assert not await admitted(bare, tenant)

        async def limited() -> bool:
            answers = [await by_certificate.call(HEALTH, b"") for _ in range(5)]
            return {answer.code.name for answer in answers} == {"OK", "RESOURCE_EXHAUSTED"}

        await eventually(limited)


async def test_without_the_gatekeeper_certificates_go_on_revocations_hold_and_keys_wait(
    bare: SmallCell, tenant: Tenant, tmp_path: Path
) -> None:
    signer = Signer()
    other = replace(tenant, credential=tenant.authority.client("worker-2"))
    rules = AdmissionRules(client_ca=tenant.authority.pem, api_keys=True)
    revoked = replace(rules, revoked_serials=(serial(tenant.credential),))
    async with AsyncExitStack() as stack, AsyncExitStack() as gatekeeper:
        await gatekeeper.enter_async_context(processes.gatekeeper(bare.gatekeeper, tmp_path))
        await stack.enter_async_context(processes.envoy(bare.ingress))
        await know_signers(bare, signer)
        await know_keys(bare, "acme1", key_row("key-1", {tenant.namespace: "read"}))
        await bare.enforce(bare.record(tenant, rules=rules))
        key = signer.token("key-1", "acme1")
        channels = {
            "revoked": await stack.enter_async_context(raw_channel(bare, tenant)),
            "good": await stack.enter_async_context(raw_channel(bare, other)),
            "key": await stack.enter_async_context(keyed_channel(bare, tenant, key)),
        }

        async def codes() -> dict[str, str]:
            return {
                name: (await channel.call(HEALTH, b"")).code.name
                for name, channel in channels.items()
            }

        assert await codes() == {"revoked": "OK", "good": "OK", "key": "OK"}
        await bare.enforce(bare.record(tenant, rules=revoked))

        async def enforced() -> bool:
            return (await codes())["revoked"] == "PERMISSION_DENIED"

        await eventually(enforced)
        whole = {"revoked": "PERMISSION_DENIED", "good": "OK", "key": "OK"}

        await gatekeeper.aclose()
        assert await codes() == {**whole, "key": "UNAVAILABLE"}

        await stack.enter_async_context(processes.gatekeeper(bare.gatekeeper, tmp_path))

        async def back() -> bool:
            return await codes() == whole

        await eventually(back)


async def test_an_envoy_that_starts_anew_is_told_every_policy(
    bare: SmallCell, tenant: Tenant, tmp_path: Path
) -> None:
    rules = AdmissionRules(client_ca=tenant.authority.pem, requests_per_second=1)
    async with processes.gatekeeper(bare.gatekeeper, tmp_path):
        await bare.enforce(bare.record(tenant, rules=rules))
        for _ in range(2):
            async with processes.envoy(bare.ingress), raw_channel(bare, tenant) as channel:

                async def limited(channel: RawChannel = channel) -> bool:
                    answers = [await channel.call(HEALTH, b"") for _ in range(5)]
                    return any(answer.code.name == "RESOURCE_EXHAUSTED" for answer in answers)

                await eventually(limited)


def files_with(text: str, folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if text.encode() in file.read_bytes()]


async def test_no_private_key_and_no_api_key_is_on_disk_or_in_a_log(
    postgres: RunningPostgres, frontend: str, tenant: Tenant, tmp_path: Path
) -> None:
    async with small_cell(postgres, tmp_path, frontend) as cell:
        signer, certificate = Signer(), cell.fleet.server(tenant.server_name)
        rules = AdmissionRules(client_ca=tenant.authority.pem, api_keys=True)
        await know_signers(cell, signer)
        await know_keys(cell, "acme1", key_row("key-1", {tenant.namespace: "read"}))
        await cell.enforce(cell.record(tenant, rules=rules, certificate=certificate))
        assert await admitted(cell, tenant)
        tokens = [signer.token(key, "acme1") for key in ("key-1", "key-2")]
        for token, code in zip(tokens, ("OK", "UNAUTHENTICATED"), strict=True):
            async with keyed_channel(cell, tenant, token) as channel:
                assert (await channel.call(HEALTH, b"")).code.name == code

    secret = certificate.private_key.splitlines()[1]
    assert not files_with(secret, tmp_path)
    for token in tokens:
        assert not files_with(token.rpartition(".")[2], tmp_path)
    assert stat.S_IMODE(cell.gatekeeper.snapshot.stat().st_mode) == 0o600
