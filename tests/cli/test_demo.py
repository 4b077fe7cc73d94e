import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.api.cloud.namespace.v1 import MtlsAuthSpec, NamespaceSpec

from controlplane.cli.api import Api, connect
from controlplane.cli.connection import resolve
from controlplane.cli.demo_story import NAME, Story, certificates, ensure_namespace
from controlplane.cli.failures import CommandFailed
from provisioning.certificates.x509 import new_ca
from provisioning.types import Step
from tests.api.running import Tenant, declared
from tests.cli.command import Cli
from tests.cli.entity import entity, step

OTHER_CA = new_ca("somebody else", validity=timedelta(days=1)).certificate_pem


@pytest.fixture
async def demo_api(cli: Cli) -> AsyncIterator[Api]:
    async with connect(await resolve(None, None, None, env=cli.env)) as api:
        yield api


async def test_a_namespace_of_an_earlier_run_is_used_again(demo_api: Api, tenant: Tenant) -> None:
    orders = await tenant.create(NAME)
    await tenant.api.settle(orders)

    namespace = await ensure_namespace(Story(), demo_api, declared(NAME))

    assert namespace.namespace == orders


async def test_an_earlier_run_that_is_not_done_is_waited_for(demo_api: Api, tenant: Tenant) -> None:
    await tenant.create(NAME)

    ensured = asyncio.create_task(ensure_namespace(Story(), demo_api, declared(NAME)))
    await (await entity(tenant)).succeeds(step(Step.PROVE))

    assert (await ensured).endpoints.mtls_grpc_address


async def test_a_namespace_of_somebody_else_is_left_alone(demo_api: Api, tenant: Tenant) -> None:
    await tenant.api.settle(await tenant.create(NAME))
    mine = NamespaceSpec()
    mine.CopyFrom(declared(NAME))
    mine.mtls_auth.CopyFrom(MtlsAuthSpec(enabled=True, accepted_client_ca=OTHER_CA))

    with pytest.raises(CommandFailed, match=f"controlplane namespace delete {NAME}"):
        await ensure_namespace(Story(), demo_api, mine)


def test_the_authority_is_kept_from_run_to_run(tmp_path: Path) -> None:
    authority, client = certificates(tmp_path)
    first = authority.read(), client.read()

    certificates(tmp_path)

    second = authority.read(), client.read()
    assert second[0].fingerprint == first[0].fingerprint
    assert second[1].fingerprint != first[1].fingerprint
    second[1].certificate.verify_directly_issued_by(first[0].certificate)
