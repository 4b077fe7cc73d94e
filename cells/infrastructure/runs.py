"""Runs of Terraform that survive whoever started them.

Terraform writes to a file, not to a pipe: when we die it goes on, ends its work and writes its
state down. Whoever comes next finds the run by a mark in the environment of its processes, and
follows it to its end.
"""

import json
import os
import pwd
import secrets
import signal
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import psutil

from cells.ingress.durable_file import replace_file

_MARK = "CONTROLPLANE_TERRAFORM_RUN"
_RECORD = "run.json"
_DEAD = "dead.json"
_LOG = "run.log"
_OPERATIONS = {"plan": "OperationTypePlan", "apply": "OperationTypeApply"}


@dataclass(frozen=True)
class Run:
    """One run that holds the lock of a state."""

    id: str
    operation: str
    """plan or apply."""
    who: str
    """user@host, as Terraform writes it into locks."""
    begun_at: datetime
    folder: Path
    last_sign: datetime | None = None
    """Of a dead run: when it last wrote something."""

    @classmethod
    def begin(cls, operation: str, folder: Path) -> "Run":
        """Return a new run, on record before it has a process."""
        run = cls(secrets.token_hex(8), operation, _who(), datetime.now(UTC), folder)
        run._write(_RECORD)
        run.log.unlink(missing_ok=True)
        run.log.touch(mode=0o600)
        return run

    @classmethod
    def not_ended(cls, folder: Path) -> "Run | None":
        """Return the run in a folder that nobody saw end: it runs, or whoever began it has died."""
        return cls._read(folder, _RECORD)

    @classmethod
    def dead(cls, folder: Path) -> "Run | None":
        """Return the last run in a folder that did not end by itself."""
        return cls._read(folder, _DEAD)

    @property
    def log(self) -> Path:
        return self.folder / _LOG

    @property
    def lock_operation(self) -> str:
        return _OPERATIONS[self.operation]

    def marked(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return the environment for its processes."""
        return {**environment, _MARK: self.id}

    def is_alive(self) -> bool:
        """Say whether Terraform itself still runs; may take some milliseconds."""
        return any(True for _ in self._terraform())

    def interrupt(self) -> None:
        """Ask Terraform to end: it lets providers stop, and writes its state."""
        for process in self._terraform():
            _signal(process, signal.SIGINT)

    def kill(self) -> None:
        """Kill every process of it, providers too."""
        for process in self._processes():
            _signal(process, signal.SIGKILL)

    def end(self) -> None:
        """Forget the run: it was seen to end by itself, and has given the lock back."""
        (self.folder / _RECORD).unlink(missing_ok=True)
        # Providers may put into errors what nobody else is to read.
        self.log.unlink(missing_ok=True)

    def bury(self) -> None:
        """Remember the run as a dead one: it may have left the lock behind."""
        heard = self.log.stat().st_mtime if self.log.exists() else self.begun_at.timestamp()
        replace(self, last_sign=datetime.fromtimestamp(heard, UTC))._write(_DEAD)
        self.end()

    def forget(self) -> None:
        """Forget a dead run: the lock was had since."""
        (self.folder / _DEAD).unlink(missing_ok=True)

    def _terraform(self) -> Iterator[psutil.Process]:
        processes = {process.pid: process for process in self._processes()}
        for process in processes.values():
            try:
                # Providers are its children, and orphaned when it is killed.
                if process.ppid() not in processes and not _is_provider(process):
                    yield process
            except psutil.NoSuchProcess:
                continue

    def _processes(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            try:
                if process.environ().get(_MARK) == self.id:
                    yield process
            except psutil.Error:
                continue  # It has ended, or is somebody else's.

    def _write(self, name: str) -> None:
        record = {
            "id": self.id,
            "operation": self.operation,
            "who": self.who,
            "begun_at": self.begun_at.isoformat(),
            "last_sign": self.last_sign.isoformat() if self.last_sign else "",
        }
        replace_file(self.folder / name, json.dumps(record).encode())

    @classmethod
    def _read(cls, folder: Path, name: str) -> "Run | None":
        try:
            record: dict[str, str] = json.loads((folder / name).read_bytes())
        except FileNotFoundError:
            return None
        last_sign = record["last_sign"]
        return cls(
            id=record["id"],
            operation=record["operation"],
            who=record["who"],
            begun_at=datetime.fromisoformat(record["begun_at"]),
            folder=folder,
            last_sign=datetime.fromisoformat(last_sign) if last_sign else None,
        )


def _who() -> str:
    """Return whom Terraform takes itself for: it asks the list of users, not the environment."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = os.environ.get("USER", "")
    return f"{user}@{socket.gethostname()}"


def _is_provider(process: psutil.Process) -> bool:
    return "TF_PLUGIN_MAGIC_COOKIE" in process.environ()


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
