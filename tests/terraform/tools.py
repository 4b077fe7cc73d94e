"""Tools whose libraries cannot stand beside ours: each in an environment of its own, made once.

They are kept in a cache outside the checkout, under the digest of the lock file that names them.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

_INSTALL_SECONDS = 600


class ToolUnavailable(Exception):
    """It could not be got; the message says why and what to do."""


def tool_environment(lock: Path) -> Path:
    """Return the Python of an environment that has what the lock file names, made if need be.

    Run programs in it as modules (`-m`): it was renamed into its place, and scripts would not
    find their interpreter.
    """
    return kept(lock.stem, lock.read_bytes(), lambda folder: _install(lock, folder)) / "bin/python"


def downloaded(lock: Path, folder: Path) -> None:
    """Fetch the wheels that the lock file names."""
    _pip(lock, "download", "--no-deps", "--dest", str(folder))


def kept(name: str, made_of: bytes, make: Callable[[Path], None]) -> Path:
    """Return the cached folder of what `make` puts into one: once for what it is made of."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "controlplane"
    folder = base / f"{name}-{hashlib.sha256(made_of).hexdigest()[:12]}"
    if folder.exists():
        return folder
    base.mkdir(parents=True, exist_ok=True)
    with _alone(base / f".{folder.name}.lock"):
        if not folder.exists():
            unfinished = base / f".{folder.name}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(folder)
    return folder


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _install(lock: Path, folder: Path) -> None:
    venv.create(folder, symlinks=True)
    _pip(lock, "--python", str(folder / "bin/python"), "install")


def _pip(lock: Path, *command: str) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", *command, "--quiet", "--no-input"),
            *("--only-binary", ":all:", "--require-hashes", "--requirement", str(lock)),
        ],
        capture_output=True,
        text=True,
        timeout=_INSTALL_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise ToolUnavailable(
            f"what {lock.name} names could not be got: {done.stderr.strip()[-1000:]}. Let pip "
            "reach a package index that has it (PIP_INDEX_URL, or pip's configuration file)"
        )
