"""What a release is: an immutable bundle of versions and configuration, known by its content.

Rules of the way from one server version to another: "Upgrade the Temporal Server" in Temporal's
documentation (one minor version at a time, patch releases may be skipped, the schema before the
server), and `common/persistence/schema/version.go` (a newer schema is allowed, so that the server
can go back by one minor version).
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cached_property

ConfigValue = str | int | float | bool

_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,4})")
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?")


class NoWay(ValueError):
    """A version that a server cannot legally reach; the message says why."""


class Component(StrEnum):
    """What a release changes in a cell; at any time one rollout writes each of them."""

    SERVER = "server"
    INGRESS = "ingress"
    CONFIGURATION = "configuration"


@dataclass(frozen=True, order=True)
class Version:
    """The version of a Temporal server."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> "Version":
        """Read `1.31.2`; raise ValueError with the text for anything else."""
        found = _VERSION.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is not a server version: write it like 1.31.2")
        return cls(*map(int, found.groups()))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


@dataclass(frozen=True)
class SchemaStep:
    """A change of a cell's stores that comes before its server's."""

    store: str
    """`main` or `visibility`."""
    version: str
    """The schema version that the store has afterwards, such as 1.19."""
    one_way: bool = False
    """No server that needs the earlier schema can run after it."""


@dataclass(frozen=True)
class Software:
    """What a cell runs. Two cells with equal software behave alike."""

    server_version: str
    ingress_version: str = ""
    """Of gatekeeper and Envoy configuration; empty for what the control plane brings."""
    configuration: dict[str, ConfigValue] = field(default_factory=dict)
    """Dynamic configuration beyond the cell's own, by key."""


@dataclass(frozen=True)
class Release:
    """Everything that a rollout carries. Nothing in it ever changes; its name is never reused."""

    name: str
    server_version: str = ""
    """Empty leaves the server as it is."""
    ingress_version: str = ""
    configuration: dict[str, ConfigValue] = field(default_factory=dict)
    schema_steps: tuple[SchemaStep, ...] = ()
    minimum_from: str = ""
    """The oldest server version a cell may come from; empty for one minor version below."""
    patch_of: str = ""
    """The name of the release that this one corrects: part of what that one has baked counts."""
    finalizes: str = ""
    """The name of the release whose one-way steps this one takes, once every cell has that."""
    artifacts: dict[str, str] = field(default_factory=dict)
    """SHA-256 (hex) of each file of the release, resolved once, when it was created."""
    description: str = ""

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of what the release holds, name and description aside."""
        content = {k: v for k, v in asdict(self).items() if k not in ("name", "description")}
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def components(self) -> tuple[Component, ...]:
        """What it writes; releases that share none of it may travel at the same time."""
        writes = {
            Component.SERVER: self.server_version or self.schema_steps,
            Component.INGRESS: self.ingress_version,
            Component.CONFIGURATION: self.configuration,
        }
        return tuple(component for component, wanted in writes.items() if wanted)

    def software(self, present: Software) -> Software:
        """Return what a cell runs with it: what it does not write stays as it is."""
        return Software(
            self.server_version or present.server_version,
            self.ingress_version or present.ingress_version,
            self.configuration or present.configuration,
        )

    @property
    def is_one_way(self) -> bool:
        """Whether a cell that has it cannot go back."""
        return any(step.one_way for step in self.schema_steps)


def check_release(release: Release) -> None:
    """Raise ValueError, naming the value and the remedy, for a release that cannot be one."""
    if not _NAME.fullmatch(release.name):
        raise ValueError(
            f"{release.name!r} is not a release's name: use up to 63 lower-case letters, digits, "
            "dots and hyphens, with a letter or digit at both ends"
        )
    if not release.components:
        raise ValueError(
            f"release {release.name} changes nothing: give it a server_version, an "
            "ingress_version or configuration"
        )
    if release.server_version:
        target = Version.parse(release.server_version)
        if release.minimum_from and Version.parse(release.minimum_from) > target:
            raise ValueError(
                f"minimum_from {release.minimum_from} is newer than server_version {target}"
            )
    for step in release.schema_steps:
        if step.store not in ("main", "visibility"):
            raise ValueError(f"schema store {step.store!r} is neither 'main' nor 'visibility'")
    if release.is_one_way and not release.finalizes:
        raise ValueError(
            "one-way schema steps belong in a release of their own that finalizes another: "
            "set finalizes to the name of the release that every cell has before"
        )


def way(present: str, release: Release, known: Sequence[str]) -> tuple[str, ...]:
    """Return the server versions to go through, the last being the release's; empty when there.

    One minor version at a time, by way of the highest patch `known` of each between; back by one
    minor version at most. Raise NoWay otherwise.
    """
    if not release.server_version:
        return ()
    at, target = Version.parse(present), Version.parse(release.server_version)
    if at.major != target.major:
        raise NoWay(f"no way leads from {at} to {target}: the major version differs")
    if target.minor < at.minor - 1:
        raise NoWay(f"{at} cannot go back to {target}: by one minor version at most")
    if at == target:
        return ()
    if release.minimum_from and at < Version.parse(release.minimum_from):
        first = Version.parse(release.minimum_from)
    else:
        first = target
    stops = []
    versions = sorted({Version.parse(text) for text in known})
    for minor in range(at.minor + 1, target.minor):
        between = [v for v in versions if (v.major, v.minor) == (at.major, minor)]
        if not between:
            raise NoWay(
                f"{at} reaches {target} only by way of {at.major}.{minor}, of which no server is "
                f"known: create a release of it first"
            )
        stops.append(between[-1])
    if first != target and not any(stop >= first for stop in stops):
        raise NoWay(f"{release.name} can be reached from {first} or later, and the cell has {at}")
    return tuple(str(version) for version in (*stops, target))
