import asyncio
import itertools
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controlplane.secrets.file import KEY_BYTES, FileSecretStore, SecretStoreError, create_key

NAMES = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("./%\\\0~ aA"), min_size=1
).filter(lambda name: len(name.encode()) <= 60)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    create_key(tmp_path / "keys" / "key")
    return tmp_path / "keys" / "key"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "secrets"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def careless_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_the_key_is_random_private_and_never_replaced(key: Path) -> None:
    made = key.read_bytes()
    create_key(key)

    assert key.read_bytes() == made
    assert len(made) == KEY_BYTES
    assert mode(key) == 0o600
    assert mode(key.parent) == 0o700


@pytest.mark.usefixtures("careless_umask")
async def test_files_are_private_and_hold_no_plain_text(directory: Path, key: Path) -> None:
    await FileSecretStore(directory, key).put("fleet/ca", b"-----BEGIN PRIVATE KEY-----")

    assert mode(directory) == 0o700
    files = content(directory)
    assert {mode(directory / name) for name in files} == {0o600}
    assert not any(b"PRIVATE" in each for each in files.values())


async def test_another_process_reads_what_one_wrote(directory: Path, key: Path) -> None:
    await FileSecretStore(directory, key).put("fleet/ca", b"value")

    assert await FileSecretStore(directory, key).get("fleet/ca") == b"value"


async def test_a_wrong_key_is_named_and_touches_nothing(
    directory: Path, key: Path, tmp_path: Path
) -> None:
    await FileSecretStore(directory, key).put("fleet/ca", b"value")
    before = content(directory)
    create_key(tmp_path / "other")

    with pytest.raises(SecretStoreError, match=r"the key in .*other is not the one"):
        FileSecretStore(directory, tmp_path / "other")

    assert content(directory) == before


def test_a_missing_key_is_named(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(SecretStoreError, match=r"there is no key file .*absent"):
        FileSecretStore(directory, tmp_path / "absent")

    assert not directory.exists()


def test_a_key_of_the_wrong_size_is_refused(directory: Path, key: Path) -> None:
    key.write_bytes(b"short")

    with pytest.raises(SecretStoreError, match="holds 5 bytes instead of a key of 32"):
        FileSecretStore(directory, key)


def test_a_key_that_everybody_may_read_is_refused(directory: Path, key: Path) -> None:
    key.chmod(0o644)

    with pytest.raises(SecretStoreError, match="chmod it to 600"):
        FileSecretStore(directory, key)


async def test_a_changed_byte_is_noticed(directory: Path, key: Path) -> None:
    store = FileSecretStore(directory, key)
    await store.put("fleet/ca", b"value")
    file = directory / "fleet%2fca.secret"
    intact = file.read_bytes()
    for position in range(len(intact)):
        changed = bytearray(intact)
        changed[position] ^= 1
        file.write_bytes(changed)
        with pytest.raises(SecretStoreError, match="'fleet/ca' is damaged"):
            await store.get("fleet/ca")
    for length in range(len(intact)):
        file.write_bytes(intact[:length])
        with pytest.raises(SecretStoreError, match="'fleet/ca' is damaged"):
            await store.get("fleet/ca")


async def test_one_secret_cannot_take_the_place_of_another(directory: Path, key: Path) -> None:
    store = FileSecretStore(directory, key)
    await store.put("a", b"mine")
    await store.put("b", b"theirs")
    (directory / "a.secret").write_bytes((directory / "b.secret").read_bytes())

    with pytest.raises(SecretStoreError, match="was not written for this name"):
        await store.get("a")


async def test_equal_values_never_look_equal_on_disk(directory: Path, key: Path) -> None:
    store = FileSecretStore(directory, key)
    seen = set()
    for _ in range(5):
        await store.put("fleet/ca", b"value")
        seen.add((directory / "fleet%2fca.secret").read_bytes())

    assert len(seen) == 5


@settings(max_examples=30, deadline=None)  # Other tests share the processors.
@given(names=st.lists(NAMES, unique=True, max_size=5), prefix=NAMES)
def test_any_name_is_kept_apart_in_the_folder_and_found_again(
    names: list[str], prefix: str
) -> None:
    async def scenario(root: Path) -> None:
        create_key(root / "key")
        store = FileSecretStore(root / "secrets", root / "key")
        for name in names:
            await store.put(name, name.encode())

        assert [await store.get(name) for name in names] == [name.encode() for name in names]
        assert await store.names("") == sorted(names)
        assert await store.names(prefix) == sorted(n for n in names if n.startswith(prefix))
        # Also on a file system that ignores case.
        folded = {name.casefold() for name in content(root / "secrets")}
        assert len(folded) == len(names) + len(["key-check"])
        assert set(os.listdir(root)) == {"key", "secrets"}

    with tempfile.TemporaryDirectory() as root:
        asyncio.run(scenario(Path(root)))


async def test_a_name_no_file_system_takes_is_refused(directory: Path, key: Path) -> None:
    store = FileSecretStore(directory, key)
    for name in ("", "n" * 300):
        with pytest.raises(ValueError, match="is empty or too long"):
            await store.put(name, b"value")


async def test_concurrent_writers_leave_one_whole_value(directory: Path, key: Path) -> None:
    stores = [FileSecretStore(directory, key) for _ in range(4)]
    values = [bytes([n]) * 20_000 for n in range(40)]
    await asyncio.gather(
        *(
            store.put("fleet/ca", value)
            for store, value in zip(itertools.cycle(stores), values, strict=False)
        )
    )

    assert await stores[0].get("fleet/ca") in values
    assert set(content(directory)) == {"key-check", "fleet%2fca.secret"}


def test_stores_opened_at_once_agree_on_the_key(directory: Path, key: Path) -> None:
    async def open_many() -> None:
        await asyncio.gather(
            *(asyncio.to_thread(FileSecretStore, directory, key) for _ in range(20))
        )

    asyncio.run(open_many())

    assert set(content(directory)) == {"key-check"}


async def test_what_dead_writers_left_is_removed_in_the_end(directory: Path, key: Path) -> None:
    await FileSecretStore(directory, key).put("a", b"value")
    fresh, old = directory / "a.secret.1.unfinished", directory / "b.secret.2.unfinished"
    fresh.touch()
    old.touch()
    yesterday = time.time() - 86_400
    os.utime(old, (yesterday, yesterday))

    store = FileSecretStore(directory, key)

    assert fresh.exists()
    assert not old.exists()
    assert await store.names("") == ["a"]
