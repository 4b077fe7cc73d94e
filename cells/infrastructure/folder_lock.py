"""One at a time in a folder, over all processes of a machine."""

import asyncio
import contextlib
import fcntl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TextIO

from cells.life.ports import Progress

_LOOK_SECONDS = 0.5


@contextlib.asynccontextmanager
async def alone_in(folder: Path, progress: Progress) -> AsyncIterator[None]:
    """Have the folder for oneself until the block ends, or one's process does. It is made."""
    with await asyncio.to_thread(_opened, folder) as file:
        told = False
        while not _locked(file.fileno()):
            if not told:
                await progress("waiting for another worker's Terraform run for this cell")
                told = True
            await asyncio.sleep(_LOOK_SECONDS)
        await asyncio.to_thread(folder.mkdir, mode=0o700, exist_ok=True)
        yield


def _opened(folder: Path) -> TextIO:
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Beside it: the folder goes, and who waits for it must wait for the same file.
    return (folder.parent / f".{folder.name}.lock").open("w")


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
