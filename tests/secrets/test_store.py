"""What every SecretStore must do. Add an adapter to `store` and it is held to the same."""

from pathlib import Path

import pytest

from controlplane.secrets.file import FileSecretStore, create_key
from controlplane.secrets.memory import MemorySecretStore
from controlplane.secrets.port import (
    FLEET_CA,
    SecretStore,
    namespace_certificate,
    namespace_database,
    namespace_prefix,
)


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SecretStore:
    if request.param == "memory":
        return MemorySecretStore()
    create_key(tmp_path / "key")
    return FileSecretStore(tmp_path / "secrets", tmp_path / "key")


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
