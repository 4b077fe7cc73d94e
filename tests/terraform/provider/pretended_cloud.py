"""The cloud as a file: what was made is there, for every process that looks, until it is deleted.

Beside it lie two files that tests write. `overrides.json` says what the cloud computes:
attributes by `<type>`, or `<type>:<id>`, or `data.<type>`. `faults.json` says by `<type>` what goes
wrong (`Fault`).
"""

import contextlib
import fcntl
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Values = dict[str, Any]

_LOOK_SECONDS = 0.05


class Refused(Exception):
    """The cloud's answer to a call that it does not carry out."""


class Broken(Exception):
    """The cloud's answer to a call that it has begun to carry out."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong with the resources of one type."""

    operation: str = "create"
    """create, update or delete."""
    refused: str = ""
    """The answer, without any effect."""
    broken: str = ""
    """The answer, after the effect."""
    held: str = ""
    """A file: the answer is not given, after the effect, while it exists."""
    times: int = 0
    """How often; 0: always."""


class PretendedCloud:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Give up waiting, as a provider that is told to stop does."""
        self._stopped.set()

    def overrides(self, kind: str, identity: str = "") -> Values:
        """Return the attributes that a test has chosen for a type, or for one resource of it."""
        chosen = self._read("overrides.json")
        return {**chosen.get(kind, {}), **chosen.get(f"{kind}:{identity}", {})}

    def resource(self, kind: str, identity: str) -> Values | None:
        found: Values | None = self._read("cloud.json").get(kind, {}).get(identity)
        return found

    def new_identity(self, kind: str) -> str:
        """Return what nothing of this type was ever called."""
        with self._changing("serials.json") as serials:
            serials[kind] = serials.get(kind, 0) + 1
            return f"{serials[kind]:017x}"

    def create(self, kind: str, identity: str, values: Values) -> None:
        """Keep a resource; the cloud has no second one of its name."""
        fault = self._fault(kind, "create")
        with self._changing("cloud.json") as cloud:
            if identity in cloud.setdefault(kind, {}):
                raise Refused(f"api error AlreadyExistsException: {kind} {identity} already exists")
            cloud[kind][identity] = values
        self._suffer(fault)

    def update(self, kind: str, identity: str, values: Values) -> None:
        fault = self._fault(kind, "update")
        with self._changing("cloud.json") as cloud:
            if identity not in cloud.get(kind, {}):
                raise Refused(f"api error NotFoundException: no {kind} {identity}")
            cloud[kind][identity] = values
        self._suffer(fault)

    def delete(self, kind: str, identity: str) -> None:
        fault = self._fault(kind, "delete")
        with self._changing("cloud.json") as cloud:
            resource = cloud.get(kind, {}).get(identity, {})
            for protection in ("deletion_protection", "enable_deletion_protection"):
                if resource.get(protection):
                    raise Refused(
                        f"api error InvalidParameterCombination: Cannot delete protected {kind} "
                        f"{identity}: {protection} is on"
                    )
            cloud.get(kind, {}).pop(identity, None)
            if not cloud.get(kind):
                cloud.pop(kind, None)
        self._suffer(fault)

    def _fault(self, kind: str, operation: str) -> Fault:
        """Return what goes wrong now; raise it when it happens without any effect."""
        with self._changing("faults.json") as faults:
            chosen = faults.get(kind)
            if chosen is None or chosen.get("operation", "create") != operation:
                return Fault()
            fault = Fault(**chosen)
            if fault.times == 1:
                del faults[kind]
            elif fault.times:
                chosen["times"] -= 1
        if fault.refused:
            raise Refused(fault.refused)
        return fault

    def _suffer(self, fault: Fault) -> None:
        while fault.held and Path(fault.held).exists():
            if self._stopped.wait(_LOOK_SECONDS):
                raise Broken("context canceled")
        if fault.broken:
            raise Broken(fault.broken)

    def _read(self, name: str) -> Values:
        with self._locked():
            return self._content(name)

    @contextlib.contextmanager
    def _changing(self, name: str) -> Iterator[Values]:
        with self._locked():
            content = self._content(name)
            yield content
            unfinished = self._folder / f".{name}.{os.getpid()}"
            unfinished.write_text(json.dumps(content, indent=1))
            unfinished.replace(self._folder / name)

    def _content(self, name: str) -> Values:
        file = self._folder / name
        content: Values = json.loads(file.read_text()) if file.exists() else {}
        return content

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._folder / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
