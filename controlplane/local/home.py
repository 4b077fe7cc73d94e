"""The folder an embedded fleet lives in: its layout, its lock, and `fleet.json`.

`fleet.json` records what was chosen once and must stay: ports, the cells and their place in the
failover version registry, folders outside the home. It never holds a secret.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter

from cells.release import Software
from controlplane.local.failures import FleetFailed
from controlplane.local.file_lock import file_locked
from controlplane.local.ports import LOOPBACK
from controlplane.secrets import private_file

HOME_VARIABLE = "CONTROLPLANE_HOME"
DEFAULT_HOME = Path("~/.controlplane")

_LONGEST_SOCKET_PATH = 100
"""Bytes: a Unix socket's address holds 104 on macOS, 108 on Linux, the final zero included."""
_LONGEST_SOCKET_NAME = 44
_LOCK, _RECORD_LOCK = "lock", "record.lock"
# What the files of the supervisor cannot carry.
_FORBIDDEN_IN_PATH = set("\"'%#;\n\r\0")


class HomeRefused(FleetFailed):
    """The folder cannot be a home, or is not one; the message says what to do."""


@dataclass(frozen=True)
class Change:
    """A change of a cell's software that is under way, or was when whoever made it died."""

    stopped_at: str = ""
    """When the server was stopped for it (ISO 8601); empty when it was not."""
    ingress: bool = False
    """Gatekeeper and Envoy change, too."""


@dataclass(frozen=True)
class CellRecord:
    """What a cell is to run, and what is known of the last change of it."""

    software: Software
    generation: int = 0
    """The highest that the cell was changed with."""
    passed: tuple[Software, ...] = ()
    """What it ran before, one after the other, under the same generation."""
    change: Change | None = None
    gap_seconds: float = 0.0
    """How long the server did not answer when it was last changed."""
    schema: dict[str, str] = field(default_factory=dict)
    """By store, the version it was last asked to have."""

    def under(self, generation: int) -> "CellRecord":
        """Return the same under another generation, or the same one."""
        if generation == self.generation:
            return self
        return replace(self, generation=generation, passed=(), gap_seconds=0.0)


@dataclass(frozen=True)
class FleetRecord:
    """What `fleet.json` holds."""

    home: str
    zone: str
    account: str = ""
    """The first account's id; empty until it is made."""
    ports: dict[str, int] = field(default_factory=dict)
    """By program and purpose, such as `engine`, `engine-ui`, `aws-us-east-1-c1.ingress`."""
    failover_versions: dict[str, int] = field(default_factory=dict)
    """Each cell's initial failover version: unique in the fleet, and never given to another."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of the programs the fleet runs."""
    outside_folders: tuple[str, ...] = ()
    """Folders that belong to this home but could not be placed in it."""
    cells: dict[str, CellRecord] = field(default_factory=dict)
    prometheus_program: str = ""
    """What scrapes the cells; empty when the machine has none."""

    def address(self, port: str) -> str:
        """Return the `host:port` that a port's name stands for."""
        return f"{LOOPBACK}:{self.ports[port]}"

    def database_url(self, role: str, database: str) -> str:
        """Return the libpq URL of one of the fleet's databases, without password."""
        return f"postgresql://{role}@{self.address('postgres')}/{database}"


_RECORD = TypeAdapter(FleetRecord)


def keep_file(path: Path, content: bytes) -> None:
    """Make sure the file holds `content`, readable for its owner alone."""
    if not path.exists() or path.read_bytes() != content:
        private_file.replace(path, content)


