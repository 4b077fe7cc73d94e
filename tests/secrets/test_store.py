"""What every SecretStore must do. Add an adapter to `store` and it is held to the same."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controlplane.aws.identity import Identity
from controlplane.secrets.aws import AwsSecretStore
from controlplane.secrets.file import FileSecretStore, create_key
from controlplane.secrets.gcp import GcpSecretStore
from controlplane.secrets.memory import MemorySecretStore
from controlplane.secrets.port import (
    FLEET_CA,
    SecretStore,
    namespace_certificate,
    namespace_database,
    namespace_prefix,
)
from tests.clouds.aws.running import REGION, RunningAws, alone_in
from tests.clouds.gcp.stand_in import HOME, running_gcp


@contextlib.asynccontextmanager
async def file(folder: Path) -> AsyncIterator[SecretStore]:
    create_key(folder / "key")
    yield FileSecretStore(folder / "secrets", folder / "key")


@contextlib.asynccontextmanager
async def memory(folder: Path) -> AsyncIterator[SecretStore]:  # noqa: ARG001 - as the others
    yield MemorySecretStore()


@contextlib.asynccontextmanager
async def gcp(folder: Path) -> AsyncIterator[SecretStore]:
    async with running_gcp(folder) as stand_in:
        yield GcpSecretStore(stand_in.google, HOME, "fleet")


@contextlib.asynccontextmanager
async def secrets_manager(aws: RunningAws) -> AsyncIterator[SecretStore]:
    async with alone_in(aws):
        yield AwsSecretStore(Identity.own(REGION), "controlplane")


@pytest.fixture(params=[file, memory, gcp, secrets_manager])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, aws: RunningAws
) -> AsyncIterator[SecretStore]:
    where = aws if request.param is secrets_manager else tmp_path
    async with request.param(where) as made:
        yield made


async def test_absent_secret_is_none(store: SecretStore) -> None:
    assert await store.get(FLEET_CA) is None


async def test_what_was_put_last_is_what_one_gets(store: SecretStore) -> None:
    await store.put(FLEET_CA, b"first")
    await store.put(FLEET_CA, b"second\x00\xff")

    assert await store.get(FLEET_CA) == b"second\x00\xff"


async def test_an_empty_value_is_a_value(store: SecretStore) -> None:
    await store.put(FLEET_CA, b"")

    assert await store.get(FLEET_CA) == b""


async def test_deleting_twice_is_deleting_once(store: SecretStore) -> None:
    await store.put(FLEET_CA, b"value")
    await store.delete(FLEET_CA)
    await store.delete(FLEET_CA)

    assert await store.get(FLEET_CA) is None
    assert await store.names("") == []


async def test_names_are_listed_by_prefix_and_sorted(store: SecretStore) -> None:
    mine = [namespace_certificate("orders.acme1"), namespace_database("orders.acme1")]
    for name in [*reversed(mine), namespace_database("orders.acme12"), FLEET_CA]:
        await store.put(name, b"value")

    assert await store.names(namespace_prefix("orders.acme1")) == mine
    assert await store.names("") == [
        FLEET_CA,
        *mine,
        namespace_database("orders.acme12"),
    ]


async def test_no_two_names_are_one_to_the_store(store: SecretStore) -> None:
    names = ["a/b", "a/B", "a=2fb", "a:b", "a b", "a/b/", "ä"]
    for name in names:
        await store.put(name, name.encode())

    assert await store.names("") == sorted(names)
    assert [await store.get(name) for name in names] == [name.encode() for name in names]
