import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from controlplane.local.backups import back_up, missing_room


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Path]:
    """A database whose only row is in its write-ahead log."""
    path = tmp_path / "temporal.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE rows (number INTEGER)")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("INSERT INTO rows VALUES (42)")
        connection.commit()
        yield path


async def test_a_copy_has_what_is_in_the_log_only(database: Path) -> None:
    copy = database.parent / "backups" / "1.db"
    await back_up(database, copy)
    with closing(sqlite3.connect(copy)) as copied:
        assert copied.execute("SELECT number FROM rows").fetchall() == [(42,)]
    assert copy.stat().st_mode & 0o077 == 0


async def test_the_last_two_copies_are_kept(database: Path) -> None:
    folder = database.parent / "backups"
    for generation in (9, 10, 11):
        await back_up(database, folder / f"{generation}.db")
    assert sorted(path.name for path in folder.iterdir()) == ["10.db", "11.db"]


async def test_a_copy_that_was_interrupted_is_begun_again(database: Path) -> None:
    copy = database.parent / "backups" / "1.db"
    copy.parent.mkdir()
    copy.with_name("1.db.unfinished").write_bytes(b"half of it")
    await back_up(database, copy)
    assert [path.name for path in copy.parent.iterdir()] == ["1.db"]


async def test_what_does_not_exist_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        await back_up(tmp_path / "temporal.db", tmp_path / "backups" / "1.db")
    assert not (tmp_path / "temporal.db").exists()
    assert not (tmp_path / "backups" / "1.db").exists()


def test_room_that_is_missing_is_counted(database: Path) -> None:
    assert missing_room(database) is None
    with database.with_name("temporal.db-journal").open("wb") as sparse:
        sparse.truncate(1 << 42)
    assert "MiB: make room on that disk" in (missing_room(database) or "")
