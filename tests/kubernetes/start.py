"""A container that is about to be started: its names for things, and what they are here.

What a container calls `/etc/app` is a folder of this machine, its port 7233 is some free one, and
`frontend.cell.svc:7233` is where `balancer.py` listens for that Service. So paths, addresses and
service names are replaced wherever they are written: in its command line, its environment and the
files that are mounted into it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from controlplane.local.ports import LOOPBACK, free_port

ServiceAddress = Callable[[str, str, int], int]
"""Returns the port of this machine at which a namespace's Service is reached by a port of its."""

_LISTENING = r"(?:0\.0\.0\.0|\[::\]):(?P<listen>[0-9]{1,5})\b"
_LOOPBACK = r"(?<![\w.])(?:127\.0\.0\.1|localhost):(?P<local>[0-9]{1,5})\b"
_SERVICE = (
    r"(?<![\w.-])(?P<service>[a-z0-9-]+)\.(?P<namespace>[a-z0-9-]+)\.svc(?:\.cluster\.local)?"
    r":(?P<port>[0-9]{1,5})\b"
)


@dataclass
class PodPorts:
    """The ports on which a pod's containers listen, which they share, and which they are here."""

    declared: frozenset[int]
    _chosen: dict[int, int] = field(default_factory=dict)

    def here(self, port: int) -> int:
        """Return the port of this machine that stands for one of the pod's."""
        if port not in self._chosen:
            self._chosen[port] = free_port()
        return self._chosen[port]


@dataclass(frozen=True)
class Places:
    """What the names of one container stand for."""

    namespace: str
    mounts: Mapping[str, Path]
    ports: PodPorts
    service: ServiceAddress

    def translated(self, text: str) -> str:
        """Return the text with what it names replaced by what that is here."""
        return self._pattern.sub(self._here, text)

    def reached(self, host: str, port: int) -> tuple[str, int]:
        """Return where a host and port lead that are written apart from each other."""
        if host in {"0.0.0.0", "::"}:  # noqa: S104 - what is written, not what is listened on.
            return LOOPBACK, self.ports.here(port)
        address = self.translated(f"{host}:{port}")
        if address == f"{host}:{port}" and re.fullmatch(r"[a-z][a-z0-9-]*", host):
            return LOOPBACK, self.service(self.namespace, host, port)  # In its own namespace.
        name, _, number = address.rpartition(":")
        return name, int(number)

    @property
    def _pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self.mounts, key=len, reverse=True)
        paths = "|".join(re.escape(path) for path in longest_first)
        path = rf"(?<![\w./-])(?P<path>{paths})(?![\w.-])|" if paths else "(?P<path>(?!))|"
        return re.compile(f"{path}{_SERVICE}|{_LISTENING}|{_LOOPBACK}")

    def _here(self, found: re.Match[str]) -> str:
        if path := found["path"]:
            return str(self.mounts[path])
        if service := found["service"]:
            return f"{LOOPBACK}:{self.service(found['namespace'], service, int(found['port']))}"
        if listen := found["listen"]:
            return f"{LOOPBACK}:{self.ports.here(int(listen))}"
        # What is not the pod's is the machine's: the servers of a test have such addresses.
        local = int(found["local"])
        return f"{LOOPBACK}:{self.ports.here(local)}" if local in self.ports.declared else found[0]


@dataclass(frozen=True)
class Start:
    """What a program is given. Command line and environment are translated already."""

    image: str
    """Its name without registry and tag, such as `temporalio/server`."""
    version: str
    command: Sequence[str]
    """`command` and `args` of the container."""
    env: Mapping[str, str]
    places: Places
    named_ports: Mapping[str, int]
    folder: Path
    """The container's own; it survives restarts of the container."""
    images: Path
    """Where a node keeps what it has pulled."""
    shared: Path
    """What all pods of the namespace share, as they would share a database."""


@dataclass(frozen=True)
class Command:
    """What is run in its stead."""

    argv: Sequence[str]
    env: Mapping[str, str]


class NoSuchImage(Exception):
    """There is nothing here that could stand for the image; the message says why."""
