"""Copies of a cell's Temporal database, taken before another server runs on it.

To go back to one by hand: stop the cell's server, put the copy in the place of `temporal.db`,
remove `temporal.db-wal` and `temporal.db-shm`, and start the server of the version in its name.
Whatever happened since is lost with it, so no automation does this.
"""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

_KEPT = 2
_ROOM_BYTES = 64 * 1024 * 1024
"""What a server needs beside the copy, to start and to change its database."""


async def back_up(database: Path, copy: Path) -> None:
    """Copy a database that nobody writes to, its write-ahead log included; remove older copies.

    The copy appears under its name when it is complete and on the disk.
    """
    copying = asyncio.ensure_future(asyncio.to_thread(_copy, database, copy))
    try:
        await asyncio.shield(copying)
    except asyncio.CancelledError:
        # A thread cannot be stopped, and whoever holds the cell next may start a server.
        await copying
        raise


def missing_room(database: Path) -> str | None:
    """Say what is missing for another copy of the database, or None when there is room."""
    files = database.parent.glob(f"{database.name}*")
    needed = sum(file.stat().st_size for file in files) + _ROOM_BYTES
    free = shutil.disk_usage(database.parent).free
    if free >= needed:
        return None
    return (
        f"{database.parent} has {free >> 20} MiB free and the copy of the database needs "
        f"{needed >> 20} MiB: make room on that disk"
    )


def _copy(database: Path, copy: Path) -> None:
    copy.parent.mkdir(mode=0o700, exist_ok=True)
    unfinished = copy.with_name(f"{copy.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    # "rw" makes none where there is none.
    with (
        closing(sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True)) as source,
        closing(sqlite3.connect(unfinished)) as target,
    ):
        source.backup(target)
    unfinished.rename(copy)
    older = sorted(copy.parent.glob("*.db"), key=lambda path: path.stat().st_mtime_ns)[:-_KEPT]
    for path in older:
        path.unlink()
