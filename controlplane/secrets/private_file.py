"""Files only their owner may read, written so that a crash leaves the old content or the new."""

import contextlib
import os
import secrets
from pathlib import Path

UNFINISHED_SUFFIX = ".unfinished"
"""How the name of a file ends while it is being written; a crash may leave one behind."""


def replace(path: Path, content: bytes) -> None:
    """Make `content` the file's whole content, durably. Its folder is created if missing."""
    unfinished = _written_beside(path, content)
    try:
        unfinished.rename(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def create(path: Path, content: bytes) -> bool:
    """Make the file unless there is one already; return whether it was made."""
    if path.exists():
        return False
    unfinished = _written_beside(path, content)
    try:
        # Unlike a rename, a link never replaces what another process has put there meanwhile.
        path.hardlink_to(unfinished)
    except FileExistsError:
        return False
    finally:
        unfinished.unlink()
    _sync_folder(path.parent)
    return True


def remove(path: Path) -> None:
    """Remove the file durably; succeed if there is none."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
        _sync_folder(path.parent)


def _written_beside(path: Path, content: bytes) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Random, so that two processes that write the same file never write into each other's.
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(8)}{UNFINISHED_SUFFIX}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    return unfinished


def _sync_folder(folder: Path) -> None:
    """Make a rename, link or removal in the folder outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
