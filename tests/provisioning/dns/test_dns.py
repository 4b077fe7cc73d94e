"""What every adapter of the `Dns` port must do.

Add an adapter to `names` and it is held to the same.
"""

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError

from controlplane.errors import ErrorType
from controlplane.secrets.memory import MemorySecretStore
from controlplane.secrets.port import DNS_UPDATE_KEY
from provisioning.dns.cloud_dns import CloudDns
from provisioning.dns.rfc2136 import Rfc2136Dns
from provisioning.memory import MemoryDns, MemoryWorld
from provisioning.ports import Dns
from provisioning.types import DnsFacts
from tests.clouds.aws.running import RunningAws
from tests.clouds.aws.zones import zone_in
from tests.clouds.gcp.mirror import mirrored
from tests.clouds.gcp.stand_in import FLEET_ZONE, HOME, running_gcp
from tests.local.dns.running import ZONE, new_config, running

TTL = timedelta(seconds=15)
UID, SUCCESSOR = "5b1f", "a07c"
NAME = "orders.acme1.fleet.test"
EAST, WEST = "aws-us-east-1-c1.cell.fleet.test", "aws-us-west-2-c1.cell.fleet.test"


@contextlib.asynccontextmanager
async def rfc2136(folder: Path) -> AsyncIterator[Dns]:
    config = new_config(folder)
    secrets = MemorySecretStore({DNS_UPDATE_KEY: (folder / "key").read_bytes()})
    async with running(config):
        yield Rfc2136Dns(ZONE, (config.listen,), secrets)


@contextlib.asynccontextmanager
async def memory(folder: Path) -> AsyncIterator[Dns]:  # noqa: ARG001 - the others' signature
    yield MemoryDns(MemoryWorld())


@contextlib.asynccontextmanager
async def cloud_dns(folder: Path) -> AsyncIterator[Dns]:
    config = new_config(folder)
    async with (
        running(config) as server,
        running_gcp(folder) as stand_in,
        mirrored(stand_in.world, server),
    ):
        yield CloudDns(ZONE, HOME, FLEET_ZONE, (config.listen,), stand_in.google)


@contextlib.asynccontextmanager
async def route53(aws: RunningAws) -> AsyncIterator[Dns]:
    async with zone_in(aws, ZONE) as zone:
        yield zone


@pytest.fixture(params=[rfc2136, cloud_dns, memory, route53])
async def names(
    request: pytest.FixtureRequest, tmp_path: Path, aws: RunningAws
) -> AsyncIterator[Dns]:
    where = aws if request.param is route53 else tmp_path
    async with request.param(where) as made:
        yield made


async def test_an_absent_name_is_observed_as_none(names: Dns) -> None:
    assert await names.observe(NAME) is None


async def test_a_published_name_is_observed_as_published(names: Dns) -> None:
    published = await names.publish(NAME, EAST, TTL, UID)

    assert published == DnsFacts(NAME, EAST, TTL)
    assert await names.observe(NAME) == published


async def test_publishing_twice_is_publishing_once(names: Dns) -> None:
    first = await names.publish(NAME, EAST, TTL, UID)

    assert await names.publish(NAME, EAST, TTL, UID) == first
    assert await names.observe(NAME) == first


async def test_a_name_moves_to_another_target_or_ttl(names: Dns) -> None:
    await names.publish(NAME, EAST, TTL, UID)

    moved = await names.publish(NAME, WEST, 2 * TTL, UID)

    assert moved == DnsFacts(NAME, WEST, 2 * TTL)
    assert await names.observe(NAME) == moved


async def test_withdrawing_twice_is_withdrawing_once(names: Dns) -> None:
    await names.publish(NAME, EAST, TTL, UID)
    await names.withdraw(NAME, UID)
    await names.withdraw(NAME, UID)

    assert await names.observe(NAME) is None


async def test_names_are_told_apart(names: Dns) -> None:
    await names.publish(NAME, EAST, TTL, UID)
    await names.publish("pay.acme1.fleet.test", EAST, TTL, UID)
    await names.withdraw("pay.acme1.fleet.test", UID)

    assert await names.observe(NAME) == DnsFacts(NAME, EAST, TTL)


async def test_late_calls_for_an_earlier_incarnation_leave_its_successors_name_alone(
    names: Dns,
) -> None:
    await names.publish(NAME, EAST, TTL, UID)
    await names.withdraw(NAME, UID)
    present = await names.publish(NAME, WEST, TTL, SUCCESSOR)

    await names.withdraw(NAME, UID)
    with pytest.raises(ApplicationError, match=UID) as refused:
        await names.publish(NAME, EAST, TTL, UID)

    assert refused.value.type == ErrorType.REJECTED
    assert await names.observe(NAME) == present
    await names.withdraw(NAME, SUCCESSOR)
    assert await names.observe(NAME) is None
