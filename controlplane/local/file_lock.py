"""Locks that are files: one holder at a time, whichever process; a holder that dies lets go."""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from controlplane.local.failures import FleetFailed

_LOCK_EVERY_SECONDS = 0.1


class LockLost(FleetFailed):
    """The file was deleted while its lock was waited for."""


@contextlib.asynccontextmanager
async def file_locked(path: Path, waiting: Callable[[], None] | None = None) -> AsyncIterator[None]:
    """Hold the file alone until the block ends; call `waiting` once if somebody else does."""
    with path.open("ab") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if waiting is not None:
                    waiting()
                    waiting = None
                await asyncio.sleep(_LOCK_EVERY_SECONDS)
        if os.fstat(lock.fileno()).st_nlink == 0:
            raise LockLost(f"{path.parent} was deleted meanwhile: run the command again")
        yield