@dataclass(frozen=True)
class Home:
    """A home's path and, by property, where everything in it is."""

    path: Path

    @classmethod
    def choose(cls, option: Path | None, env: Mapping[str, str] = os.environ) -> "Home":
        """Return the home asked for: the option, else `$CONTROLPLANE_HOME`, else the default."""
        path = option or Path(env.get(HOME_VARIABLE) or DEFAULT_HOME)
        path = path.expanduser().resolve()
        if unusable := _FORBIDDEN_IN_PATH & set(str(path)):
            raise HomeRefused(
                f"a home's path may not contain {' '.join(map(repr, sorted(unusable)))}: {path}"
            )
        return cls(path)

    @property
    def record_file(self) -> Path:
        return self.path / "fleet.json"

    @property
    def exists(self) -> bool:
        """Whether a fleet was ever made here."""
        return self.record_file.exists()

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def secrets(self) -> Path:
        return self.path / "secrets"

    @property
    def secrets_key(self) -> Path:
        return self.path / "secrets.key"

    @property
    def ca_file(self) -> Path:
        """The certificate of the CA that signs the endpoints' and the API's certificates."""
        return self.path / "ca.pem"

    @property
    def prober_ca_file(self) -> Path:
        return self.path / "prober-ca.pem"

    @property
    def peer_ca_file(self) -> Path:
        """The certificate of the CA that signs what cells show each other's ingresses."""
        return self.path / "peer-ca.pem"

    @property
    def run(self) -> Path:
        """The folder of Unix sockets; elsewhere when the home's path is too long for them."""
        inside = self.path / "run"
        if len(os.fsencode(inside)) + 1 + _LONGEST_SOCKET_NAME <= _LONGEST_SOCKET_PATH:
            return inside
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        return Path("/tmp") / f"controlplane-{digest}"  # noqa: S108 - ours alone, checked when made

    def folder(self, *parts: str) -> Path:
        """Return a folder of the home, made if need be, that only its owner may enter."""
        folder = self.path
        for part in parts:
            folder /= part
            folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def load(self) -> FleetRecord:
        """Read `fleet.json`; raise HomeRefused when this is no home, or one that was moved."""
        try:
            record = _RECORD.validate_json(self.record_file.read_bytes())
        except FileNotFoundError:
            raise HomeRefused(
                f"there is no fleet in {self.path}: `controlplane up` makes one"
            ) from None
        except ValueError as error:
            raise HomeRefused(f"{self.record_file} is damaged: {error}") from error
        if record.home != str(self.path):
            raise HomeRefused(
                f"the fleet in {self.path} was made in {record.home}: move it back there"
            )
        return record

    def save(self, record: FleetRecord) -> None:
        """Write `fleet.json` so that a crash leaves the old one or the new one."""
        keep_file(self.record_file, json.dumps(asdict(record), indent=2).encode() + b"\n")

    async def record_cell(self, cell: str, found: CellRecord) -> FleetRecord:
        """Replace what is recorded of a cell, and return the new record.

        The cell's lock must be held, and the record's must not.
        """
        async with self.record_locked():
            return self.save_cell(cell, found)

    def save_cell(self, cell: str, found: CellRecord) -> FleetRecord:
        """Replace what is recorded of a cell; both its lock and the record's must be held."""
        before = self.load()
        record = replace(before, cells={**before.cells, cell: found})
        self.save(record)
        return record

    def prepare(self) -> None:
        """Make the folder, or refuse one that holds something else."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise HomeRefused(f"{self.path} is not ours to write to: choose another home")
        if self.path.stat().st_mode & 0o022:
            raise HomeRefused(f"others can write to {self.path}: run `chmod 700 {self.path}`")
        if not self.exists and {p.name for p in self.path.iterdir()} - {_LOCK, _RECORD_LOCK}:
            raise HomeRefused(
                f"{self.path} holds something that is not a fleet: choose an empty or new folder"
            )
        self._prepare_run_folder()

    def delete(self) -> None:
        """Remove the home and every folder outside it that it made. Nothing may be running."""
        record = self.load()
        for outside in record.outside_folders:
            shutil.rmtree(outside, ignore_errors=True)
        if self.run.parent != self.path:
            shutil.rmtree(self.run, ignore_errors=True)
        # The record goes last: a deletion that is interrupted can be repeated.
        for entry in self.path.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry != self.record_file:
                entry.unlink()
        self.record_file.unlink()
        self.path.rmdir()

    @contextlib.asynccontextmanager
    async def locked(self, waiting: Callable[[], None]) -> AsyncIterator[None]:
        """Hold the home alone, for as long as it takes; call `waiting` once if somebody else does.

        Of two locks that one process holds, the later one is always the narrower: the home's, a
        cell's, the record's.
        """
        async with file_locked(self.path / _LOCK, waiting):
            yield

    @contextlib.asynccontextmanager
    async def cell_locked(self, cell: str) -> AsyncIterator[None]:
        """Hold a cell's server alone: nobody else stops, starts or changes it meanwhile."""
        async with file_locked(self.folder("cells", cell) / _LOCK):
            yield

    @contextlib.asynccontextmanager
    async def record_locked(self) -> AsyncIterator[None]:
        """Hold the record and the supervisor's configuration alone, for as long as writing takes.

        Whoever has it finds the two in agreement, and leaves them so.
        """
        async with file_locked(self.path / _RECORD_LOCK):
            yield

    def _prepare_run_folder(self) -> None:
        with contextlib.suppress(FileExistsError):
            self.run.mkdir(mode=0o700)
        found = self.run.lstat()
        if self.run.is_symlink() or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise HomeRefused(f"{self.run} is not a folder of ours alone: remove it")
